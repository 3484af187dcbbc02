// The batcher under a virtual clock: exact counts, when it commits and when it does not, what it refuses.
#include "agent/ingest/batcher.hpp"

#include "agent/base/limits.hpp"
#include "tests/ingest/bench.hpp"

namespace meterd::ingest {
namespace {

using meter::Refusal;
using test::Bench;
using test::BenchOptions;
using test::meter_of;
using test::q;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr Milliseconds kInterval{10'000};

TEST(Batcher, CountsExactly) {
  Bench bench;
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(bench.sms("0.1").refusal);
  EXPECT_FALSE(bench.sms("9007199254740993", "sub_2").refusal);
  EXPECT_FALSE(bench.sms("0.00000000000000000000000000000000000001", "sub_3").refusal);
  test::must(bench.commit());
  EXPECT_THAT(
      bench.open(),
      ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "1"), Pair("2027-01-15 sub_2 sms-usd", "9007199254740993"),
                  Pair("2027-01-15 sub_3 sms-usd", "0.00000000000000000000000000000000000001")));
  EXPECT_EQ(bench.batcher().stats().events, 12U);
  bench.expect_sound();
}

TEST(Batcher, AddsTheWindowsOfADayUp) {
  Bench bench;
  for (int window = 0; window < 20; ++window) {
    EXPECT_FALSE(bench.sms("0.05").refusal);
    test::must(bench.commit());
  }
  EXPECT_THAT(bench.open(), ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "1")));
}

TEST(Batcher, CountsAnEventInAllOfItsMetersOrInNone) {
  BenchOptions options;
  options.meters = {meter_of("sms.sent", "sms-usd"), meter_of("sms.sent", "sms-eur"),
                    meter_of("call", "call-usd")};
  options.subscriptions = {{SubscriptionId("both"), {ItemPriceId("sms-usd"), ItemPriceId("sms-eur")}},
                           {SubscriptionId("one"), {ItemPriceId("sms-usd")}}};
  Bench bench(options);
  EXPECT_FALSE(bench.sms("2", "both").refusal);
  EXPECT_EQ(bench.sms("2", "one").refusal, Refusal::unknown_subscription);
  test::must(bench.commit());
  EXPECT_THAT(bench.open(),
              ElementsAre(Pair("2027-01-15 both sms-eur", "2"), Pair("2027-01-15 both sms-usd", "2")));
}

TEST(Batcher, CommitsReceivedEventsWithTheInterval) {
  Bench bench;
  EXPECT_FALSE(bench.sms().refusal);
  bench.advance(kInterval - Milliseconds(1));
  EXPECT_THAT(bench.open(), IsEmpty());
  EXPECT_TRUE(bench.batcher().holds_uncommitted());
  bench.advance(Milliseconds(1));
  EXPECT_THAT(bench.open(), ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "1")));
  EXPECT_FALSE(bench.batcher().holds_uncommitted());
}

TEST(Batcher, CommitsAtOnceWhenAnAcknowledgementWaits) {
  Bench bench;
  EXPECT_FALSE(bench.sms().refusal);
  test::must(bench.commit());
  EXPECT_THAT(bench.open(), ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "1")));
}

TEST(Batcher, TellsAWaiterOfAnEmptyWindowToo) {
  Bench bench;
  EXPECT_TRUE(bench.commit().ok());
}

TEST(Batcher, AnswersAllWaitersOfAWindowWithOneCommit) {
  Bench bench;
  bench.advance(kInterval);
  const auto before = bench.commits();
  int told = 0;
  for (int i = 0; i < 50; ++i) {
    EXPECT_FALSE(bench.sms().refusal);
    bench.batcher().commit_soon(
        [&](const Status& status, const WindowOutcome&) { told += status.ok() ? 1 : 0; });
  }
  bench.settle();
  EXPECT_EQ(told, 50);
  EXPECT_EQ(bench.commits() - before, 1U);
}

TEST(Batcher, WritesNothingForAnHourWhenNothingIsCounted) {
  Bench bench;
  bench.advance(kInterval);
  EXPECT_FALSE(bench.sms().refusal);
  bench.advance(kInterval);
  const auto before = bench.commits();
  bench.advance(Milliseconds(3'600'000));
  EXPECT_EQ(bench.commits(), before);
  // The negative control: one event is one commit.
  EXPECT_FALSE(bench.sms().refusal);
  bench.advance(kInterval);
  EXPECT_EQ(bench.commits(), before + 1);
}

TEST(Batcher, LosesAtMostTheOpenWindowWhenTheProcessDies) {
  Bench bench;
  EXPECT_FALSE(bench.sms("5").refusal);
  bench.advance(kInterval);
  EXPECT_FALSE(bench.sms("7").refusal);
  bench.restart();
  EXPECT_THAT(bench.open(), ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "5")));
  bench.expect_sound();
}

