// Time. Two clocks that never mix: the wall (UTC; may step, may be wrong after boot) and time since boot.
// Real: platform/linux. Fake: platform/fake, where a test moves both. Loop thread only, but for wall() and
// boot(), which any thread may call.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "agent/base/usage_day.hpp"

namespace meterd::platform {

struct WallReading {
  WallTime time;
  bool trusted = false;  // by the configured rule ([clock] trust); an untrusted reading never dates anything
};

// A wait that can be cut short. One waiter at a time. notify() before wait_for() is remembered once.
class Alarm {
 public:
  virtual ~Alarm() = default;
  // Returns after `at_most`, or as soon as notify() is called. Negative or zero: yields once.
  virtual boost::asio::awaitable<void> wait_for(Milliseconds at_most) = 0;
  virtual void notify() = 0;
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallReading wall() const = 0;
  virtual BootTime boot() const = 0;
  // For how long something took: only the difference of two readings means anything. Any thread.
  virtual Microseconds ticks() const { return boot().since_boot; }
  // Differs between any two boots of the device; constant within one.
  virtual std::string boot_id() const = 0;
  virtual std::unique_ptr<Alarm> make_alarm() = 0;
};

}  // namespace meterd::platform
