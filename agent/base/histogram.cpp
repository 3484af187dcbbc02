#include "agent/base/histogram.hpp"

#include <algorithm>
#include <numeric>

namespace meterd {

void Histogram::observe(Microseconds took) {
  const std::int64_t us = std::max<std::int64_t>(0, took.count());
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), us);
  ++counts_[static_cast<std::size_t>(bound - kBounds.begin())];
  sum_us_ += static_cast<std::uint64_t>(us);
}

Histogram& Histogram::operator+=(const Histogram& other) {
  for (std::size_t i = 0; i < kSteps; ++i) counts_[i] += other.counts_[i];
  sum_us_ += other.sum_us_;
  return *this;
}

std::uint64_t Histogram::count() const {
  return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

std::optional<Microseconds> Histogram::percentile(unsigned percent) const {
  const std::uint64_t all = count();
  if (all == 0) return std::nullopt;
  // The rank, rounded up, without overflow of all * percent.
  const std::uint64_t rank = all / 100 * percent + (all % 100 * percent + 99) / 100;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    below += counts_[i];
    if (below >= rank) return Microseconds(kBounds[i]);
  }
  return Microseconds(kBounds.back());
}

}  // namespace meterd
