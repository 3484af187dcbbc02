// An untrusted clock dates nothing: quantities wait in slices of time since boot until the clock is trusted.
#include "agent/ingest/batcher.hpp"
#include "tests/ingest/bench.hpp"

namespace meterd::ingest {
namespace {

using meter::Refusal;
using test::Bench;
using test::BenchOptions;
using test::meter_of;
using test::q;
using test::utc;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr Milliseconds kInterval{10'000};
constexpr Milliseconds kMinute{60'000};

class UntrustedClock : public ::testing::Test {
 protected:
  UntrustedClock() { start(bench_); }
  static void start(Bench& bench) {
    bench.clock().set_trusted(false);
    bench.at("1970-01-01T00:00:07Z");
  }
  static void trust(Bench& bench, std::string_view now) {
    bench.at(now);
    bench.clock().set_trusted(true);
    bench.advance(2 * kInterval);
  }
  Bench bench_;
};

// Counted under a trusted clock, committed under one that somebody has stepped meanwhile.
TEST(SteppedClock, DoesNotPutOffTheSealOfWhatWasDatedBefore) {
  Bench bench;
  bench.at("2027-01-15T12:00:00Z");
  EXPECT_FALSE(bench.sms("5").refusal);
  bench.clock().set_trusted(false);
  bench.at("2090-01-01T00:00:00Z");
  bench.advance(2 * kInterval);
  EXPECT_THAT(bench.open(), ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "5")));
  const auto due = test::must(journal::read_next_seal(bench.journal()));
  ASSERT_TRUE(due.has_value());
  EXPECT_LT(WallTime::from_seconds(*due), utc("2027-01-17T00:00:00Z"));
}

TEST_F(UntrustedClock, DatesNothing) {
  EXPECT_FALSE(bench_.sms().refusal);
  bench_.advance(10 * kMinute);
  EXPECT_THAT(bench_.open(), IsEmpty());
  EXPECT_EQ(bench_.undated_slices(), 1U);
}

TEST_F(UntrustedClock, KeepsSlicesOfAtMostAMinute) {
  for (int second = 0; second < 300; ++second) {
    EXPECT_FALSE(bench_.sms().refusal);
    bench_.advance(Milliseconds(1'000));
  }
  bench_.advance(kInterval);
  EXPECT_EQ(bench_.undated_slices(), 5U);
}

TEST_F(UntrustedClock, IsDatedToTheRightDayOverMidnight) {
  // Time since boot at the start: one minute. Trusted time comes six minutes later, at 00:03.
  EXPECT_FALSE(bench_.sms("1").refusal);  // 23:57
  bench_.advance(2 * kMinute);
  EXPECT_FALSE(bench_.sms("2").refusal);  // 23:59
  bench_.advance(kMinute);
  EXPECT_FALSE(bench_.sms("4").refusal);  // 00:00
  bench_.advance(3 * kMinute);
  EXPECT_FALSE(bench_.sms("8").refusal);  // 00:03
  trust(bench_, "2027-01-16T00:03:00Z");
  EXPECT_THAT(bench_.open(),
              ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "3"), Pair("2027-01-16 sub_1 sms-usd", "12")));
  EXPECT_EQ(bench_.undated_slices(), 0U);
  bench_.expect_sound();
}

TEST_F(UntrustedClock, IsDatedInTheMetersZoneWithItsDaylightSaving) {
  BenchOptions options;
  options.meters = {meter_of("sms.sent", "berlin", "Europe/Berlin"), meter_of("sms.sent", "utc")};
  Bench bench(options);
  start(bench);
  EXPECT_FALSE(
      bench.sms("1").refusal);  // 2027-03-28 21:58 UTC: 23:58 in Berlin since that morning, not 22:58
  bench.advance(3 * kMinute);
  EXPECT_FALSE(bench.sms("2").refusal);  // 22:01 UTC: 00:01 of the 29th
  trust(bench, "2027-03-28T22:01:00Z");
  EXPECT_THAT(bench.open(),
              ElementsAre(Pair("2027-03-28 sub_1 berlin", "1"), Pair("2027-03-28 sub_1 utc", "3"),
                          Pair("2027-03-29 sub_1 berlin", "2")));
}

TEST_F(UntrustedClock, KeepsSlicesThroughARestartAndDatesThemThen) {
  EXPECT_FALSE(bench_.sms("5").refusal);
  test::must(bench_.commit());
  bench_.advance(2 * kMinute);
  bench_.restart();
  EXPECT_EQ(bench_.undated_slices(), 1U);
  trust(bench_, "2027-01-16T00:01:00Z");
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "5")));
}

