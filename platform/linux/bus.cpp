// sd-bus: sd_bus_process(3), sd_bus_get_fd(3), sd_bus_call_async(3), sd_bus_add_match_async(3).
#include "platform/linux/bus.hpp"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

namespace meterd::platform {

namespace asio = boost::asio;

namespace {

constexpr std::uint64_t kCallTimeoutUs = 10'000'000;
constexpr int kMessagesPerTurn = 64;

Error bus_error(const char* doing, int error) {
  return {Code::io, std::string(doing) + ": " + std::strerror(-error)};
}

}  // namespace

struct Bus::Waiting {
  Bus* bus = nullptr;
  sd_bus_slot* slot = nullptr;
  Done done;
  bool is_match = false;
  std::list<Waiting>::iterator self;

  static int arrived(sd_bus_message* message, void* data, sd_bus_error*) {
    auto* waiting = static_cast<Waiting*>(data);
    if (waiting->is_match) {
      waiting->done(message);
      return 0;
    }
    const auto done = std::move(waiting->done);
    sd_bus_slot_unref(waiting->slot);
    waiting->bus->waiting_.erase(waiting->self);
    done(message);
    return 0;
  }
};

// What the handlers of the descriptor hold: they may run after the connection is gone.
struct Bus::Wake {
  explicit Wake(std::unique_ptr<Alarm> a) : alarm(std::move(a)) {}
  std::unique_ptr<Alarm> alarm;
  std::unique_ptr<asio::posix::stream_descriptor> descriptor;
  bool reading = false, writing = false;
};

Bus::Bus(asio::any_io_executor loop, Clock& clock)
    : loop_(std::move(loop)), clock_(clock), wake_(std::make_shared<Wake>(clock.make_alarm())) {}

Bus::~Bus() { close(); }

Status Bus::open() {
  close();
  wake_ = std::make_shared<Wake>(clock_.make_alarm());
  if (const int opened = sd_bus_open_system(&bus_); opened < 0) {
    bus_ = nullptr;
    return bus_error("connecting to the system bus", opened);
  }
  sd_bus_set_method_call_timeout(bus_, kCallTimeoutUs);
  const int fd = fcntl(sd_bus_get_fd(bus_), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return bus_error("connecting to the system bus", -errno);
  wake_->descriptor = std::make_unique<asio::posix::stream_descriptor>(loop_, fd);
  return {};
}

void Bus::close() {
  for (auto& one : waiting_) sd_bus_slot_unref(one.slot);
  waiting_.clear();
  wake_->descriptor.reset();
  if (bus_ != nullptr) sd_bus_close_unref(std::exchange(bus_, nullptr));
}

void Bus::stop() {
  stopping_ = true;
  wake_->alarm->notify();
}

std::string Bus::id() {
  sd_id128_t id{};
  if (bus_ == nullptr || sd_bus_get_bus_id(bus_, &id) < 0) return {};
  char text[SD_ID128_STRING_MAX];
  return sd_id128_to_string(id, text);
}

Status Bus::match(const std::string& rule, Done signal) {
  waiting_.push_back({this, nullptr, std::move(signal), true, {}});
  auto& waiting = waiting_.back();
  // A match that the bus refuses ends the connection, which is then opened again.
  const int added =
      sd_bus_add_match_async(bus_, &waiting.slot, rule.c_str(), Waiting::arrived, nullptr, &waiting);
  if (added < 0) {
    waiting_.pop_back();
    return bus_error("listening on the system bus", added);
  }
  return {};
}

Status Bus::call(const BusPlace& place, const std::vector<std::string>& arguments, Done done) {
  sd_bus_message* message = nullptr;
  int made = sd_bus_message_new_method_call(bus_, &message, place.destination.c_str(), place.path.c_str(),
                                            place.interface.c_str(), place.member.c_str());
  for (const auto& argument : arguments)
    if (made >= 0) made = sd_bus_message_append_basic(message, 's', argument.c_str());
  waiting_.push_back({this, nullptr, std::move(done), false, {}});
  auto& waiting = waiting_.back();
  waiting.self = std::prev(waiting_.end());
  if (made >= 0)
    made = sd_bus_call_async(bus_, &waiting.slot, message, Waiting::arrived, &waiting, kCallTimeoutUs);
  sd_bus_message_unref(message);
  if (made < 0) {
    waiting_.pop_back();
    return bus_error("calling over the system bus", made);
  }
  return {};
}

void Bus::arm() {
  using Descriptor = asio::posix::stream_descriptor;
  const int events = sd_bus_get_events(bus_);
  const auto wait = [this](Descriptor::wait_type kind, bool Wake::*waits) {
    if (wake_.get()->*waits) return;
    wake_.get()->*waits = true;
    wake_->descriptor->async_wait(kind, [wake = wake_, waits](const boost::system::error_code&) {
      wake.get()->*waits = false;
      wake->alarm->notify();
    });
  };
  if (events > 0 && (events & POLLIN) != 0) wait(Descriptor::wait_read, &Wake::reading);
  if (events > 0 && (events & POLLOUT) != 0) wait(Descriptor::wait_write, &Wake::writing);
}

Milliseconds Bus::until_timeout(Milliseconds at_most) {
  std::uint64_t at_us = UINT64_MAX;
  if (sd_bus_get_timeout(bus_, &at_us) < 0 || at_us == UINT64_MAX) return at_most;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto now_us = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
  if (at_us <= now_us) return Milliseconds(0);
  const auto rest_ms =
      static_cast<std::int64_t>(std::min<std::uint64_t>((at_us - now_us) / 1'000 + 1, INT32_MAX));
  return std::min(at_most, Milliseconds(rest_ms));
}

asio::awaitable<std::string> Bus::serve(std::function<Milliseconds()> tick) {
  while (!stopping_) {
    int processed = 1;
    for (int i = 0; i < kMessagesPerTurn && processed > 0 && !stopping_; ++i)
      processed = sd_bus_process(bus_, nullptr);
    if (stopping_) break;
    if (processed < 0) co_return std::strerror(-processed);
    if (sd_bus_is_open(bus_) <= 0) co_return "the connection was closed";
    const auto at_most = tick();
    if (at_most <= Milliseconds(0)) co_return std::string();
    if (processed > 0) {
      co_await asio::post(loop_, asio::use_awaitable);
      continue;
    }
    arm();
    const auto wake = wake_;
    co_await wake->alarm->wait_for(until_timeout(at_most));
  }
  co_return std::string();
}

}  // namespace meterd::platform
