// A clock that a test moves: wall and boot time apart, alarms in order of their time. One thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "platform/clock.hpp"

namespace meterd::platform {

class FakeClock final : public Clock {
 public:
  explicit FakeClock(boost::asio::io_context& loop) : loop_(loop) {}

  WallReading wall() const override { return {wall_, trusted_}; }
  BootTime boot() const override { return boot_; }
  std::string boot_id() const override { return boot_id_; }
  std::unique_ptr<Alarm> make_alarm() override;

  void set_wall(WallTime wall) { wall_ = wall; }  // a step: alarms do not notice
  void set_boot(BootTime boot) { boot_ = boot; }
  void set_trusted(bool trusted) { trusted_ = trusted; }
  void set_boot_id(std::string id) { boot_id_ = std::move(id); }

  // Runs the loop until nothing is ready, then jumps from alarm to alarm until `by` has passed on both
  // clocks.
  void advance(Milliseconds by);
  // Runs the loop until nothing is ready, without moving time.
  void settle();

 private:
  class FakeAlarm;
  boost::asio::io_context& loop_;
  WallTime wall_{Milliseconds(1'800'000'000'000)};
  BootTime boot_{Milliseconds(60'000)};
  bool trusted_ = true;
  std::string boot_id_ = "boot-1";
  std::multimap<BootTime, std::function<void()>> waiting_;
};

}  // namespace meterd::platform
