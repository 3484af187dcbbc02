// What the service manager is told (sd_notify). Without a service manager every call does nothing.
#pragma once

#include <string>

namespace meterd::platform {

class Notify {
 public:
  virtual ~Notify() = default;
  virtual void ready() = 0;
  virtual void reloading() = 0;  // until ready() is called again
  virtual void stopping() = 0;
};

}  // namespace meterd::platform
