// Events with ids count once; events with a time of their own are dated by it, within what is accepted.
#include "agent/ingest/batcher.hpp"
#include "tests/ingest/bench.hpp"

namespace meterd::ingest {
namespace {

using meter::Refusal;
using test::Bench;
using test::BenchOptions;
using test::q;
using test::utc;
using ::testing::ElementsAre;
using ::testing::Pair;

constexpr Milliseconds kDay{86'400'000};

std::size_t position_of(const Batcher::Counted& counted) {
  EXPECT_FALSE(counted.refusal);
  return counted.identified.value_or(9'999);
}

TEST(EventIds, CountOnceWithinAWindow) {
  Bench bench;
  EXPECT_EQ(position_of(bench.with_id("a")), 0U);
  EXPECT_EQ(position_of(bench.with_id("b")), 1U);
  EXPECT_EQ(position_of(bench.with_id("a")), 2U);
  test::must(bench.commit());
  EXPECT_THAT(bench.outcome.duplicate, ElementsAre(false, false, true));
  EXPECT_THAT(bench.open(), ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "2")));
  EXPECT_EQ(bench.batcher().stats().events, 2U);
  EXPECT_EQ(bench.batcher().stats().duplicates, 1U);
}

TEST(EventIds, CountOnceAcrossWindows) {
  Bench bench;
  for (int window = 0; window < 5; ++window) {
    EXPECT_FALSE(bench.with_id("a").refusal);
    test::must(bench.commit());
    EXPECT_EQ(bench.outcome.duplicate.at(0), window > 0);
  }
  EXPECT_EQ(bench.accepted(), q("1"));
}

TEST(EventIds, CountOnceAcrossRestartsAndReboots) {
  Bench bench;
  EXPECT_FALSE(bench.with_id("a").refusal);
  test::must(bench.commit());
  bench.restart();
  EXPECT_FALSE(bench.with_id("a").refusal);
  test::must(bench.commit());
  bench.reboot("boot-2");
  EXPECT_FALSE(bench.with_id("a").refusal);
  test::must(bench.commit());
  EXPECT_EQ(bench.accepted(), q("1"));
}

TEST(EventIds, AreNotRememberedWhenTheirWindowWasLost) {
  Bench bench;
  EXPECT_FALSE(bench.with_id("a").refusal);
  bench.restart();
  EXPECT_FALSE(bench.with_id("a").refusal);
  test::must(bench.commit());
  EXPECT_EQ(bench.accepted(), q("1")) << "the id and its count are stored together or not at all";
}

TEST(EventIds, BelongToTheirProducer) {
  Bench bench;
  meter::EventView event;
  event.name = "sms.sent";
  event.subscription = "sub_1";
  event.quantity = Quantity::of(1);
  event.id = "a";
  for (const char* producer : {"one", "two", "one"}) {
    event.producer = producer;
    EXPECT_FALSE(bench.count(event).refusal);
  }
  test::must(bench.commit());
  EXPECT_THAT(bench.outcome.duplicate, ElementsAre(false, false, true));
}

TEST(EventIds, CountOnceThroughoutRememberIds) {
  Bench bench;
  EXPECT_FALSE(bench.with_id("a").refusal);
  test::must(bench.commit());
  for (int day = 1; day <= 7; ++day) {
    bench.advance(kDay);
    EXPECT_FALSE(bench.with_id("a").refusal);
    test::must(bench.commit());
  }
  EXPECT_EQ(bench.accepted(), q("1"));
}

TEST(EventIds, AreForgottenAfterRememberIdsAndLeaveTheTable) {
  Bench bench;
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(bench.with_id("old-" + std::to_string(i)).refusal);
  test::must(bench.commit());
  EXPECT_EQ(bench.outcome.remembered_ids, 100U);
  bench.advance(10 * kDay);
  EXPECT_FALSE(bench.with_id("new").refusal);
  test::must(bench.commit());
  EXPECT_EQ(bench.outcome.remembered_ids, 1U);
  EXPECT_FALSE(bench.with_id("old-1").refusal);
  test::must(bench.commit());
  EXPECT_EQ(bench.accepted(), q("102"));
}

TEST(EventIds, OlderThanRememberIdsAreTooOld) {
  Bench bench;
  const auto now = bench.clock().wall().time;
  EXPECT_FALSE(bench.with_id("in time", now - 7 * kDay).refusal);
  EXPECT_EQ(bench.with_id("late", now - 7 * kDay - Milliseconds(1)).refusal, Refusal::too_old);
}

// Accepted five minutes early, repeated as late as it may be: nine calendar days are touched.
TEST(EventIds, CountOnceFromTheFutureToTheEndOfRememberIds) {
  Bench bench;
  bench.at("2027-01-15T23:57:00Z");
  const auto time = utc("2027-01-16T00:02:00Z");
  EXPECT_FALSE(bench.with_id("a", time).refusal);
  test::must(bench.commit());
  bench.at("2027-01-23T00:02:00Z");
  EXPECT_FALSE(bench.with_id("a", time).refusal) << "exactly remember_ids old";
  test::must(bench.commit());
  EXPECT_THAT(bench.outcome.duplicate, ElementsAre(true));
  EXPECT_EQ(bench.accepted(), q("1"));
}

TEST(EventIds, CountOnceWhenTheClockIsLostAfterMidnight) {
  Bench bench;
  bench.at("2027-01-15T23:30:00Z");
  EXPECT_FALSE(bench.with_id("before").refusal);
  test::must(bench.commit());
  bench.at("2027-01-16T00:05:00Z");
  EXPECT_FALSE(bench.with_id("a").refusal);
  test::must(bench.commit());
  bench.clock().set_trusted(false);
  bench.reboot("boot-2");
  EXPECT_FALSE(bench.with_id("a").refusal);
  test::must(bench.commit());
  EXPECT_THAT(bench.outcome.duplicate, ElementsAre(true));
}

TEST(EventIds, CountOnceWhenTheClockStepsBackOverMidnight) {
  Bench bench;
  bench.at("2027-01-16T00:00:30Z");
  EXPECT_FALSE(bench.with_id("a").refusal);
  test::must(bench.commit());
  bench.at("2027-01-15T23:59:30Z");
  EXPECT_FALSE(bench.with_id("a").refusal);
  test::must(bench.commit());
  EXPECT_THAT(bench.outcome.duplicate, ElementsAre(true));
  EXPECT_EQ(bench.accepted(), q("1"));
}

TEST(EventIds, CountOnceWhenTheClockWasLostForLongerThanTheyAreKept) {
  Bench bench;
  bench.at("2027-01-15T12:00:00Z");
  EXPECT_FALSE(bench.with_id("before").refusal);
  test::must(bench.commit());
  bench.clock().set_trusted(false);
  bench.reboot("boot-2");  // ten days without power, and no clock yet
  EXPECT_FALSE(bench.with_id("a").refusal);
  test::must(bench.commit());
  bench.at("2027-01-25T12:00:00Z");
  bench.clock().set_trusted(true);
  for (int repeat = 0; repeat < 2; ++repeat) {  // the second time it has been moved to its day
    EXPECT_FALSE(bench.with_id("a").refusal);
    test::must(bench.commit());
    EXPECT_THAT(bench.outcome.duplicate, ElementsAre(true));
  }
}

// One window, one series: today, yesterday with an id, yesterday, today.
TEST(EventTime, KeepsTheDaysOfOneWindowApart) {
  Bench bench;
  bench.at("2027-01-16T12:00:00Z");
  const auto count = [&](std::string_view time, std::string_view id) {
    meter::EventView event;
    event.name = "sms.sent";
    event.subscription = "sub_1";
    event.quantity = Quantity::of(1);
    event.time = utc(time);
    event.producer = id.empty() ? "" : "p";
    event.id = id;
    EXPECT_FALSE(bench.batcher().count(event, bench.clock().wall()).refusal);
  };
  count("2027-01-16T11:00:00Z", "");
  count("2027-01-15T11:00:00Z", "with an id");
  count("2027-01-15T11:00:00Z", "");
  count("2027-01-16T11:00:00Z", "");
  test::must(bench.commit());
  std::map<std::string, std::string> days;
  for (const auto& row : test::must(read_balances(bench.journal(), 10)))
    days[row.key.day.iso()] = row.balance.accepted.text();
  EXPECT_EQ(days["2027-01-15"], "2");
  EXPECT_EQ(days["2027-01-16"], "2");
}

TEST(EventTime, DatesTheEvent) {
  Bench bench;
  meter::EventView event;
  event.name = "sms.sent";
  event.subscription = "sub_1";
  event.quantity = Quantity::of(1);
  event.time = utc("2026-12-31T23:59:59Z");
  EXPECT_FALSE(bench.count(event).refusal);
  event.time = utc("2027-01-01T01:00:00+02:00");
  EXPECT_FALSE(bench.count(event).refusal);
  test::must(bench.commit());
  EXPECT_THAT(bench.open(), ElementsAre(Pair("2026-12-31 sub_1 sms-usd", "2")));
}

TEST(EventTime, IsAcceptedFromAcceptPastToAcceptFuture) {
  Bench bench;
  meter::EventView event;
  event.name = "sms.sent";
  event.subscription = "sub_1";
  event.quantity = Quantity::of(1);
  const auto now = bench.clock().wall().time;
  const auto at = [&](Milliseconds offset) {
    event.time = now + offset;
    return bench.count(event).refusal;
  };
  EXPECT_EQ(at(-400 * kDay), std::nullopt);
  EXPECT_EQ(at(-400 * kDay - Milliseconds(1)), Refusal::too_old);
  EXPECT_EQ(at(Milliseconds(300'000)), std::nullopt);
  EXPECT_EQ(at(Milliseconds(300'001)), Refusal::in_future);
  EXPECT_EQ(bench.refused(Refusal::too_old), 1U);
  EXPECT_EQ(bench.refused(Refusal::in_future), 1U);
}

}  // namespace
}  // namespace meterd::ingest
