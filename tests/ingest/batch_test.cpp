// Batches: sequences count once, errors are by position, and a refusal for now stops the sequence where it
// stands.
#include "agent/ingest/batch.hpp"

#include "agent/base/limits.hpp"
#include "tests/ingest/bench.hpp"

namespace meterd::ingest {
namespace {

using meter::Refusal;
using test::Bench;
using test::q;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> errors_of(const v1::Ack& ack) {
  std::vector<std::string> out;
  for (const auto& error : ack.errors()) {
    EXPECT_FALSE(error.message().empty());
    out.push_back(std::to_string(error.position()) + " " + error.code());
  }
  return out;
}

class BatchTest : public ::testing::Test {
 protected:
  static v1::Batch batch(std::uint64_t sequence, int events, const std::string& producer = "app") {
    v1::Batch out;
    out.set_sequence(sequence);
    out.set_producer(producer);
    for (int i = 0; i < events; ++i) {
      auto* event = out.add_events();
      event->set_name("sms.sent");
      event->set_subscription("sub_1");
    }
    return out;
  }
  void learn(const std::string& producer = "app") {
    if (!producers_.knows(producer))
      producers_.learn(producer, test::must(journal::read_producer(bench_.journal(), producer)));
  }
  v1::Ack send(const v1::Batch& batch) {
    if (batch.sequence() != 0) learn(batch.producer());
    auto pending = count_batch(batch, bench_.batcher(), producers_);
    const Status committed = bench_.commit();
    settle_ack(pending, committed, bench_.outcome);
    return pending.ack;
  }
  void restart() {
    bench_.restart();
    producers_ = {};
  }

