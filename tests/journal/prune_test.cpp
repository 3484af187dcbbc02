// Forgetting delivered history: usages go one by one, sums stay.
#include "agent/journal/records.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

class JournalPrune : public JournalTest {
 protected:
  void SetUp() override { open(); }
  std::uint64_t delivered_at(std::int64_t since_boot_s) {
    const auto sequence = waiting_usage();
    step([&](WriteTransaction& w) { must(w.deliver(sequence, "r", now(since_boot_s * 1'000))); });
    return sequence;
  }
  std::size_t prune(std::int64_t since_boot_s, std::size_t at_most = 100) {
    std::size_t gone = 0;
    step([&](WriteTransaction& w) {
      gone = must(w.prune_usages(now(since_boot_s * 1'000).wall.seconds().count(), at_most));
    });
    return gone;
  }
};

TEST_F(JournalPrune, ForgetsWhatEndedBeforeTheLimitAndKeepsItsSum) {
  const auto a = delivered_at(100);
  const auto b = delivered_at(200);
  const auto id = UsageId(stored(a).record.id());
  EXPECT_EQ(prune(100), 0U) << "not before its own second";
  EXPECT_EQ(prune(101), 1U);
  EXPECT_EQ(must(read_usage(*journal_, id)), std::nullopt);
  EXPECT_EQ(begin().usage(a).error().code, Code::corrupt);
  EXPECT_TRUE(begin().usage(b).ok());
  EXPECT_EQ(balance_of(bucket()).delivered, q("2"));
  EXPECT_EQ(balance_of(bucket()).pruned, q("1"));
  EXPECT_EQ(report().delivered, q("2"));
  EXPECT_EQ(report().usages, 1U);
}

// A wall clock that was wrong, in 1970 for one, would make all of it look old enough.
TEST_F(JournalPrune, CountsTheAgeOfWhatEndedUnderAnUntrustedClockFromTheTrustedOne) {
  const auto sequence = waiting_usage();
  auto untrusted = now(100'000);
  untrusted.wall = WallTime::from_seconds(20);
  untrusted.trusted = false;
  step([&](WriteTransaction& w) { must(w.deliver(sequence, "r", untrusted)); });
  EXPECT_EQ(stored(sequence).record.ended_at_ms(), 0);
  step([&](WriteTransaction& w) {
    EXPECT_EQ(must(w.date_history(now(200'000), 100)), 1U);
    EXPECT_EQ(must(w.date_history(now(300'000), 100)), 0U) << "once";
  });
  EXPECT_EQ(stored(sequence).record.ended_at_ms(), now(200'000).wall.since_epoch.count());
  EXPECT_EQ(prune(200), 0U);
  EXPECT_EQ(prune(201), 1U);
}

TEST_F(JournalPrune, KeepsAUsageUntilItsDeletionHasEnded) {
  const auto sequence = waiting_usage();
  std::uint64_t deletion = 0;
  step([&](WriteTransaction& w) {
    must(w.begin_attempts(UpstreamName("billing"), now(), 1));
    deletion = must(w.request_deletion(sequence, request(), now())).record.deleted_by();
  });
  step([&](WriteTransaction& w) { must(w.deliver(sequence, "r", now(100'000))); });
  EXPECT_EQ(prune(999), 0U) << "delivered, and still to be deleted";
  step([&](WriteTransaction& w) { must(w.deliver(deletion, "r", now(200'000))); });
  EXPECT_EQ(count(prefix(Kind::history)), 2U) << "once each";
  EXPECT_EQ(prune(201), 2U);
  EXPECT_EQ(balance_of(bucket()).withdrawn, q("1"));
}

TEST_F(JournalPrune, LeavesNoRecordOfAForgottenUsageBehind) {
  delivered_at(100);
  EXPECT_EQ(prune(999), 1U);
  for (const Kind kind : {Kind::usage, Kind::usage_id, Kind::history, Kind::outbox, Kind::taken_date})
    EXPECT_EQ(count(prefix(kind)), 0U) << static_cast<char>(kind);
}

TEST_F(JournalPrune, NeverForgetsAUsageWithoutAnEnd) {
  waiting_usage();
  const auto parked = waiting_usage();
  step([&](WriteTransaction& w) { must(w.park(parked, "refused", now())); });
  step([&](WriteTransaction& w) { EXPECT_EQ(must(w.prune_usages(INT64_MAX, 100)), 0U); });
  EXPECT_EQ(report().usages, 2U);
}

TEST_F(JournalPrune, WorksInBoundedStepsOldestFirst) {
  const auto newer = delivered_at(300);
  delivered_at(100);
  delivered_at(200);
  EXPECT_EQ(prune(999, 2), 2U);
  EXPECT_TRUE(begin().usage(newer).ok());
  EXPECT_EQ(prune(999, 2), 1U);
  EXPECT_EQ(prune(999, 2), 0U);
}

TEST_F(JournalPrune, CountsASupersededUsageInNoSum) {
  const auto first = waiting_usage();
  std::uint64_t second = 0;
  step([&](WriteTransaction& w) { second = supersede(w, first); });
  EXPECT_EQ(prune(999), 1U);
  EXPECT_TRUE(balance_of(bucket()).pruned.is_zero());
  step([&](WriteTransaction& w) { must(w.deliver(second, "r", now())); });
  EXPECT_EQ(prune(999), 1U);
  EXPECT_EQ(balance_of(bucket()).pruned, q("1"));
  EXPECT_EQ(balance_of(bucket()).delivered, q("1"));
}

}  // namespace
}  // namespace meterd::journal
