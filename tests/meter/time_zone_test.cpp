// Usage days in real zones: short days, long days, days without a midnight.
#include "agent/meter/time_zone.hpp"

#include <gtest/gtest.h>

#include "tests/support/rounds.hpp"

namespace meterd::meter {
namespace {

UsageDay day(const char* iso) { return *UsageDay::parse(iso); }

TimeZone zone(const std::string& name) {
  auto loaded = TimeZone::load(name);
  EXPECT_TRUE(loaded.ok()) << name;
  return loaded ? *loaded : TimeZone();
}

std::int64_t at(const char* text) { return parse_rfc3339(text)->seconds().count(); }

std::int64_t length(const TimeZone& where, const char* iso) {
  const auto bounds = where.bounds(day(iso));
  return bounds.end - bounds.start;
}

TEST(TimeZoneLoad, RefusesUnknownNamesAndSaysWhich) {
  for (const char* name : {"Mars/Olympus", "europe/berlin ", "Europe", "../../etc/passwd"}) {
    const auto loaded = TimeZone::load(name);
    ASSERT_FALSE(loaded.ok()) << name;
    EXPECT_EQ(loaded.error().code, Code::invalid);
    EXPECT_NE(loaded.error().message.find(name), std::string::npos);
  }
}

TEST(TimeZoneDefault, IsUtc) {
  const TimeZone utc;
  EXPECT_EQ(utc.name(), "UTC");
  EXPECT_EQ(utc.day_of(WallTime::from_seconds(-1)), UsageDay(-1));
  EXPECT_EQ(utc.day_of(WallTime::from_seconds(0)), UsageDay(0));
  EXPECT_EQ(utc.day_of(WallTime{Milliseconds(-1)}), UsageDay(-1));
  EXPECT_EQ(utc.bounds(UsageDay(1)).start, 86'400);
  EXPECT_EQ(utc.bounds(UsageDay(1)).end, 172'800);
  EXPECT_EQ(utc.day_of(WallTime::from_seconds(at("2045-06-01T12:00:00Z"))), day("2045-06-01"));
}

TEST(TimeZoneBounds, HaveTwentyThreeAndTwentyFiveHoursInBerlinWhenClocksChange) {
  const auto berlin = zone("Europe/Berlin");
  EXPECT_EQ(berlin.name(), "Europe/Berlin");
  EXPECT_EQ(length(berlin, "2026-03-28"), 24 * 3600);
  EXPECT_EQ(length(berlin, "2026-03-29"), 23 * 3600);
  EXPECT_EQ(length(berlin, "2026-10-25"), 25 * 3600);
  EXPECT_EQ(berlin.bounds(day("2026-03-29")).start, at("2026-03-28T23:00:00Z"));
  EXPECT_EQ(berlin.bounds(day("2026-03-29")).end, at("2026-03-29T22:00:00Z"));
  EXPECT_EQ(berlin.day_of(WallTime::from_seconds(at("2026-07-01T21:59:59Z"))), day("2026-07-01"));
  EXPECT_EQ(berlin.day_of(WallTime::from_seconds(at("2026-07-01T22:00:00Z"))), day("2026-07-02"));
}

TEST(TimeZoneBounds, StartAfterTheGapWhereMidnightDoesNotExist) {
  const auto sao_paulo = zone("America/Sao_Paulo");  // 2018-11-04: 00:00 became 01:00
  EXPECT_EQ(sao_paulo.bounds(day("2018-11-04")).start, at("2018-11-04T01:00:00-02:00"));
  EXPECT_EQ(length(sao_paulo, "2018-11-04"), 23 * 3600);
  EXPECT_EQ(sao_paulo.day_of(WallTime::from_seconds(at("2018-11-03T23:59:59-03:00"))), day("2018-11-03"));
  EXPECT_EQ(sao_paulo.day_of(WallTime::from_seconds(at("2018-11-04T01:00:00-02:00"))), day("2018-11-04"));
  const auto beirut = zone("Asia/Beirut");  // 2022-03-27: the same; 2022-10-30: 00:00 became 23:00
  EXPECT_EQ(beirut.bounds(day("2022-03-27")).start, at("2022-03-27T01:00:00+03:00"));
  EXPECT_EQ(length(beirut, "2022-03-27"), 23 * 3600);
  EXPECT_EQ(length(beirut, "2022-10-29"), 25 * 3600);
  EXPECT_EQ(length(beirut, "2022-10-30"), 24 * 3600);
}

TEST(TimeZoneBounds, StartAtTheFirstOfTwoMidnights) {
  const auto havana = zone("America/Havana");  // 2021-11-07: 01:00 became 00:00
  EXPECT_EQ(havana.bounds(day("2021-11-07")).start, at("2021-11-07T00:00:00-04:00"));
  EXPECT_EQ(length(havana, "2021-11-07"), 25 * 3600);
}

TEST(TimeZoneBounds, FollowHalfAndQuarterHourZones) {
  EXPECT_EQ(zone("Asia/Kolkata").bounds(day("2026-11-22")).start, at("2026-11-21T18:30:00Z"));
  EXPECT_EQ(zone("Asia/Kathmandu").bounds(day("2026-11-22")).start, at("2026-11-21T18:15:00Z"));
  const auto lord_howe = zone("Australia/Lord_Howe");  // changes by half an hour
  EXPECT_EQ(length(lord_howe, "2026-10-04"), 23 * 3600 + 1800);
  EXPECT_EQ(length(lord_howe, "2026-04-05"), 24 * 3600 + 1800);
}

TEST(TimeZoneBounds, AreEmptyForADayThatAZoneLeftOut) {
  const auto apia = zone("Pacific/Apia");  // went from 2011-12-29 to 2011-12-31
  EXPECT_EQ(length(apia, "2011-12-30"), 0);
  EXPECT_EQ(length(apia, "2011-12-29"), 24 * 3600);
  EXPECT_EQ(length(apia, "2011-12-31"), 24 * 3600);
}

// Each instant lies inside the bounds of its own day, and nowhere else: what a usage_date relies on. St
// John's put its clocks back at 00:01 until 2011, so a midnight came twice and a minute apart from an hour.
TEST(TimeZoneDays, AreExactlyTheInstantsWithinTheirBounds) {
  for (const char* name :
       {"UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Beirut", "America/St_Johns", "America/Havana",
        "Atlantic/Azores", "Australia/Lord_Howe", "Asia/Gaza", "America/Nuuk", "Africa/Casablanca",
        "Pacific/Apia", "Pacific/Kiritimati", "Asia/Tehran", "Antarctica/Troll"}) {
    const auto where = zone(name);
    const auto first = day("2005-01-01").days_since_epoch();
    const auto last = day("2040-01-01").days_since_epoch();
    for (auto d = last - testing::rounds(last - first); d < last; ++d) {
      const UsageDay today(d);
      const auto bounds = where.bounds(today);
      ASSERT_EQ(bounds.end, where.bounds(UsageDay(d + 1)).start);
      ASSERT_GE(bounds.end, bounds.start) << name << " " << today.iso();
      for (std::int64_t s = bounds.start; s < bounds.end; s += 1'800)
        ASSERT_EQ(where.day_of(WallTime::from_seconds(s)), today)
            << name << " " << rfc3339(WallTime::from_seconds(s));
      if (bounds.start < bounds.end) {
        ASSERT_EQ(where.day_of(WallTime::from_seconds(bounds.end - 1)), today) << name << " " << today.iso();
      }
    }
  }
}

}  // namespace
}  // namespace meterd::meter
