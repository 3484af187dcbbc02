// What the step from one reading of a counter to the next counts. The memory is an app's: what no counter
// does is refused, and counting goes on from there. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "agent/base/usage_day.hpp"

namespace meterd::source {

enum class StepFault : std::uint8_t { none, lower, too_fast };

struct Step {
  std::uint64_t units = 0;  // also of a refused step, as far as there are any: for whoever looks into it
  StepFault fault = StepFault::none;
};

inline Step step_of(std::uint64_t before, std::uint64_t now, std::uint64_t units_max) {
  if (now < before) return {0, StepFault::lower};
  return {now - before, now - before > units_max ? StepFault::too_fast : StepFault::none};
}

// What a counter may grow in that time: the rate, and a second's worth above it, since an app that was
// stopped and one that is read late look the same. Never less than that for time that ran backwards.
inline std::uint64_t units_max(std::uint64_t rate_max, Milliseconds passed) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(passed.count(), 0)) + 1'000;
  if (rate_max > kMost / ms) return kMost / 1'000;  // more than any counter adds in a lifetime
  return std::max(rate_max, rate_max * ms / 1'000);
}

}  // namespace meterd::source
