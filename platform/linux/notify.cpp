#include <systemd/sd-daemon.h>

#include "platform/linux/linux.hpp"

namespace meterd::platform {
namespace {

class SystemdNotify final : public Notify {
 public:
  void ready() override { sd_notify(0, "READY=1"); }
  void stopping() override { sd_notify(0, "STOPPING=1"); }
};

}  // namespace

std::unique_ptr<Notify> make_notify() { return std::make_unique<SystemdNotify>(); }

}  // namespace meterd::platform
