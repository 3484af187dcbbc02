// UsageDay and RFC 3339: the calendar, far dates on any word size, and everything that is not a date.
#include "agent/base/usage_day.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace meterd {
namespace {

std::int64_t seconds_of(std::string_view text) {
  const auto time = parse_rfc3339(text);
  EXPECT_TRUE(time.ok()) << text;
  return time ? time->seconds().count() : INT64_MIN;
}

TEST(UsageDay, KnowsItsDistanceFromTheEpoch) {
  struct Case {
    const char* iso;
    std::int32_t days;
  };
  for (const auto& c : std::vector<Case>{{"1970-01-01", 0},
                                         {"1969-12-31", -1},
                                         {"2000-02-29", 11'016},
                                         {"2026-11-22", 20'779},
                                         {"2038-01-20", 24'856},
                                         {"9999-12-31", 2'932'896}}) {
    const auto day = UsageDay::parse(c.iso);
    ASSERT_TRUE(day.ok()) << c.iso;
    EXPECT_EQ(day->days_since_epoch(), c.days);
    EXPECT_EQ(UsageDay(c.days).iso(), c.iso);
  }
  EXPECT_EQ(UsageDay::parse("2026-11-22")->compact(), "20261122");
  EXPECT_EQ(UsageDay::parse("0001-02-03")->compact(), "00010203");
}

TEST(UsageDay, HasLeapDaysOnlyInLeapYears) {
  for (const char* iso : {"2024-02-29", "2000-02-29", "2400-02-29"})
    EXPECT_TRUE(UsageDay::parse(iso).ok()) << iso;
  for (const char* iso : {"2023-02-29", "1900-02-29", "2100-02-29"})
    EXPECT_FALSE(UsageDay::parse(iso).ok()) << iso;
  EXPECT_EQ(UsageDay(UsageDay::parse("2024-02-28")->days_since_epoch() + 1).iso(), "2024-02-29");
}

TEST(UsageDay, RoundTripsEveryDayOfACentury) {
  for (std::int32_t days = -10'000; days < 40'000; ++days) {
    const auto parsed = UsageDay::parse(UsageDay(days).iso());
    ASSERT_TRUE(parsed.ok()) << days;
    ASSERT_EQ(parsed->days_since_epoch(), days);
  }
}

TEST(UsageDay, RefusesWhatIsNotADay) {
  for (const char* text : {"",           "2026",       "2026-11",     "2026-11-2",   "2026-1-22",
                           "26-11-22",   "2026-13-01", "2026-00-10",  "2026-11-00",  "2026-11-31",
                           "2026/11/22", "20261122",   "2026-11-22 ", " 2026-11-22", "2026-11-22T",
                           "+026-11-22", "-026-11-22", "2026-+1-22",  "2026-11-+2",  "2026-11-2x"}) {
    const auto day = UsageDay::parse(text);
    ASSERT_FALSE(day.ok()) << text;
    EXPECT_EQ(day.error().code, Code::invalid);
  }
}

TEST(Rfc3339, FormatsTheEpochNegativeTimesAndTimesBeyond2038) {
  EXPECT_EQ(rfc3339(WallTime::from_seconds(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339(WallTime::from_seconds(-1)), "1969-12-31T23:59:59Z");
  EXPECT_EQ(rfc3339(WallTime::from_seconds(1'601'718'989)), "2020-10-03T09:56:29Z");
  EXPECT_EQ(rfc3339(WallTime::from_seconds((std::int64_t{1} << 31))), "2038-01-19T03:14:08Z");
  EXPECT_EQ(rfc3339(WallTime::from_seconds((std::int64_t{1} << 32))), "2106-02-07T06:28:16Z");
  EXPECT_EQ(rfc3339(WallTime{Milliseconds(-1)}), "1969-12-31T23:59:59Z");
}

TEST(Rfc3339, ParsesZonesOffsetsAndFractions) {
  const std::int64_t base = 1'601'718'989;
  EXPECT_EQ(seconds_of("2020-10-03T09:56:29Z"), base);
  EXPECT_EQ(seconds_of("2020-10-03t09:56:29z"), base);
  EXPECT_EQ(seconds_of("2020-10-03T11:56:29+02:00"), base);
  EXPECT_EQ(seconds_of("2020-10-03T04:26:29-05:30"), base);
  EXPECT_EQ(seconds_of("2020-10-02T23:56:29-10:00"), base);
  EXPECT_EQ(seconds_of("2020-10-03T09:56:29-00:00"), base);
  EXPECT_EQ(parse_rfc3339("2020-10-03T09:56:29.5Z")->since_epoch.count(), base * 1000 + 500);
  EXPECT_EQ(parse_rfc3339("2020-10-03T09:56:29.0459999Z")->since_epoch.count(), base * 1000 + 45);
  EXPECT_EQ(parse_rfc3339("1969-12-31T23:59:59.250Z")->since_epoch.count(), -750);
  EXPECT_EQ(seconds_of("2038-01-19T03:14:08Z"), std::int64_t{1} << 31);
  EXPECT_EQ(seconds_of("9999-12-31T23:59:59Z"), 253'402'300'799);
}

TEST(Rfc3339, CountsALeapSecondAsTheNextMinute) {
  EXPECT_EQ(seconds_of("2016-12-31T23:59:60Z"), seconds_of("2017-01-01T00:00:00Z"));
}

TEST(Rfc3339, RefusesWhatIsNotATime) {
  for (const char* text : {"",
                           "2020-10-03",
                           "2020-10-03T09:56:29",
                           "2020-10-03 09:56:29Z",
                           "2020-10-03T09:56Z",
                           "2020-10-03T24:00:00Z",
                           "2020-10-03T09:60:00Z",
                           "2020-10-03T09:56:61Z",
                           "2020-13-03T09:56:29Z",
                           "2020-10-03T09:56:29.Z",
                           "2020-10-03T09:56:29.5",
                           "2020-10-03T09:56:29ZZ",
                           "2020-10-03T09:56:29+0200",
                           "2020-10-03T09:56:29+02",
                           "2020-10-03T09:56:29+24:00",
                           "2020-10-03T09:56:29+02:60",
                           "2020-10-03T09:56:29+02:00x",
                           "1601718989",
                           "2020-10-03T09:56:29 Z",
                           "2020-10-03T-9:56:29Z",
                           "2020-10-03T09:56:+9Z",
                           "Sat, 03 Oct 2020 09:56:29 GMT"}) {
    const auto time = parse_rfc3339(text);
    ASSERT_FALSE(time.ok()) << text;
    EXPECT_EQ(time.error().code, Code::invalid);
  }
}

TEST(Rfc3339, RoundTripsOverTwoCenturies) {
  for (std::int64_t s = -3'000'000'000; s < 6'000'000'000; s += 9'999'991)
    ASSERT_EQ(seconds_of(rfc3339(WallTime::from_seconds(s))), s);
}

TEST(WallTime, FloorsItsSecondsBelowZeroToo) {
  EXPECT_EQ(WallTime{Milliseconds(1'999)}.seconds().count(), 1);
  EXPECT_EQ(WallTime{Milliseconds(-1)}.seconds().count(), -1);
}

}  // namespace
}  // namespace meterd