TEST_F(UntrustedClock, LeavesTheSlicesOfAnotherBootUndated) {
  EXPECT_FALSE(bench_.sms("5").refusal);
  test::must(bench_.commit());
  bench_.reboot("boot-2");
  EXPECT_FALSE(bench_.sms("7").refusal);
  trust(bench_, "2027-01-16T12:00:00Z");
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-16 sub_1 sms-usd", "7")));
  EXPECT_EQ(bench_.undated_slices(), 1U) << "held until an operator dates the boot";
}

TEST_F(UntrustedClock, DatesWhatTheOpenWindowHeldWhenTheClockBecameTrusted) {
  trust(bench_, "2027-01-16T12:00:00Z");  // the journal holds no slices, and the batcher knows it
  bench_.clock().set_trusted(false);
  EXPECT_FALSE(bench_.sms("5").refusal);
  bench_.clock().set_trusted(true);
  bench_.advance(3 * kInterval);
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-16 sub_1 sms-usd", "5")));
  EXPECT_EQ(bench_.undated_slices(), 0U);
}

TEST_F(UntrustedClock, DatesIdentifiedEventsToo) {
  trust(bench_, "2027-01-16T12:00:00Z");
  bench_.clock().set_trusted(false);
  EXPECT_FALSE(bench_.with_id("a").refusal);
  bench_.clock().set_trusted(true);
  bench_.advance(3 * kInterval);
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-16 sub_1 sms-usd", "1")));
}

TEST_F(UntrustedClock, MixesWithTrustedTimeInOneWindow) {
  trust(bench_, "2027-01-16T12:00:00Z");
  EXPECT_FALSE(bench_.sms("1").refusal);
  bench_.clock().set_trusted(false);
  EXPECT_FALSE(bench_.sms("2").refusal);
  bench_.clock().set_trusted(true);
  EXPECT_FALSE(bench_.sms("4").refusal);
  bench_.clock().set_trusted(false);
  test::must(bench_.commit());
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-16 sub_1 sms-usd", "5")));
  EXPECT_EQ(bench_.undated_slices(), 1U);
}

TEST_F(UntrustedClock, RefusesAnEventThatCarriesItsOwnTime) {
  EXPECT_EQ(bench_.with_id("a", utc("2027-01-16T12:00:00Z")).refusal, Refusal::clock_untrusted);
  meter::EventView event;
  event.name = "sms.sent";
  event.subscription = "sub_1";
  event.quantity = Quantity::of(1);
  event.time = utc("1970-01-01T00:00:00Z");
  EXPECT_EQ(bench_.count(event).refusal, Refusal::clock_untrusted);
  EXPECT_EQ(bench_.refused(Refusal::clock_untrusted), 2U);
}

TEST_F(UntrustedClock, LosesNothingOfASliceThatOutgrowsFortyCharacters) {
  const std::string most(40, '9');
  EXPECT_FALSE(bench_.sms(most).refusal);
  test::must(bench_.commit());
  EXPECT_FALSE(bench_.sms(most).refusal);
  EXPECT_FALSE(bench_.sms("0.5").refusal);
  test::must(bench_.commit());
  EXPECT_EQ(bench_.undated_slices(), 1U);
  trust(bench_, "2027-01-16T12:00:00Z");
  EXPECT_EQ(bench_.undated_slices(), 0U);
  EXPECT_EQ(bench_.accepted(), q(most) + q(most) + q("0.5"));
  bench_.expect_sound();
}

TEST_F(UntrustedClock, SealsWhatItDatesByItsOwnMetersRule) {
  BenchOptions options;
  options.meters = {meter_of("data.bytes", "data-usd"), meter_of("sms.sent", "sms-usd")};
  options.seal_rules = {meter::SealRule::with_defaults(86'400), meter::SealRule::with_defaults(900)};
  Bench bench(options);
  start(bench);
  EXPECT_FALSE(bench.sms("5").refusal);
  test::must(bench.commit());
  trust(bench, "2027-01-16T12:01:00Z");
  const auto rows = test::must(journal::read_buckets(bench.journal(), 10));
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].seal_due_s, utc("2027-01-16T12:15:00Z").seconds().count());
}

}  // namespace
}  // namespace meterd::ingest
