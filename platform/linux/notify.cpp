#include <systemd/sd-daemon.h>

#include <cstdint>
#include <ctime>
#include <string>

#include "platform/linux/linux.hpp"

namespace meterd::platform {
namespace {

class SystemdNotify final : public Notify {
 public:
  void ready() override { sd_notify(0, "READY=1"); }
  void reloading() override {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const auto us = std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
    sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us)).c_str());
  }
  void stopping() override { sd_notify(0, "STOPPING=1"); }
  std::optional<Milliseconds> watchdog() const override {
    std::uint64_t us = 0;
    if (sd_watchdog_enabled(0, &us) <= 0) return std::nullopt;
    return Milliseconds(static_cast<std::int64_t>(us / 1'000));
  }
  void alive() override { sd_notify(0, "WATCHDOG=1"); }
};

}  // namespace

std::unique_ptr<Notify> make_notify() { return std::make_unique<SystemdNotify>(); }

}  // namespace meterd::platform
