// How long something took, counted in fixed steps: whole numbers only, no allocation, a few hundred bytes.
// Not thread-safe: one owner.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "agent/base/usage_day.hpp"

namespace meterd {

class Histogram {
 public:
  // The upper bounds of the steps, inclusive, in microseconds: from an SSD's commit to an upstream's
  // deadline.
  static constexpr std::array<std::int64_t, 16> kBounds = {
      500,     1'000,   2'500,     5'000,     10'000,    25'000,     50'000,     100'000,
      250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000, 60'000'000};
  static constexpr std::size_t kSteps = kBounds.size() + 1;  // the last has no bound

  void observe(Microseconds took);  // negative counts as zero
  Histogram& operator+=(const Histogram& other);

  // How many fell into one step (not cumulative).
  std::uint64_t in_step(std::size_t step) const { return counts_[step]; }
  std::uint64_t count() const;
  Microseconds sum() const { return Microseconds(static_cast<std::int64_t>(sum_us_)); }

  // The bound of the step in which the value of that rank lies: `percent` of all took at most so long.
  // nullopt: nothing was observed. In the last step: the greatest bound, and then it took longer.
  std::optional<Microseconds> percentile(unsigned percent) const;  // 1 to 100

 private:
  std::array<std::uint64_t, kSteps> counts_{};
  std::uint64_t sum_us_ = 0;
};

}  // namespace meterd
