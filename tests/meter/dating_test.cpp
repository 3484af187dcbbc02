// When a bucket is sealed and which second its usage carries.
#include "agent/meter/dating.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>

namespace meterd::meter {
namespace {

constexpr std::int64_t kDay = 86'400;

TimeZone berlin() { return *TimeZone::load("Europe/Berlin"); }
WallTime wall(const char* text) { return *parse_rfc3339(text); }
std::int64_t at(const char* text) { return wall(text).seconds().count(); }
UsageDay day(const char* iso) { return *UsageDay::parse(iso); }
DeviceId device(int number) { return DeviceId("gw-" + std::to_string(number)); }

TEST(SealRuleDefaults, WaitOnlyForIntervalsOfAnHourOrMore) {
  const auto daily = SealRule::with_defaults(kDay);
  EXPECT_EQ(daily.delay, 300);
  EXPECT_EQ(daily.flush_window, 3'600);
  const auto hourly = SealRule::with_defaults(3'600);
  EXPECT_EQ(hourly.delay, 300);
  EXPECT_EQ(hourly.flush_window, 3'600);
  for (const std::int64_t interval : {5, 900, 3'599}) {
    const auto quick = SealRule::with_defaults(interval);
    EXPECT_EQ(quick.interval, interval);
    EXPECT_EQ(quick.delay, 0);
    EXPECT_EQ(quick.flush_window, 0);
  }
}

TEST(IntervalEnd, IsTheNextMultipleFromTheStartOfTheDay) {
  const TimeZone utc;
  const auto rule = SealRule::with_defaults(900);
  EXPECT_EQ(interval_end(utc, rule, wall("2026-11-22T00:00:00Z")), at("2026-11-22T00:15:00Z"));
  EXPECT_EQ(interval_end(utc, rule, wall("2026-11-22T00:14:59.999Z")), at("2026-11-22T00:15:00Z"));
  EXPECT_EQ(interval_end(utc, rule, wall("2026-11-22T00:15:00Z")), at("2026-11-22T00:30:00Z"));
  EXPECT_EQ(interval_end(utc, rule, wall("2026-11-22T23:59:59Z")), at("2026-11-23T00:00:00Z"));
  const auto kolkata = *TimeZone::load("Asia/Kolkata");
  EXPECT_EQ(interval_end(kolkata, SealRule::with_defaults(3'600), wall("2026-11-22T00:10:00Z")),
            at("2026-11-22T00:30:00Z"));
}

TEST(IntervalEnd, NeverLeavesTheDay) {
  const TimeZone utc;  // seven hours do not divide a day: the fourth interval is cut
  EXPECT_EQ(interval_end(utc, SealRule::with_defaults(7 * 3'600), wall("2026-11-22T22:00:00Z")),
            at("2026-11-23T00:00:00Z"));
}

TEST(IntervalEnd, TakesADayOfAnyLengthAsOneInterval) {
  const auto rule = SealRule::with_defaults(kDay);
  const auto zone = berlin();
  EXPECT_EQ(interval_end(zone, rule, wall("2026-03-29T00:30:00+01:00")), at("2026-03-30T00:00:00+02:00"));
  EXPECT_EQ(interval_end(zone, rule, wall("2026-10-25T00:30:00+02:00")), at("2026-10-26T00:00:00+01:00"));
  EXPECT_EQ(interval_end(zone, rule, wall("2026-10-25T23:59:59+01:00")), at("2026-10-26T00:00:00+01:00"));
}

TEST(IntervalEnd, GivesALongDayOneMoreHourlyInterval) {
  const auto rule = SealRule::with_defaults(3'600);
  const auto zone = berlin();
  std::set<std::int64_t> ends;
  const auto bounds = zone.bounds(day("2026-10-25"));
  for (auto s = bounds.start; s < bounds.end; s += 60)
    ends.insert(interval_end(zone, rule, WallTime::from_seconds(s)));
  EXPECT_EQ(ends.size(), 25U);
  EXPECT_EQ(*ends.rbegin(), bounds.end);
}

TEST(SealDue, IsTheIntervalsEndPlusTheDelayPlusTheDevicesPhase) {
  const TimeZone utc;
  const auto rule = SealRule::with_defaults(kDay);
  // sha256 over the length-prefixed "gw-0042" and "phase", first eight bytes: 0x1b5b3dbae5d4525d; modulo
  // 3600: 2541
  const auto due = seal_due(utc, rule, DeviceId("gw-0042"), wall("2026-11-22T08:00:00Z"));
  EXPECT_EQ(due.seconds().count(), at("2026-11-23T00:00:00Z") + 300 + 2'541);
}

TEST(SealDue, IsTheEndItselfForShortIntervals) {
  const TimeZone utc;
  EXPECT_EQ(seal_due(utc, SealRule::with_defaults(5), DeviceId("gw-0042"), wall("2026-11-22T08:00:01Z")),
            wall("2026-11-22T08:00:05Z"));
}

TEST(SealDue, KeepsTheSamePhaseEveryDayAndSpreadsAFleetOverTheWindow) {
  const TimeZone utc;
  const SealRule rule{kDay, 300, 3'600};
  std::set<std::int64_t> phases;
  std::array<int, 6> sixths{};
  for (int number = 0; number < 600; ++number) {
    const auto first = seal_due(utc, rule, device(number), wall("2026-11-22T08:00:00Z")).seconds().count();
    const auto next = seal_due(utc, rule, device(number), wall("2026-11-23T22:00:00Z")).seconds().count();
    ASSERT_EQ(next - first, kDay);
    const auto phase = first - at("2026-11-23T00:05:00Z");
    ASSERT_GE(phase, 0);
    ASSERT_LT(phase, 3'600);
    phases.insert(phase);
    ++sixths[static_cast<std::size_t>(phase / 600)];
  }
  EXPECT_GT(phases.size(), 500U);
  EXPECT_GT(*std::min_element(sixths.begin(), sixths.end()), 60);  // 100 each on average
}

TEST(SealCover, IsTheIntervalOfTheFirstEvent) {
  const TimeZone utc;
  const auto cover =
      seal_cover(utc, SealRule::with_defaults(900), day("2026-11-22"), wall("2026-11-22T10:20:00Z"));
  EXPECT_EQ(cover.start, at("2026-11-22T10:15:00Z"));
  EXPECT_EQ(cover.end, at("2026-11-22T10:30:00Z"));
}

TEST(SealCover, IsTheWholeDayForEventsAfterTheirDay) {
  const TimeZone utc;
  for (const char* opened : {"2026-11-23T00:00:00Z", "2027-03-01T10:20:00Z"}) {
    const auto cover = seal_cover(utc, SealRule::with_defaults(900), day("2026-11-22"), wall(opened));
    EXPECT_EQ(cover.start, at("2026-11-22T00:00:00Z"));
    EXPECT_EQ(cover.end, at("2026-11-23T00:00:00Z"));
  }
}

TEST(SealCover, IsTheWholeOfAShortOrLongDayWithOneSealADay) {
  const auto rule = SealRule::with_defaults(kDay);
  const auto zone = berlin();
  const auto spring = seal_cover(zone, rule, day("2026-03-29"), wall("2026-03-29T10:00:00+02:00"));
  EXPECT_EQ(spring.end - spring.start, 23 * 3'600);
  const auto autumn = seal_cover(zone, rule, day("2026-10-25"), wall("2026-10-25T23:30:00+01:00"));
  EXPECT_EQ(autumn.end - autumn.start, 25 * 3'600);
  EXPECT_EQ(autumn.start, at("2026-10-25T00:00:00+02:00"));
}

TEST(PreferredDate, IsTheDevicesHashWithinTheCover) {
  const SealCover cover{at("2026-11-22T00:00:00Z"), at("2026-11-23T00:00:00Z")};
  // sha256("gw-0042"), first eight bytes: 0x06fbaef798ea8de7; modulo 86400: 76391
  EXPECT_EQ(preferred_date(DeviceId("gw-0042"), cover, wall("2026-11-23T01:00:00Z")), cover.start + 76'391);
}

TEST(PreferredDate, LiesInsideTheCoverAndNeverAfterNow) {
  const auto zone = berlin();
  for (const char* iso : {"2026-03-29", "2026-07-01", "2026-10-25"})
    for (const std::int64_t interval : {std::int64_t{5}, std::int64_t{900}, std::int64_t{7 * 3'600}, kDay}) {
      const auto bounds = zone.bounds(day(iso));
      for (auto s = bounds.start; s < bounds.end; s += 3'571) {
        const auto opened = WallTime::from_seconds(s);
        const auto cover = seal_cover(zone, SealRule::with_defaults(interval), day(iso), opened);
        ASSERT_LE(cover.start, s);
        ASSERT_GT(cover.end, s);
        ASSERT_GE(cover.start, bounds.start);
        ASSERT_LE(cover.end, bounds.end);
        for (int number = 0; number < 5; ++number)
          for (const auto now : {s, cover.end - 1, cover.end, cover.end + kDay}) {
            const auto date = preferred_date(device(number), cover, WallTime::from_seconds(now));
            ASSERT_GE(date, cover.start);
            ASSERT_LT(date, cover.end);
            ASSERT_LE(date, now);
          }
      }
    }
}

TEST(PreferredDate, StaysInTheDayWhenTheClockWasSetBackBeforeIt) {
  const SealCover cover{1'000, 2'000};
  EXPECT_EQ(preferred_date(device(1), cover, WallTime::from_seconds(500)), 1'000);
}

TEST(PreferredDate, SpreadsSeveralGatewaysOfOneSubscription) {
  const SealCover cover{0, kDay};
  std::set<std::int64_t> dates;
  for (int number = 0; number < 200; ++number)
    dates.insert(preferred_date(device(number), cover, WallTime::from_seconds(kDay)));
  EXPECT_GT(dates.size(), 195U);
}

}  // namespace
}  // namespace meterd::meter
