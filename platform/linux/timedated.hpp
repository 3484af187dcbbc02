// What systemd-timedated says of the clock, for who may not ask the kernel (a sandbox's ProtectClock=). Loop
// thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <optional>

#include "agent/base/result.hpp"
#include "platform/clock.hpp"
#include "platform/linux/bus.hpp"

namespace meterd::platform {

class Timedated {
 public:
  Timedated(boost::asio::any_io_executor loop, Clock& clock) : bus_(std::move(loop), clock) {}

  // Whether the clock is synchronised; io: nobody could be asked. One at a time.
  boost::asio::awaitable<Result<bool>> ask();
  void stop() { bus_.stop(); }

 private:
  Bus bus_;
  std::optional<Result<bool>> answer_;
};

}  // namespace meterd::platform
