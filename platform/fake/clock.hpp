// A clock that a test moves: wall and boot time apart, alarms in order of their time. One thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <optional>
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

  // For a driver that decides itself what runs when.
  std::optional<BootTime> next_alarm() const;  // of those that wait; may be over
  void pass(Milliseconds by);                  // both clocks; no alarm goes off
  bool fire_next();  // the first alarm whose time has come; its handler waits in the loop. False: none
  void suspend(Milliseconds by);  // both clocks go on, and every alarm is late by that: the system slept

 private:
  class FakeAlarm;
  boost::asio::io_context& loop_;
  WallTime wall_{Milliseconds(1'800'000'000'000)};
  BootTime boot_{Milliseconds(60'000)};
  bool trusted_ = true;
  std::string boot_id_ = "boot-1";
  std::multimap<BootTime, FakeAlarm*> waiting_;
};

}  // namespace meterd::platform
