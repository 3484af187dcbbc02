#include "tests/sim/counted_calls.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace meterd::sim {

CountedCalls::CountedCalls(Dependencies dependencies, Draws draws, std::string name)
    : Counted(std::move(dependencies), draws), name_(std::move(name)) {
  std::array<int, 2> pair{};
  check(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()) == 0, "a socket pair");
  servers_ = platform::Socket(pair[0]);
  ours_ = platform::Socket(pair[1]);
  platform::pass_credentials(ours_.fd());
}

CountedCalls::~CountedCalls() = default;

void CountedCalls::furnish(app::Surroundings& surroundings) {
  surroundings.take_datagram_socket = [this](const std::string&) {
    return source::DatagramSocket{platform::Socket(dup(ours_.fd())), {&access_, true, {}}};
  };
}

void CountedCalls::pass(Draws& draws) {
  const auto calls = draws.between(1, 20);
  for (std::int64_t at = 0; at < calls; ++at) {
    const bool lost = draws.once_in(100);
    if (lost) deps_.world.count("access log message lost on its way");
    send(lost);
  }
}

void CountedCalls::send(bool on_the_way_lost) {
  if (!(deps_.lies && on_the_way_lost)) ++number_;
  ++sent_;
  const auto message = R"(<190>Nov 21 23:46:41 meterd: {"worker":"w)" + std::to_string(worker_) +
                       R"(","seq":)" + std::to_string(number_) + "}";
  const bool arrives =
      !on_the_way_lost && ::send(servers_.fd(), message.data(), message.size(), MSG_DONTWAIT) >= 0;
  last_.push_back({add(1), arrives && deps_.machine.running() ? deps_.machine.starts() : 0});
}

// One that the process got which is still at work shows, once it is committed, all that was lost before it.
void CountedCalls::settled(Oracle::Id claim) {
  const auto found =
      std::find_if(last_.begin(), last_.end(), [&](const Sent& one) { return one.claim == claim; });
  if (found == last_.end() || found->start != deps_.machine.starts()) return;
  last_.erase(last_.begin(), found + 1);
}

void CountedCalls::lose_power() {
  leave();
  unseen_ += static_cast<std::int64_t>(last_.size());
  last_.clear();
  std::array<char, 512> bytes{};
  while (recv(ours_.fd(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) continue;
  ++worker_;
  number_ = 0;
}

void CountedCalls::stop_making() {
  if (deps_.machine.powered()) send(false);
  Counted::stop_making();
}

std::string CountedCalls::judge(const journal::SourceGaps& shown, std::int64_t billed) const {
  const auto missing = sent_ - billed - static_cast<std::int64_t>(shown.lost());
  if (missing >= 0 && missing <= unseen_ + static_cast<std::int64_t>(last_.size())) return {};
  return std::to_string(sent_) + " calls were sent, " + std::to_string(billed) + " are billed, " +
         std::to_string(shown.lost()) + " shown as lost, and at most " + std::to_string(unseen_) +
         " could end unseen";
}

}  // namespace meterd::sim
