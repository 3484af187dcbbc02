// A journal without room: what was accepted stays in memory and is committed later, exactly once; its waiters
// know.
#include "agent/base/limits.hpp"
#include "agent/ingest/batcher.hpp"
#include "tests/ingest/bench.hpp"

namespace meterd::ingest {
namespace {

using meter::Refusal;
using test::Bench;
using test::BenchOptions;
using test::q;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr Milliseconds kInterval{10'000};
constexpr std::uint64_t kMapBytes = 1U << 20;
constexpr std::uint64_t kLeftFree = 96U << 10;
constexpr int kManyKeys = 800;  // more than fits into kLeftFree

class FullJournal : public ::testing::Test {
 protected:
  static BenchOptions small() {
    BenchOptions options;
    options.size_max = kMapBytes;
    options.reserve = 256U << 10;
    return options;
  }
  // Junk of eight kibibytes a record, until only kLeftFree is left.
  void fill() {
    while (test::must(bench_.journal().space()).use.used_bytes + kLeftFree < kMapBytes)
      put_junk(junk_++, std::string(8'000, 'x'));
    ASSERT_GT(junk_, 10);
  }
  void free_again() {
    while (junk_ > 0) put_junk(--junk_, "");
  }
  void put_junk(int number, const std::string& bytes) {
    Status told = Error{Code::retry, "not told"};
    journal::Operation put = [number, bytes](journal::WriteTransaction& txn) {
      journal::UpstreamState state;
      state.set_last_error(bytes);
      return txn.put_upstream(UpstreamName("junk-" + std::to_string(number)), state);
    };
    bench_.committer().submit(std::move(put), [&](Status status) { told = std::move(status); });
    bench_.settle();
    ASSERT_TRUE(told.ok()) << told.error().message;
  }
  void count_many_keys() {
    for (int i = 0; i < kManyKeys; ++i) ASSERT_FALSE(bench_.sms("1", "sub-" + std::to_string(i)).refusal);
  }

  Bench bench_{small()};
  int junk_ = 0;
};

TEST_F(FullJournal, KeepsTheWindowTellsItsWaitersAndCommitsItLaterOnce) {
  fill();
  count_many_keys();
  const Status refused = bench_.commit();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::full) << refused.error().message;
  EXPECT_THAT(bench_.open(), IsEmpty());
  EXPECT_TRUE(bench_.batcher().holds_uncommitted());
  bench_.advance(Milliseconds(60'000));
  EXPECT_THAT(bench_.open(), IsEmpty()) << "still no room";
  free_again();
  bench_.advance(kInterval);
  EXPECT_EQ(bench_.accepted(), Quantity::of(kManyKeys));
  EXPECT_FALSE(bench_.batcher().holds_uncommitted());
  bench_.advance(Milliseconds(60'000));
  EXPECT_EQ(bench_.accepted(), Quantity::of(kManyKeys));
  bench_.expect_sound();
}

TEST_F(FullJournal, CountsOnBehindTheWindowThatWaits) {
  fill();
  count_many_keys();
  ASSERT_FALSE(bench_.commit().ok());
  count_many_keys();
  free_again();
  bench_.advance(2 * kInterval);
  EXPECT_EQ(bench_.accepted(), Quantity::of(2 * kManyKeys));
  bench_.expect_sound();
}

// Nobody waits without end: whoever asks while a window is stuck behind the full disk is told so.
TEST_F(FullJournal, TellsThoseWhoAskWhileItLasts) {
  fill();
  count_many_keys();
  ASSERT_FALSE(bench_.commit().ok());
  EXPECT_FALSE(bench_.sms("1", "sub-1").refusal);
  const Status refused = bench_.commit();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::full) << refused.error().message;
  free_again();
  bench_.advance(2 * kInterval);
  EXPECT_EQ(bench_.accepted(), Quantity::of(kManyKeys + 1));
}

TEST_F(FullJournal, AnswersAtOnceOnceThereIsRoomAgain) {
  fill();
  count_many_keys();
  ASSERT_FALSE(bench_.commit().ok());
  free_again();
  EXPECT_FALSE(bench_.sms("1", "late").refusal);
  EXPECT_TRUE(bench_.commit().ok()) << "the stuck window, then this one, without an interval between them";
  EXPECT_EQ(bench_.accepted(), Quantity::of(kManyKeys + 1));
}

// It was received before anybody could know that there is no room, and is as old as what was refused.
TEST_F(FullJournal, CommitsWhatIsBehindTheStuckWindowTogetherWithIt) {
  fill();
  count_many_keys();
  ASSERT_FALSE(bench_.commit().ok());
  EXPECT_FALSE(bench_.sms("1", "behind").refusal);
  bench_.advance(Milliseconds(60'000));
  free_again();
  bench_.advance(kInterval);
  EXPECT_EQ(bench_.accepted(), Quantity::of(kManyKeys + 1)) << "the repeat, and no interval after it";
  EXPECT_EQ(bench_.batcher().stuck_for(), Milliseconds(0));
}

TEST_F(FullJournal, CountsAnIdOnceThatWasReportedAgainMeanwhile) {
  fill();
  EXPECT_FALSE(bench_.with_id("a").refusal);
  count_many_keys();
  ASSERT_FALSE(bench_.commit().ok());
  EXPECT_FALSE(bench_.with_id("a").refusal);  // as the error asked for
  free_again();
  bench_.advance(2 * kInterval);
  EXPECT_EQ(bench_.accepted(), Quantity::of(kManyKeys + 1));
}

TEST_F(FullJournal, SaysWhatIsNotCommittedWhenItMustStop) {
  fill();
  count_many_keys();
  bench_.stop();
  EXPECT_TRUE(bench_.batcher().holds_uncommitted());
  EXPECT_THAT(bench_.log.text, HasSubstr("event=journal_full"));
}

TEST_F(FullJournal, RefusesNewKeysAboveTheWatermarkAndCountsTheKnown) {
  EXPECT_FALSE(bench_.sms("1", "known").refusal);
  test::must(bench_.commit());
  bench_.batcher().learn_known_buckets(test::must(journal::read_buckets(bench_.journal(), 100)));
  bench_.batcher().set_above_watermark(true);
  EXPECT_FALSE(bench_.sms("2", "known").refusal);
  EXPECT_EQ(bench_.sms("1", "new").refusal, Refusal::full);
  EXPECT_EQ(bench_.with_id("a").refusal, Refusal::full) << "an id is a new key";
  test::must(bench_.commit());
  EXPECT_FALSE(bench_.sms("4", "known").refusal) << "in the next window too";
  test::must(bench_.commit());
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 known sms-usd", "7")));
  EXPECT_EQ(bench_.refused(Refusal::full), 2U);

  bench_.batcher().set_above_watermark(false);
  EXPECT_FALSE(bench_.sms("1", "new").refusal);
}

// Another day is another key. Nothing is half counted: the refused event is in none of its meters.
TEST_F(FullJournal, RefusesAKnownSeriesOnANewDayAboveTheWatermark) {
  bench_.at("2027-01-15T23:59:00Z");
  EXPECT_FALSE(bench_.sms("1").refusal);
  test::must(bench_.commit());
  bench_.batcher().learn_known_buckets(test::must(journal::read_buckets(bench_.journal(), 100)));
  bench_.batcher().set_above_watermark(true);
  EXPECT_FALSE(bench_.sms("2").refusal);
  bench_.at("2027-01-16T00:00:00Z");
  EXPECT_EQ(bench_.sms("1").refusal, Refusal::full);
  test::must(bench_.commit());
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "3")));
}

// A route that a refused event would have made goes with it, and no other one.
TEST_F(FullJournal, RefusesAnEventWithoutTouchingWhatOthersCount) {
  EXPECT_FALSE(bench_.sms("1", "sub_2").refusal);
  test::must(bench_.commit());
  bench_.batcher().learn_known_buckets(test::must(journal::read_buckets(bench_.journal(), 100)));
  bench_.batcher().set_above_watermark(true);
  EXPECT_EQ(bench_.with_id("a").refusal, Refusal::full);
  EXPECT_FALSE(bench_.sms("10", "sub_2").refusal);
  EXPECT_EQ(bench_.sms("1", "sub_1").refusal, Refusal::full);
  EXPECT_FALSE(bench_.sms("100", "sub_2").refusal);
  test::must(bench_.commit());
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_2 sms-usd", "111")));
}

TEST_F(FullJournal, SaysThatItIsStuckAlsoWhileItTriesAgain) {
  fill();
  count_many_keys();
  ASSERT_FALSE(bench_.commit().ok());
  bool asked = false;
  journal::Operation beside = [&](journal::WriteTransaction&) {  // in the same group as the repeat
    asked = true;
    EXPECT_GT(bench_.batcher().stuck_for(), Milliseconds(0));
    return Status{};
  };
  bench_.committer().submit(beside, [](const Status&) {});
  bench_.advance(Milliseconds(1'500));
  EXPECT_TRUE(asked);
  EXPECT_GT(bench_.batcher().stuck_for(), Milliseconds(0));
}

TEST_F(FullJournal, OpensNoMorePlacesThanItIsAllowed) {
  bench_.batcher().limit_places(2);
  EXPECT_FALSE(bench_.sms("1", "a").refusal);
  EXPECT_FALSE(bench_.sms("1", "b").refusal);
  EXPECT_EQ(bench_.sms("1", "c").refusal, Refusal::full);
  EXPECT_FALSE(bench_.sms("1", "a").refusal);
  test::must(bench_.commit());
  EXPECT_EQ(bench_.batcher().committed_places(), 2U);
  EXPECT_FALSE(bench_.sms("1", "b").refusal) << "its bucket is open";
  bench_.batcher().note_seals();
  EXPECT_FALSE(bench_.sms("1", "b").refusal) << "in this window still";
  test::must(bench_.commit());
  EXPECT_EQ(bench_.sms("1", "b").refusal, Refusal::full) << "it would be a new one";
  bench_.batcher().limit_places(3);
  EXPECT_FALSE(bench_.sms("1", "b").refusal);
}

// Ids take room too, many to a place, also those of a bucket that is open already.
TEST_F(FullJournal, RemembersNoMoreIdsThanThereIsRoomFor) {
  bench_.batcher().limit_places(3);  // the bucket, and two times 64 ids
  std::uint64_t taken = 0;
  for (int i = 0; i < 1'000; ++i) taken += bench_.with_id("e-" + std::to_string(i)).refusal ? 0 : 1;
  EXPECT_GE(taken, 64U);
  EXPECT_LE(taken, 2 * 64U);
  test::must(bench_.commit());
  EXPECT_EQ(bench_.accepted(), Quantity::of(taken));
  bench_.batcher().limit_places(100);
  EXPECT_FALSE(bench_.with_id("later").refusal);
}

TEST(BatcherMemory, IsBoundedByTheKeysOfAWindow) {
  BenchOptions options;
  options.size_max = 256U << 20;
  Bench bench(options);
  std::size_t counted = 0;
  while (!bench.sms("1", "sub-" + std::to_string(counted)).refusal) {
    ASSERT_LE(++counted, limits::kPendingKeysMax);
  }
  EXPECT_EQ(counted, limits::kPendingKeysMax);
  EXPECT_EQ(bench.refused(Refusal::full), 1U);
  EXPECT_FALSE(bench.sms("1", "sub-0").refusal) << "what has its place already still counts";
  test::must(bench.commit());
  EXPECT_EQ(bench.accepted(), Quantity::of(limits::kPendingKeysMax + 1));
  EXPECT_FALSE(bench.sms("1", "one more").refusal) << "the next window has room";
}

TEST(BatcherMemory, IsBoundedByTheIdsOfAWindow) {
  BenchOptions options;
  options.size_max = 256U << 20;
  Bench bench(options);
  for (std::size_t i = 0; i < limits::kPendingIdsMax; ++i)
    ASSERT_FALSE(bench.with_id("e-" + std::to_string(i)).refusal) << i;
  EXPECT_EQ(bench.with_id("one more").refusal, Refusal::full);
}

}  // namespace
}  // namespace meterd::ingest
