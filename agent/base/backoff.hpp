// Full-jitter exponential backoff as one pure function. Source of the method: "Exponential Backoff And
// Jitter", AWS Architecture Blog, 2015: sleep = random(0, min(cap, base * 2^attempt)).
#pragma once

#include <algorithm>
#include <cstdint>

#include "agent/base/usage_day.hpp"

namespace meterd {

struct BackoffLimits {
  Milliseconds base{1'000};
  Milliseconds cap{15 * 60 * 1'000};
};

// `attempt` counts failures so far, from 1. `random` is uniform over all 64-bit values. Never zero: a floor
// of a tenth of the ceiling keeps a failing upstream from being hit in a tight loop.
inline Milliseconds full_jitter(const BackoffLimits& limits, std::uint32_t attempt, std::uint64_t random) {
  const std::uint32_t doublings = std::min(attempt == 0 ? 0U : attempt - 1U, 30U);
  const auto scaled = limits.base.count() << doublings;
  const auto ceiling = std::min<std::int64_t>(scaled, limits.cap.count());
  const auto floor = std::max<std::int64_t>(1, ceiling / 10);
  return Milliseconds(floor +
                      static_cast<std::int64_t>(random % static_cast<std::uint64_t>(ceiling - floor + 1)));
}

}  // namespace meterd