TEST(Batcher, CommitsTheLastWindowWhenItStops) {
  Bench bench;
  EXPECT_FALSE(bench.sms("3").refusal);
  bench.stop();
  EXPECT_FALSE(bench.batcher().holds_uncommitted());
  EXPECT_THAT(bench.open(), ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "3")));
}

TEST(Batcher, RefusesQuantitiesThatAreNotAboveZero) {
  Bench bench;
  for (const char* quantity : {"0", "0.0", "-1", "-0.5"})
    EXPECT_EQ(bench.sms(quantity).refusal, Refusal::bad_quantity) << quantity;
  EXPECT_EQ(bench.refused(Refusal::bad_quantity), 4U);
  bench.advance(kInterval);
  EXPECT_THAT(bench.open(), IsEmpty());
}

TEST(Batcher, RefusesWhatItDoesNotKnowAndCountsEachReason) {
  Bench bench;
  meter::EventView event;
  event.name = "fax.sent";
  event.subscription = "sub_1";
  event.quantity = Quantity::of(1);
  EXPECT_EQ(bench.count(event).refusal, Refusal::unknown_event);
  EXPECT_EQ(bench.sms("1", "").refusal, Refusal::missing_subscription);
  EXPECT_EQ(bench.sms("1", std::string(101, 's')).refusal, Refusal::bad_id);
  EXPECT_EQ(bench.sms("1", "line\nbreak").refusal, Refusal::bad_id);
  EXPECT_EQ(bench.sms("1", "\xc3\x28").refusal, Refusal::bad_id);
  EXPECT_EQ(bench.with_id(std::string(101, 'i')).refusal, Refusal::bad_id);
  EXPECT_EQ(bench.with_id("tab\t").refusal, Refusal::bad_id);
  EXPECT_EQ(bench.refused(Refusal::unknown_event), 1U);
  EXPECT_EQ(bench.refused(Refusal::missing_subscription), 1U);
  EXPECT_EQ(bench.refused(Refusal::bad_id), 5U);
  EXPECT_EQ(bench.batcher().stats().events, 0U);
}

TEST(Batcher, RefusesAnIdWithoutAProducer) {
  Bench bench;
  meter::EventView event;
  event.name = "sms.sent";
  event.subscription = "sub_1";
  event.quantity = Quantity::of(1);
  event.id = "e-1";
  EXPECT_EQ(bench.count(event).refusal, Refusal::bad_id);
}

