// org.freedesktop.timedate1(5). Its NTPSynchronized is the kernel's word, whichever time server's program
// sets the clock.
#include "platform/linux/timedated.hpp"

#include <cstring>

namespace meterd::platform {

namespace asio = boost::asio;

namespace {

const BusPlace kPlace{"org.freedesktop.timedate1", "/org/freedesktop/timedate1",
                      "org.freedesktop.DBus.Properties", "Get"};
constexpr Milliseconds kLook{60'000};  // beyond the call's own deadline

Result<bool> read_answer(sd_bus_message* reply) {
  if (sd_bus_message_is_method_error(reply, nullptr) > 0) {
    const auto* error = sd_bus_message_get_error(reply);
    return Error{Code::io,
                 std::string("systemd-timedated: ") + (error->name != nullptr ? error->name : "an error")};
  }
  int synchronised = 0;
  if (const int read = sd_bus_message_read(reply, "v", "b", &synchronised); read < 0)
    return Error{Code::io, std::string("systemd-timedated: ") + std::strerror(-read)};
  return synchronised != 0;
}

}  // namespace

asio::awaitable<Result<bool>> Timedated::ask() {
  answer_.reset();
  if (auto opened = bus_.open(); !opened) co_return opened.error();
  const Bus::Done done = [this](sd_bus_message* reply) { answer_ = read_answer(reply); };
  const std::vector<std::string> property{"org.freedesktop.timedate1", "NTPSynchronized"};
  if (auto called = bus_.call(kPlace, property, done); !called) co_return called.error();
  const std::function<Milliseconds()> next = [this] { return answer_ ? Milliseconds(0) : kLook; };
  const std::string ended = co_await bus_.serve(next);
  bus_.close();
  if (!answer_) co_return Error{Code::io, "the system bus: " + ended};
  co_return *answer_;
}

}  // namespace meterd::platform
