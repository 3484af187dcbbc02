// Whether the wall clock may date anything, remembered: the kernel forgets that it was synchronised about
// nine hours after the last word of a time server (maxerror grows past 16 s), and a link may be down for
// longer than that. Once trusted, the clock stays trusted until it is stepped: wall time minus time since
// boot changes by nothing else (slewing moves both). Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "agent/base/usage_day.hpp"

namespace meterd::platform {

class TrustLatch {
 public:
  // A step below this is a leap second or rounding, not another clock.
  static constexpr std::int64_t kStepMs = 2'000;

  // `known`: wall time minus time since boot when it was last trusted in this boot, from before a restart.
  explicit TrustLatch(std::optional<Milliseconds> known) : offset_ms_(known ? known->count() : kNever) {}

  // `vouched`: the kernel says now that it is synchronised (or another such source does).
  bool trusts(bool vouched, WallTime wall, BootTime boot) {
    const std::int64_t offset = (wall.since_epoch - boot.since_boot).count();
    if (vouched) {
      offset_ms_ = offset;
      return true;
    }
    const std::int64_t known = offset_ms_;
    return known != kNever && offset - known < kStepMs && known - offset < kStepMs;
  }

 private:
  static constexpr std::int64_t kNever = INT64_MIN;
  std::atomic<std::int64_t> offset_ms_;
};

}  // namespace meterd::platform