TEST(Batcher, SummarisesRefusalsOncePerMinuteAndReasonWithoutTheInput) {
  Bench bench;
  for (int i = 0; i < 500; ++i) EXPECT_TRUE(bench.sms("1", "secret\n").refusal);
  bench.advance(Milliseconds(120'000));
  EXPECT_EQ(bench.log.times("event=events_refused"), 1U);
  EXPECT_THAT(bench.log.text, HasSubstr("reason=bad_id count=500"));
  EXPECT_EQ(bench.log.times("secret"), 0U);
  bench.advance(Milliseconds(600'000));
  EXPECT_EQ(bench.log.times("event=events_refused"), 1U) << "nothing new, nothing said";
}

TEST(Batcher, SummarisesDroppedDatagramsOncePerMinute) {
  Bench bench;
  bench.batcher().stats().datagrams_dropped = 7;
  bench.advance(Milliseconds(120'000));
  EXPECT_EQ(bench.log.times("event=datagrams_dropped"), 1U);
  EXPECT_THAT(bench.log.text, HasSubstr("event=datagrams_dropped count=7 do="));
  bench.advance(Milliseconds(120'000));
  EXPECT_EQ(bench.log.times("event=datagrams_dropped"), 1U) << "nothing new, nothing said";
  bench.batcher().stats().datagrams_dropped += 2;
  bench.advance(Milliseconds(120'000));
  EXPECT_THAT(bench.log.text, HasSubstr("event=datagrams_dropped count=2 do="));
}

TEST(Batcher, SealsABucketThatWouldOutgrowFortyCharactersAndLosesNothing) {
  Bench bench;
  const std::string most(40, '9');
  EXPECT_FALSE(bench.sms(most).refusal);
  test::must(bench.commit());
  EXPECT_FALSE(bench.sms("1").refusal);
  test::must(bench.commit());
  EXPECT_THAT(bench.sealed(), ElementsAre(most));
  EXPECT_THAT(bench.open(), ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "1")));
  EXPECT_EQ(bench.accepted(), q(most) + q("1"));
  bench.expect_sound();
}

TEST(Batcher, LosesNothingWhenOneWindowOutgrowsFortyCharacters) {
  const std::string most(40, '9');
  for (const auto& quantities : std::vector<std::vector<std::string>>{
           {most, most, most},
           {most, "0.5"},
           {"1000", "0.00000000000000000000000000000000000001"},
           {"99999999999999999999.9999999999999999999", "99999999999999999999.9999999999999999999"},
           {"5" + std::string(39, '0'), "5" + std::string(39, '0'), std::string(38, '9') + ".1", most}}) {
    Bench bench;
    Quantity sum;
    for (const auto& quantity : quantities) {
      EXPECT_FALSE(bench.sms(quantity).refusal);
      sum += q(quantity);
    }
    EXPECT_TRUE(bench.commit().ok()) << quantities.front();
    EXPECT_EQ(bench.accepted(), sum) << quantities.front();
    for (const auto& quantity : bench.sealed()) EXPECT_LE(quantity.size(), limits::kQuantityMax);
    EXPECT_FALSE(bench.sms("1").refusal);
    EXPECT_TRUE(bench.commit().ok()) << "and counting goes on";
    EXPECT_EQ(bench.report().accepted, sum + q("1"));
    bench.expect_sound();
  }
}

TEST(Batcher, CountsAnotherDayOfItsOwnInOneWindow) {
  Bench bench;
  bench.at("2027-01-15T23:59:59Z");
  EXPECT_FALSE(bench.sms("1").refusal);
  bench.at("2027-01-16T00:00:00Z");
  EXPECT_FALSE(bench.sms("2").refusal);
  bench.at("2027-01-15T23:59:59Z");
  EXPECT_FALSE(bench.sms("4").refusal);
  test::must(bench.commit());
  EXPECT_THAT(bench.open(),
              ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "5"), Pair("2027-01-16 sub_1 sms-usd", "2")));
}

TEST(Batcher, DatesEachMeterInItsOwnZone) {
  BenchOptions options;
  options.meters = {meter_of("sms.sent", "utc"), meter_of("sms.sent", "tokyo", "Asia/Tokyo"),
                    meter_of("sms.sent", "la", "America/Los_Angeles")};
  Bench bench(options);
  bench.at("2027-01-15T20:00:00Z");
  EXPECT_FALSE(bench.sms().refusal);
  bench.at("2027-01-16T02:00:00Z");
  EXPECT_FALSE(bench.sms().refusal);
  test::must(bench.commit());
  EXPECT_THAT(bench.open(),
              UnorderedElementsAre(Pair("2027-01-15 sub_1 utc", "1"), Pair("2027-01-16 sub_1 utc", "1"),
                                   Pair("2027-01-16 sub_1 tokyo", "2"), Pair("2027-01-15 sub_1 la", "2")));
}

TEST(Batcher, ForgetsNoLegWhenItsCacheOfRoutesIsEmptied) {
  Bench bench;
  const auto name = [](std::size_t i) { return "s" + std::to_string(i); };
  for (std::size_t i = 0; i < 100; ++i) EXPECT_FALSE(bench.sms("1", name(i)).refusal);
  test::must(bench.commit());
  for (std::size_t i = 0; i < 100; ++i) EXPECT_FALSE(bench.sms("1", name(i)).refusal);
  test::must(bench.commit());
  EXPECT_EQ(bench.open().size(), 100U);
  EXPECT_EQ(bench.accepted(), q("200"));
}

// A closed loop: who was answered together reports again, one a moment after the other.
class BatcherGathers : public ::testing::Test {
 protected:
  void report() {
    EXPECT_FALSE(bench.sms().refusal);
    bench.batcher().commit_soon([this](const Status&, const WindowOutcome&) { ++answered; });
  }
  void report_together(int reporters) {
    for (int i = 0; i < reporters; ++i) report();
    bench.settle();
    ASSERT_EQ(answered, reporters);
  }
  Bench bench;
  int answered = 0;
};

TEST_F(BatcherGathers, TheReportersOfTheLastCommitIntoOneMore) {
  report_together(3);
  const auto commits = bench.commits();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(answered, 3) << "it waits for the others";
    report();
    bench.settle();
  }
  EXPECT_EQ(answered, 6);
  EXPECT_EQ(bench.commits(), commits + 1);
}

TEST_F(BatcherGathers, ForAMillisecondAtMost) {
  report_together(3);
  report();
  bench.settle();
  EXPECT_EQ(answered, 3);
  bench.advance(Milliseconds(1));
  EXPECT_EQ(answered, 4);
  report();
  bench.settle();
  EXPECT_EQ(answered, 5) << "the others did not come back: nobody waits for them again";
}

}  // namespace
}  // namespace meterd::ingest