  Bench bench_;
  ProducerTable producers_;
};

TEST_F(BatchTest, CountsAndAcknowledges) {
  const auto ack = send(batch(0, 3));
  EXPECT_EQ(ack.level(), v1::COMMITTED);
  EXPECT_EQ(ack.counted(), 3U);
  EXPECT_EQ(ack.duplicates(), 0U);
  EXPECT_EQ(ack.error(), "");
  EXPECT_EQ(bench_.accepted(), q("3"));
}

TEST_F(BatchTest, OfNothingIsAcknowledged) {
  EXPECT_EQ(send(batch(0, 0)).counted(), 0U);
  EXPECT_EQ(send(batch(7, 0)).counted(), 0U);
}

TEST_F(BatchTest, SaysWhetherItWaitsForTheCommit) {
  auto one = batch(0, 1);
  EXPECT_TRUE(count_batch(one, bench_.batcher(), producers_).needs_commit) << "committed is the default";
  one.set_ack(v1::RECEIVED);
  const auto pending = count_batch(one, bench_.batcher(), producers_);
  EXPECT_FALSE(pending.needs_commit);
  EXPECT_EQ(pending.ack.level(), v1::RECEIVED);
}

TEST_F(BatchTest, WithoutSequenceCountsEveryTime) {
  send(batch(0, 2));
  EXPECT_EQ(send(batch(0, 2)).duplicates(), 0U);
  EXPECT_EQ(bench_.accepted(), q("4"));
}

TEST_F(BatchTest, RepeatedIsADuplicate) {
  send(batch(1, 5));
  const auto again = send(batch(1, 5));
  EXPECT_EQ(again.counted(), 0U);
  EXPECT_EQ(again.duplicates(), 5U);
  EXPECT_EQ(bench_.accepted(), q("5"));
  EXPECT_EQ(bench_.batcher().stats().duplicates, 5U);
}

TEST_F(BatchTest, ThatOverlapsCountsOnlyItsNewPart) {
  send(batch(1, 5));
  const auto ack = send(batch(4, 5));
  EXPECT_EQ(ack.counted(), 3U);
  EXPECT_EQ(ack.duplicates(), 2U);
  EXPECT_EQ(bench_.accepted(), q("8"));
}

TEST_F(BatchTest, AfterAGapCountsAndTheGapIsNoted) {
  send(batch(1, 5));
  EXPECT_EQ(bench_.batcher().stats().sequence_gaps, 0U);
  EXPECT_EQ(send(batch(10, 1)).counted(), 1U);
  EXPECT_EQ(bench_.batcher().stats().sequence_gaps, 1U);
  EXPECT_EQ(send(batch(6, 4)).duplicates(), 4U) << "what is below the highest ever counted is a duplicate";
}

TEST_F(BatchTest, OfANewProducerMayStartAnywhere) {
  EXPECT_EQ(send(batch(1'000'000, 1)).counted(), 1U);
  EXPECT_EQ(bench_.batcher().stats().sequence_gaps, 0U);
}

TEST_F(BatchTest, RepeatedAfterARestartIsADuplicate) {
  send(batch(1, 5));
  restart();
  const auto again = send(batch(1, 7));
  EXPECT_EQ(again.duplicates(), 5U);
  EXPECT_EQ(again.counted(), 2U);
  EXPECT_EQ(bench_.accepted(), q("7"));
}

TEST_F(BatchTest, WhoseWindowWasLostCountsWhenRepeated) {
  learn();
  (void)count_batch(batch(1, 5), bench_.batcher(), producers_);
  restart();
  EXPECT_EQ(send(batch(1, 5)).counted(), 5U);
  EXPECT_EQ(bench_.accepted(), q("5"));
}

TEST_F(BatchTest, OfOneProducerIsNotThatOfAnother) {
  send(batch(1, 2, "one"));
  EXPECT_EQ(send(batch(1, 2, "two")).counted(), 2U);
}

TEST_F(BatchTest, ErrorsAreByPositionAndTheRestStands) {
  auto one = batch(1, 7);
  one.mutable_events(1)->set_name("fax.sent");
  one.mutable_events(2)->set_quantity("1e3");
  one.mutable_events(3)->set_subscription("");
  one.mutable_events(4)->set_quantity("0");
  one.mutable_events(5)->set_id("bad\n");
  const auto ack = send(one);
  EXPECT_EQ(ack.counted(), 2U);
  EXPECT_THAT(errors_of(ack), ElementsAre("1 unknown_event", "2 bad_quantity", "3 missing_subscription",
                                          "4 bad_quantity", "5 bad_id"));
  EXPECT_EQ(bench_.accepted(), q("2"));
  EXPECT_EQ(bench_.refused(Refusal::bad_quantity), 2U);
  const auto repeat = send(one);
  EXPECT_EQ(repeat.duplicates(), 2U) << "the sequence passes what was refused for good";
  EXPECT_EQ(repeat.counted(), 0U);
  EXPECT_THAT(errors_of(repeat), ElementsAreArray(errors_of(ack)))
      << "whose acknowledgement was lost must be told";
}

TEST_F(BatchTest, TellsARepeatWhatWasTooOldOrInTheFutureWhenItCame) {
  auto one = batch(1, 4);
  const auto now = bench_.clock().wall().time;
  one.mutable_events(1)->set_time_ms((now - Seconds(500 * 86'400)).since_epoch.count());
  one.mutable_events(2)->set_time_ms((now + Seconds(400)).since_epoch.count());
  const auto ack = send(one);
  EXPECT_THAT(errors_of(ack), ElementsAre("1 too_old", "2 in_future"));
  restart();
  bench_.advance(Milliseconds(600'000));  // what was in the future would be accepted by now
  const auto repeat = send(one);
  EXPECT_THAT(errors_of(repeat), ElementsAreArray(errors_of(ack)))
      << "a duplicate is what was counted, and these were not";
  EXPECT_EQ(repeat.duplicates(), 2U);
  EXPECT_EQ(bench_.accepted(), q("2"));
}

TEST_F(BatchTest, TellsARepeatThatItWasCountedThoughItIsTooOldByNow) {
  auto one = batch(1, 1);
  one.mutable_events(0)->set_time_ms(
      (bench_.clock().wall().time - Seconds(399 * 86'400)).since_epoch.count());
  EXPECT_EQ(send(one).counted(), 1U);
  bench_.clock().set_wall(bench_.clock().wall().time + Seconds(2 * 86'400));
  EXPECT_EQ(send(one).duplicates(), 1U);
}

TEST(RefusedSequences, AreKeptAsRangesAndForgottenWhenNoRepeatCanCome) {
  journal::ProducerCursor cursor;
  for (std::uint64_t sequence = 1; sequence <= 100; ++sequence)
    note_refused(cursor, sequence, sequence <= 50 ? Refusal::too_old : Refusal::unknown_event);
  EXPECT_EQ(cursor.refused_size(), 2);
  EXPECT_EQ(refused_before(cursor, 50), Refusal::too_old);
  EXPECT_EQ(refused_before(cursor, 51), Refusal::unknown_event);
  EXPECT_EQ(refused_before(cursor, 101), std::nullopt);
  cursor.set_batches(limits::kRepeatableBatches);
  forget_refused(cursor);
  EXPECT_EQ(cursor.refused_size(), 2) << "not one batch too early";
  cursor.set_batches(limits::kRepeatableBatches + 1);
  forget_refused(cursor);
  EXPECT_EQ(cursor.refused_size(), 0);
}

TEST(RefusedSequences, AreBounded) {
  journal::ProducerCursor cursor;
  for (std::uint64_t range = 0; range < limits::kRefusedRangesMax + 10; ++range)
    note_refused(cursor, 2 * range + 1, Refusal::too_old);
  forget_refused(cursor);
  EXPECT_EQ(static_cast<std::size_t>(cursor.refused_size()), limits::kRefusedRangesMax);
  EXPECT_EQ(refused_before(cursor, 1), std::nullopt) << "the oldest go";
  EXPECT_EQ(refused_before(cursor, 21), Refusal::too_old);
}

TEST_F(BatchTest, QuantitiesAreExact) {
  auto one = batch(0, 3);
  one.mutable_events(0)->set_quantity("0.1");
  one.mutable_events(1)->set_quantity("0.2");
  one.mutable_events(2)->set_quantity("9007199254740993");
  send(one);
  EXPECT_EQ(bench_.accepted(), q("9007199254740993.3"));
}

TEST_F(BatchTest, WithIdsLearnsItsDuplicatesFromTheCommit) {
  auto one = batch(0, 3);
  for (int i = 0; i < 3; ++i) one.mutable_events(i)->set_id("e-" + std::to_string(i % 2));
  auto ack = send(one);
  EXPECT_EQ(ack.counted(), 2U);
  EXPECT_EQ(ack.duplicates(), 1U);
  restart();
  ack = send(one);
  EXPECT_EQ(ack.counted(), 0U);
  EXPECT_EQ(ack.duplicates(), 3U);
  EXPECT_EQ(bench_.accepted(), q("2"));
}

TEST_F(BatchTest, RefusedForNowInTheMiddleStopsTheSequenceThere) {
  bench_.clock().set_trusted(false);
  auto one = batch(1, 6);
  one.mutable_events(3)->set_time_ms(1'800'000'000'000);
  auto ack = send(one);
  EXPECT_EQ(ack.counted(), 3U);
  EXPECT_THAT(errors_of(ack), ElementsAre("3 clock_untrusted", "4 clock_untrusted", "5 clock_untrusted"));
  bench_.clock().set_trusted(true);
  bench_.advance(Milliseconds(20'000));
  ack = send(one);
  EXPECT_EQ(ack.duplicates(), 3U);
  EXPECT_EQ(ack.counted(), 3U);
  EXPECT_EQ(bench_.accepted(), q("6"));
}

TEST_F(BatchTest, RefusedAsFullInTheMiddleStopsTheSequenceThere) {
  send(batch(1, 1));
  bench_.batcher().learn_known_buckets(test::must(journal::read_buckets(bench_.journal(), 10)));
  bench_.batcher().set_above_watermark(true);
  auto one = batch(2, 4);
  one.mutable_events(2)->set_subscription("new");
  EXPECT_THAT(errors_of(send(one)), ElementsAre("2 full", "3 full"));
  EXPECT_THAT(errors_of(send(one)), ElementsAre("2 full", "3 full")) << "until there is room";
  bench_.batcher().set_above_watermark(false);
  const auto ack = send(one);
  EXPECT_THAT(errors_of(ack), IsEmpty());
  EXPECT_EQ(ack.counted(), 2U);
  EXPECT_EQ(bench_.accepted(), q("5"));
}

TEST_F(BatchTest, RefusedAsFullAtItsFirstEventLeavesTheSequence) {
  bench_.batcher().set_above_watermark(true);
  EXPECT_THAT(errors_of(send(batch(1, 2))), ElementsAre("0 full", "1 full"));
  bench_.batcher().set_above_watermark(false);
  EXPECT_EQ(send(batch(1, 2)).counted(), 2U);
}

TEST_F(BatchTest, ThatCouldNotBeCommittedSaysSoAndCountsNothing) {
  learn();
  auto pending = count_batch(batch(1, 2), bench_.batcher(), producers_);
  settle_ack(pending, Error{Code::full, "no room"}, {});
  EXPECT_EQ(pending.ack.counted(), 0U);
  EXPECT_THAT(pending.ack.error(), HasSubstr("full: not committed yet"));
  const auto again = send(batch(1, 2));
  EXPECT_EQ(again.duplicates(), 2U);
  EXPECT_EQ(bench_.accepted(), q("2"));
}

TEST(BatchRefused, NeedsAProducerForASequence) {
  v1::Batch batch;
  batch.set_sequence(1);
  for (const std::string& producer :
       {std::string(), std::string(101, 'p'), std::string("a\nb"), std::string("\xff")}) {
    batch.set_producer(producer);
    EXPECT_TRUE(refuse_batch(batch).has_value()) << producer;
  }
  batch.set_producer(std::string(100, 'p'));
  EXPECT_FALSE(refuse_batch(batch).has_value());
  batch.set_producer("");
  batch.set_sequence(0);
  EXPECT_FALSE(refuse_batch(batch).has_value());
}

TEST(BatchRefused, HasTooManyEvents) {
  v1::Batch batch;
  for (std::size_t i = 0; i < limits::kBatchEventsMax; ++i) batch.add_events();
  EXPECT_FALSE(refuse_batch(batch).has_value());
  batch.add_events();
  ASSERT_TRUE(refuse_batch(batch).has_value());
  EXPECT_EQ(refuse_batch(batch)->refusal, Refusal::too_large);
  EXPECT_THAT(refuse_batch(batch)->message, HasSubstr("too_large"));
}

TEST(BatchRefused, HasASequenceThatWouldOverflow) {
  v1::Batch batch;
  batch.set_producer("app");
  batch.set_sequence(UINT64_MAX);
  EXPECT_TRUE(refuse_batch(batch).has_value());
  batch.set_sequence(UINT64_MAX - limits::kBatchEventsMax);
  EXPECT_FALSE(refuse_batch(batch).has_value());
}

}  // namespace
}  // namespace meterd::ingest
