// Sealing: what is due, which second is free, and the freeze.
#include "agent/journal/records.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class JournalSeal : public JournalTest {
 protected:
  void SetUp() override { open(); }
  std::optional<std::int64_t> free_date(const WriteTransaction::DateRange& range) {
    return must(begin().free_date(series(), range));
  }
  static std::vector<meter::BucketKey> buckets_of(const std::vector<SealDueFields>& due) {
    std::vector<meter::BucketKey> out;
    for (const auto& one : due) out.push_back(one.bucket);
    return out;
  }
  void take(std::int64_t date) {  // as the index of some usage
    put_raw(taken_key(series(), date, 1), wrap(taken_key(series(), date, 1), number_value(1)));
  }
};

TEST_F(JournalSeal, FindsDueBucketsInOrderOfTheirTime) {
  step([&](WriteTransaction& w) {
    must(w.add(bucket("late"), tally("1"), opening(3'000)));
    must(w.add(bucket("early"), tally("1"), opening(1'000)));
    must(w.add(bucket("middle"), tally("1"), opening(2'000)));
  });
  const auto due = [&](std::int64_t s, std::size_t at_most = 10) {
    return buckets_of(must(begin().due_buckets(WallTime::from_seconds(s), at_most)));
  };
  EXPECT_THAT(due(999), IsEmpty());
  EXPECT_THAT(due(1'000), ElementsAre(bucket("early")));
  EXPECT_THAT(due(2'999), ElementsAre(bucket("early"), bucket("middle")));
  EXPECT_THAT(due(9'999, 2), ElementsAre(bucket("early"), bucket("middle")));
  EXPECT_THAT(buckets_of(must(begin().open_buckets(10))),
              ElementsAre(bucket("early"), bucket("middle"), bucket("late")));
  EXPECT_EQ(must(read_next_seal(*journal_)), 1'000);
}

TEST_F(JournalSeal, PostponesABucketThatCannotBeSealedNow) {
  step([&](WriteTransaction& w) {
    must(w.add(bucket(), tally("1"), opening(1'000)));
    must(w.add(bucket("other"), tally("1"), opening(2'000)));
  });
  step([&](WriteTransaction& w) { must(w.postpone_seal({1'000, bucket()}, 5'000)); });
  EXPECT_EQ(must(read_next_seal(*journal_)), 2'000);
  EXPECT_EQ(balance_of(bucket()).seal_due_s, 5'000);
  EXPECT_EQ(balance_of(bucket()).open, q("1"));
  step([&](WriteTransaction& w) { seal(w, bucket()); });
  EXPECT_EQ(count(prefix(Kind::seal_due)), 1U);
}

TEST_F(JournalSeal, DropsADueEntryThatNoOpenBucketNames) {
  step([&](WriteTransaction& w) { must(w.add(bucket(), tally("1"), opening(9'000))); });
  const auto stale = seal_due_key(1'000, bucket());
  const auto closed = seal_due_key(1'000, bucket("closed"));
  put_raw(stale, wrap(stale, ""));
  put_raw(closed, wrap(closed, ""));
  step([&](WriteTransaction& w) {
    for (const auto& one : must(w.due_buckets(WallTime::from_seconds(1'000), 10)))
      must(w.postpone_seal(one, 5'000));
  });
  EXPECT_EQ(must(read_next_seal(*journal_)), 9'000);
  EXPECT_EQ(count(prefix(Kind::seal_due)), 1U);
}

TEST_F(JournalSeal, FreezesTheWholeBucketIntoAWaitingUsage) {
  step([&](WriteTransaction& w) { must(w.add(bucket(), tally("12.5", 7), opening())); });
  std::uint64_t sequence = 0;
  step([&](WriteTransaction& w) { sequence = seal(w, bucket()); });
  const auto b = balance_of(bucket());
  EXPECT_TRUE(b.open.is_zero());
  EXPECT_EQ(b.open_events, 0U);
  EXPECT_EQ(b.waiting, q("12.5"));
  EXPECT_EQ(b.accepted, q("12.5"));
  EXPECT_EQ(b.next_revision, 1U);
  EXPECT_EQ(must(read_next_seal(*journal_)), std::nullopt);
  const auto outbox = must(read_outbox(*journal_, 10));
  ASSERT_EQ(outbox.size(), 1U);
  EXPECT_EQ(outbox[0].sequence, sequence);
  EXPECT_EQ(outbox[0].record.quantity(), "12.5");
  EXPECT_EQ(outbox[0].record.events(), 7U);
  EXPECT_EQ(outbox[0].record.attempts(), 0U);
  EXPECT_EQ(outbox[0].record.request().body(), request().body());
  EXPECT_EQ(outbox[0].record.created_at_ms(), now().wall.since_epoch.count());
  EXPECT_EQ(must(read_usage(*journal_, UsageId(outbox[0].record.id())))->sequence, sequence);
  EXPECT_EQ(must(read_usage(*journal_, UsageId("other"))), std::nullopt);
  EXPECT_EQ(upstream().waiting(), 1U);
}

TEST_F(JournalSeal, GivesBackTheUsageThatItWasGiven) {
  meter::Usage given;
  step([&](WriteTransaction& w) {
    must(w.add(bucket("sms-usd", "1969-12-31"), tally("0.25", 3), opening()));
    given = next_usage(w, bucket("sms-usd", "1969-12-31"));
    given.note = "Zürich";
    must(w.seal(given, request(), now()));
  });
  const auto back = usage_of(must(read_usage(*journal_, given.id))->record);
  EXPECT_EQ(back.id, given.id);
  EXPECT_EQ(back.series, given.series);
  EXPECT_EQ(back.day, given.day);
  EXPECT_EQ(back.revision, given.revision);
  EXPECT_EQ(back.usage_date, given.usage_date);
  EXPECT_EQ(back.quantity, given.quantity);
  EXPECT_EQ(back.events, given.events);
  EXPECT_EQ(back.note, given.note);
}

TEST_F(JournalSeal, NeverUsesARevisionOrAnIdAgain) {
  std::set<std::string> ids;
  std::set<std::int64_t> dates;
  std::set<std::uint64_t> sequences;
  for (std::uint32_t revision = 0; revision < 5; ++revision) {
    step([&](WriteTransaction& w) {
      must(w.add(bucket(), tally("1"), opening()));
      sequences.insert(seal(w, bucket()));
    });
    EXPECT_EQ(balance_of(bucket()).next_revision, revision + 1);
    if (revision == 2) reboot("boot-2");
  }
  step([&](WriteTransaction& w) { must(w.deliver(*sequences.begin(), "receipt", now())); });
  step([&](WriteTransaction& w) { must(w.prune_usages(INT64_MAX, 100)); });
  step([&](WriteTransaction& w) {  // what is forgotten is not given again either
    must(w.add(bucket(), tally("1"), opening()));
    sequences.insert(seal(w, bucket()));
  });
  EXPECT_EQ(sequences.size(), 6U);
  for (const auto& u : must(read_outbox(*journal_, 10))) {
    EXPECT_TRUE(ids.insert(u.record.id()).second);
    EXPECT_TRUE(dates.insert(u.record.usage_date()).second);
  }
  EXPECT_EQ(balance_of(bucket()).next_revision, 6U);
}

TEST_F(JournalSeal, TakesThePreferredSecondOrTheNextFreeOne) {
  EXPECT_EQ(free_date({0, 99, 50}), 50);
  take(50);
  EXPECT_EQ(free_date({0, 99, 50}), 51);
  take(51);
  take(53);
  EXPECT_EQ(free_date({0, 99, 50}), 52);
  EXPECT_EQ(free_date({0, 99, 53}), 54);
  EXPECT_EQ(free_date({0, 99, 49}), 49);
}

TEST_F(JournalSeal, WrapsOnceFromTheLastSecondToTheFirst) {
  for (const std::int64_t s : {7, 8, 9}) take(s);
  EXPECT_EQ(free_date({0, 9, 7}), 0);
  take(0);
  EXPECT_EQ(free_date({0, 9, 7}), 1);
  EXPECT_EQ(free_date({8, 9, 8}), std::nullopt);
  EXPECT_EQ(free_date({6, 9, 9}), 6);
}

TEST_F(JournalSeal, FindsNoSecondWhereNoneIsFree) {
  for (std::int64_t s = -3; s <= 3; ++s) take(s);
  for (std::int64_t preferred = -3; preferred <= 3; ++preferred)
    EXPECT_EQ(free_date({-3, 3, preferred}), std::nullopt) << preferred;
  EXPECT_EQ(free_date({-4, 3, 0}), -4);
  EXPECT_EQ(free_date({-3, 4, 0}), 4);
}

TEST_F(JournalSeal, NeverLeavesTheRangeEvenWithAPreferenceOutsideIt) {
  EXPECT_EQ(free_date({10, 20, 30}), 10);
  for (std::int64_t s = 10; s <= 20; ++s) take(s);
  EXPECT_EQ(free_date({10, 20, 30}), std::nullopt);
}

TEST_F(JournalSeal, LetsAnotherSeriesHaveTheSameSecond) {
  take(50);
  auto write = begin();
  EXPECT_EQ(must(write.free_date(series("data-usd"), {0, 99, 50})), 50);
  EXPECT_EQ(must(write.free_date(series("sms-usd", "marketplace"), {0, 99, 50})), 50);
}

using JournalSealDeathTest = JournalSeal;

TEST_F(JournalSealDeathTest, RefusesToFreezeLessThanTheBucketOrAnOldRevision) {
  step([&](WriteTransaction& w) { must(w.add(bucket(), tally("2"), opening())); });
  auto write = begin();
  auto usage = next_usage(write, bucket());
  usage.quantity = q("1");
  EXPECT_DEATH((void)write.seal(usage, request(), now()), "freezes the whole bucket");
  usage = next_usage(write, bucket());
  usage.revision = 7;
  EXPECT_DEATH((void)write.seal(usage, request(), now()), "a revision is used once");
}

}  // namespace
}  // namespace meterd::journal
