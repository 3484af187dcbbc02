// Latencies in fixed steps: exact counts, exact sums, and percentiles that are bounds.
#include "agent/base/histogram.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace meterd {
namespace {

using std::chrono_literals::operator""us;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

TEST(Histogram, PutsABoundIntoItsOwnStepAndOneMoreIntoTheNext) {
  for (std::size_t i = 0; i < Histogram::kBounds.size(); ++i) {
    Histogram h;
    h.observe(Microseconds(Histogram::kBounds[i]));
    h.observe(Microseconds(Histogram::kBounds[i] + 1));
    EXPECT_EQ(h.in_step(i), 1U) << i;
    EXPECT_EQ(h.in_step(i + 1), 1U) << i;
    EXPECT_EQ(h.count(), 2U);
  }
}

TEST(Histogram, HasRisingBounds) {
  for (std::size_t i = 1; i < Histogram::kBounds.size(); ++i)
    EXPECT_LT(Histogram::kBounds[i - 1], Histogram::kBounds[i]);
}

TEST(Histogram, SumsToTheMicrosecond) {
  Histogram h;
  for (int i = 0; i < 10; ++i) h.observe(100'003us);
  h.observe(3'600s);
  EXPECT_EQ(h.sum(), Microseconds(1'000'030 + 3'600'000'000));
}

TEST(Histogram, CountsAClockThatWentBackAsZero) {
  Histogram h;
  h.observe(-5s);
  EXPECT_EQ(h.in_step(0), 1U);
  EXPECT_EQ(h.sum(), 0us);
}

TEST(Histogram, AddsAnotherOnesCountsAndSum) {
  Histogram a;
  Histogram b;
  a.observe(1ms);
  b.observe(1ms);
  b.observe(70s);
  a += b;
  EXPECT_EQ(a.in_step(1), 2U);
  EXPECT_EQ(a.in_step(Histogram::kSteps - 1), 1U);
  EXPECT_EQ(a.count(), 3U);
  EXPECT_EQ(a.sum(), Microseconds(70'002'000));
}

TEST(HistogramPercentile, IsUnknownWithoutAnObservation) {
  EXPECT_EQ(Histogram().percentile(50), std::nullopt);
}

TEST(HistogramPercentile, IsTheBoundOfTheStepOfThatRank) {
  Histogram h;
  for (int i = 0; i < 98; ++i) h.observe(700us);
  h.observe(20ms);
  h.observe(2s);
  EXPECT_EQ(h.percentile(1), 1ms);
  EXPECT_EQ(h.percentile(98), 1ms);
  EXPECT_EQ(h.percentile(99), 25ms);
  EXPECT_EQ(h.percentile(100), 2'500ms);
}

TEST(HistogramPercentile, RoundsTheRankUp) {
  Histogram h;
  h.observe(1ms);
  h.observe(1ms);
  h.observe(1s);
  EXPECT_EQ(h.percentile(66), 1ms);
  EXPECT_EQ(h.percentile(67), 1s);
}

TEST(HistogramPercentile, EndsAtTheGreatestBound) {
  Histogram h;
  h.observe(3'600s);
  EXPECT_EQ(h.percentile(50), 60s);
}

}  // namespace
}  // namespace meterd
