// What the service manager is told (sd_notify). Without a service manager every call does nothing.
#pragma once

#include <optional>

#include "agent/base/usage_day.hpp"

namespace meterd::platform {

class Notify {
 public:
  virtual ~Notify() = default;
  virtual void ready() = 0;
  virtual void reloading() = 0;  // until ready() is called again
  virtual void stopping() = 0;
  // How often it must hear alive() at least, or it ends us (WatchdogSec=). nullopt: it does not watch.
  virtual std::optional<Milliseconds> watchdog() const = 0;
  virtual void alive() = 0;
};

}  // namespace meterd::platform
