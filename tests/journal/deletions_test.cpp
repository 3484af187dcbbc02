// Usages that are given up: those that never left are withdrawn, of others the upstream is asked to delete
// them, and what concerns one second leaves in order.
#include "agent/journal/holdings.hpp"
#include "tests/journal/caller_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class JournalWithdraw : public CallerTest {};
class JournalDeletion : public CallerTest {
 protected:
  std::uint64_t behind(std::uint64_t sequence) { return stored(sequence).record.behind(); }
  // Of the records that keep a usage, whatever the usage: all but sums and indexes by name.
  std::size_t kept() const {
    std::size_t sum = 0;
    for (const auto kind :
         {Kind::usage, Kind::usage_id, Kind::history, Kind::outbox, Kind::taken_date, Kind::by_subscription})
      sum += count(prefix(kind));
    return sum;
  }
};

TEST_F(JournalWithdraw, EndsAUsageThatWasNeverSent) {
  const auto usage = create("u1", kMidnight, {.quantity = "3"});
  withdraw(usage);
  EXPECT_EQ(state(usage), UsageState::withdrawn);
  EXPECT_EQ(balance_of(bucket()).withdrawn, q("3"));
  EXPECT_TRUE(balance_of(bucket()).waiting.is_zero());
  EXPECT_EQ(upstream().waiting(), 0U);
  EXPECT_FALSE(is_listed_now(usage));
  EXPECT_THAT(attempt(), IsEmpty());
  EXPECT_EQ(forget_all(), 1U);
  EXPECT_EQ(balance_of(bucket()).pruned, q("3"));
}

TEST_F(JournalWithdraw, EndsAParkedUsage) {
  const auto usage = create("u1", kMidnight);
  attempt();
  park(usage);
  withdraw(usage);
  EXPECT_EQ(balance_of(bucket()).withdrawn, q("1"));
  EXPECT_EQ(upstream().parked(), 0U);
  EXPECT_THAT(in_outbox(), IsEmpty());
}

TEST_F(JournalWithdraw, EndsASealedBucket) {
  const auto usage = waiting_usage();
  withdraw(usage);
  EXPECT_EQ(balance_of(bucket()).withdrawn, q("1"));
}

TEST_F(JournalWithdraw, EndsOneThatWaitsBehindADeletionAndLeavesNobodyBehindThat) {
  const auto first = delivered("u1", kMidnight);
  const auto deletion = ask_to_delete(first);
  const auto second = create_behind(deletion, "u2", kMidnight);
  withdraw(second);
  EXPECT_EQ(stored(deletion).record.followed_by(), 0U);
  const auto third = create_behind(deletion, "u3", kMidnight);
  EXPECT_THAT(attempt(), ElementsAre(deletion));
  deliver(deletion);
  EXPECT_THAT(attempt(), ElementsAre(third));
}

TEST_F(JournalWithdraw, HandsOverWhoWaitsBehindOneThatItselfWaits) {
  const auto first = delivered("u1", kMidnight);
  const auto deletion = ask_to_delete(first);
  const auto second = create_behind(deletion, "u2", kMidnight);
  const auto its_deletion = ask_to_delete(second);
  const auto third = create_behind(its_deletion, "u3", kMidnight);
  withdraw(second);
  EXPECT_EQ(state(its_deletion), UsageState::withdrawn) << "it has nothing to do any more";
  EXPECT_EQ(stored(third).record.behind(), deletion) << "the first one is still at the upstream";
  EXPECT_THAT(attempt(), ElementsAre(deletion));
  deliver(deletion);
  EXPECT_THAT(attempt(), ElementsAre(third));
}

TEST_F(JournalWithdraw, LetsThoseGoWhoWaitBehindTheDeletionOfAnUnsentOne) {
  const auto first = create("u1", kMidnight);
  attempt();
  const auto deletion = ask_to_delete(first);
  const auto second = create_behind(deletion, "u2", kMidnight);
  withdraw(first);
  EXPECT_EQ(state(deletion), UsageState::withdrawn);
  EXPECT_THAT(attempt(), ElementsAre(second));
}

TEST_F(JournalDeletion, OfADeliveredUsageIsSentAtOnceAndTheUsageIsNotListed) {
  const auto usage = delivered("u1", kMidnight);
  EXPECT_TRUE(is_listed_now(usage));
  const auto deletion = ask_to_delete(usage);
  EXPECT_FALSE(is_listed_now(usage));
  EXPECT_FALSE(is_listed_now(deletion));
  EXPECT_EQ(state(usage), UsageState::delivered) << "until the upstream says so";
  EXPECT_EQ(balance_of(bucket()).delivered, q("1"));
  EXPECT_EQ(upstream().waiting(), 1U);
  EXPECT_THAT(attempt(), ElementsAre(deletion));
  EXPECT_EQ(stored(deletion).record.id(), "u1");
  EXPECT_EQ(must(begin().find_usage(UsageId("u1"))).value().sequence, usage) << "and not the deletion";
}

TEST_F(JournalDeletion, MovesTheQuantityFromDeliveredToWithdrawnWithItsReceipt) {
  const auto usage = delivered("u1", kMidnight);
  const auto deletion = ask_to_delete(usage);
  attempt();
  deliver(deletion, 90'000);
  EXPECT_EQ(state(usage), UsageState::withdrawn);
  EXPECT_EQ(state(deletion), UsageState::delivered);
  EXPECT_TRUE(balance_of(bucket()).delivered.is_zero());
  EXPECT_EQ(balance_of(bucket()).withdrawn, q("1"));
  EXPECT_EQ(upstream().waiting(), 0U);
  EXPECT_EQ(upstream().delivered(), 1U) << "usages, not receipts of deletions";
  EXPECT_EQ(count(prefix(Kind::history)), 2U);
  EXPECT_EQ(stored(usage).record.ended_at_ms(), now(90'000).wall.since_epoch.count());
  EXPECT_THAT(in_outbox(), IsEmpty());
}

TEST_F(JournalDeletion, ThatWaitsIsHeldByTheJournalAlone) {
  ask_to_delete(delivered("u1", kMidnight));
  journal_.reset();
  const auto held = must(read_holdings(options_.directory + "/data.mdb"));
  ASSERT_EQ(held.rows.size(), 1U);
  EXPECT_EQ(held.rows[0].deletions, 1U);
  EXPECT_EQ(held.rows[0].usages, 0U);
  EXPECT_TRUE(held.rows[0].undelivered.is_zero());
}

TEST_F(JournalDeletion, LeavesNoRecordOfEitherOnceBothAreForgotten) {
  const auto usage = delivered("u1", kMidnight);
  deliver(ask_to_delete(usage));
  EXPECT_EQ(forget_all(), 2U);
  EXPECT_EQ(kept(), 0U);
  EXPECT_EQ(balance_of(bucket()).pruned, q("1"));
  EXPECT_EQ(balance_of(bucket()).withdrawn, q("1"));
}

TEST_F(JournalDeletion, MayBeForgottenApartFromItsUsage) {
  const auto usage = delivered("u1", kMidnight);
  deliver(ask_to_delete(usage));
  for (int i = 0; i < 2; ++i)
    step([&](WriteTransaction& w) { EXPECT_EQ(must(w.prune_usages(INT64_MAX, 1)), 1U); });
  EXPECT_EQ(kept(), 0U);
}

TEST_F(JournalDeletion, KeepsItsUsageFromBeingForgotten) {
  const auto usage = delivered("u1", kMidnight);
  const auto deletion = ask_to_delete(usage);
  EXPECT_EQ(forget_all(), 0U);
  deliver(deletion);
  EXPECT_EQ(state(usage), UsageState::withdrawn);
  EXPECT_EQ(forget_all(), 2U);
}

TEST_F(JournalDeletion, KeepsItsUsageFromBeingForgottenWhenThatIsDeliveredLater) {
  const auto usage = create("u1", kMidnight);
  attempt();
  const auto deletion = ask_to_delete(usage);
  deliver(usage);
  EXPECT_EQ(forget_all(), 0U) << "its deletion has not ended";
  deliver(deletion, 90'000);
  EXPECT_EQ(balance_of(bucket()).withdrawn, q("1"));
  EXPECT_EQ(forget_all(), 2U);
  EXPECT_EQ(kept(), 0U);
}

TEST_F(JournalDeletion, OfAUsageOnItsWayWaitsUntilThatIsSettled) {
  const auto usage = create("u1", kMidnight);
  EXPECT_THAT(attempt(), ElementsAre(usage));
  const auto deletion = ask_to_delete(usage);
  EXPECT_EQ(behind(deletion), usage);
  EXPECT_THAT(attempt(), ElementsAre(usage)) << "by a repeat: whether it is there is not known";
  EXPECT_THAT(in_outbox(), ElementsAre(usage, deletion)) << "an operator sees both";
  step([&](WriteTransaction& w) { must(w.retry(usage, due(500'000), "503")); });
  EXPECT_THAT(attempt(), IsEmpty());
  step([&](WriteTransaction& w) { must(w.retry(usage, Due{}, "503")); });
  deliver(usage);
  EXPECT_EQ(behind(deletion), 0U);
  EXPECT_THAT(attempt(), ElementsAre(deletion));
}

TEST_F(JournalDeletion, WaitsThroughADoubtOfItsUsage) {
  const auto usage = create("u1", kMidnight);
  attempt();
  const auto deletion = ask_to_delete(usage);
  step([&](WriteTransaction& w) { must(w.hold_in_doubt(usage, "lost")); });
  EXPECT_THAT(attempt(), IsEmpty());
  deliver(usage);
  EXPECT_THAT(attempt(), ElementsAre(deletion));
}

TEST_F(JournalDeletion, EndsWithAUsageThatIsParked) {
  const auto usage = create("u1", kMidnight);
  attempt();
  const auto deletion = ask_to_delete(usage);
  const auto next = create_behind(deletion, "u2", kMidnight);
  park(usage);
  EXPECT_EQ(state(usage), UsageState::withdrawn) << "there is nothing at the upstream, and nobody wants it";
  EXPECT_EQ(state(deletion), UsageState::withdrawn);
  EXPECT_EQ(upstream().parked(), 0U);
  EXPECT_THAT(attempt(), ElementsAre(next));
}

TEST_F(JournalDeletion, EndsWithASealedUsageThatWouldBeSuperseded) {
  const auto usage = waiting_usage();
  attempt();
  const auto deletion = ask_to_delete(usage);
  withdraw(usage);  // what the flusher does instead
  EXPECT_EQ(state(deletion), UsageState::withdrawn);
  EXPECT_EQ(balance_of(bucket()).withdrawn, q("1"));
  EXPECT_THAT(in_outbox(), IsEmpty());
}

TEST_F(JournalDeletion, ThatIsRefusedLeavesTheUsageAsItWas) {
  const auto usage = delivered("u1", kMidnight);
  const auto deletion = ask_to_delete(usage);
  attempt();
  park(deletion);
  EXPECT_TRUE(is_listed_now(usage));
  EXPECT_EQ(state(usage), UsageState::delivered);
  EXPECT_EQ(balance_of(bucket()).delivered, q("1"));
  EXPECT_EQ(upstream().parked(), 1U);
  EXPECT_THAT(in_outbox(), ElementsAre(deletion)) << "an operator sees it";
  EXPECT_EQ(forget_all(), 1U) << "the usage";
  EXPECT_EQ(balance_of(bucket()).pruned, q("1"));
}

TEST_F(JournalDeletion, ThatIsRefusedCanBeAskedForAgainAndTheNextOneTakesItsPlace) {
  const auto usage = delivered("u1", kMidnight);
  const auto refused = ask_to_delete(usage);
  park(refused);
  const auto other = delivered("u2", kMidnight + 1);
  const auto of_other = ask_to_delete(other);
  park(of_other);
  const auto second = ask_to_delete(usage);
  EXPECT_EQ(state(refused), UsageState::withdrawn);
  EXPECT_EQ(state(of_other), UsageState::parked);
  EXPECT_EQ(upstream().parked(), 1U);
  deliver(second);
  EXPECT_EQ(balance_of(bucket()).withdrawn, q("1"));
  EXPECT_EQ(forget_all(), 4U) << "both usages, the deletion and the refused one";
}

TEST_F(JournalDeletion, ThatIsRefusedAndThenSentAgainEndsTheUsageOnce) {
  const auto usage = delivered("u1", kMidnight);
  const auto deletion = ask_to_delete(usage);
  park(deletion);
  step([&](WriteTransaction& w) { must(w.retry(deletion, Due{}, "")); });
  deliver(deletion, 90'000);
  EXPECT_EQ(state(usage), UsageState::withdrawn);
  EXPECT_EQ(count(prefix(Kind::history)), 2U);
  EXPECT_EQ(forget_all(), 2U);
  EXPECT_EQ(balance_of(bucket()).pruned, q("1"));
}

TEST_F(JournalDeletion, KeepsTheNextUsageOfItsSecondBack) {
  const auto first = delivered("u1", kMidnight);
  const auto deletion = ask_to_delete(first);
  const auto second = create_behind(deletion, "u2", kMidnight);
  EXPECT_EQ(upstream().waiting(), 2U);
  EXPECT_THAT(attempt(), ElementsAre(deletion));
  step([&](WriteTransaction& w) { must(w.retry(deletion, due(500'000), "503")); });
  EXPECT_THAT(attempt(), IsEmpty());
  EXPECT_THAT(in_outbox(), ElementsAre(deletion, second));
  deliver(deletion);
  EXPECT_THAT(attempt(), ElementsAre(second));
  deliver(second);
  EXPECT_EQ(balance_of(bucket()).withdrawn, q("1"));
  EXPECT_EQ(balance_of(bucket()).delivered, q("1"));
}

TEST_F(JournalDeletion, ThatIsRefusedLetsTheNextUsageGo) {
  const auto first = delivered("u1", kMidnight);
  const auto deletion = ask_to_delete(first);
  const auto second = create_behind(deletion, "u2", kMidnight);
  park(deletion);
  EXPECT_THAT(attempt(), ElementsAre(second));
  park(second);  // the upstream has one of that second
  EXPECT_TRUE(is_listed_now(first));
  EXPECT_TRUE(is_listed_now(second));
}

TEST_F(JournalDeletion, OfEachInALongLineLeavesInOrder) {
  std::vector<std::uint64_t> sent;
  const auto drain = [&] {
    for (auto due = attempt(); !due.empty(); due = attempt())
      for (const auto one : due) {
        sent.push_back(one);
        deliver(one);
      }
  };
  const auto a = delivered("a", kMidnight);
  const auto delete_a = ask_to_delete(a);
  const auto b = create_behind(delete_a, "b", kMidnight);
  const auto delete_b = ask_to_delete(b);
  const auto c = create_behind(delete_b, "c", kMidnight);
  const auto delete_c = ask_to_delete(c);
  EXPECT_THAT(in_outbox(), ::testing::SizeIs(5));
  drain();
  EXPECT_THAT(sent, ElementsAre(delete_a, b, delete_b, c, delete_c));
  EXPECT_EQ(balance_of(bucket()).withdrawn, q("3"));
  EXPECT_EQ(forget_all(), 6U);
  EXPECT_EQ(kept(), 0U);
}

TEST_F(JournalDeletion, SurvivesARestartAtEveryPlaceInTheLine) {
  const auto a = delivered("a", kMidnight);
  const auto delete_a = ask_to_delete(a);
  const auto b = create_behind(delete_a, "b", kMidnight);
  reboot("boot-2");
  expect_sound();
  EXPECT_THAT(attempt(), ElementsAre(delete_a));
  reboot("boot-3");
  deliver(delete_a);
  reboot("boot-4");
  EXPECT_THAT(attempt(), ElementsAre(b));
}

TEST_F(JournalDeletion, AtOneUpstreamIsNotOneAtAnother) {
  const auto here = delivered("u1", kMidnight);
  const auto there = create("u2", kMidnight, {.upstream = "marketplace"});
  deliver(there);
  const auto deletion = ask_to_delete(there);
  EXPECT_THAT(attempt(), IsEmpty());
  EXPECT_THAT(attempt(100, "marketplace"), ElementsAre(deletion));
  EXPECT_TRUE(is_listed_now(here));
}

TEST_F(JournalDeletion, HasItsBackoffClearedAsUsagesDo) {
  const auto usage = delivered("u1", kMidnight);
  const auto deletion = ask_to_delete(usage);
  step([&](WriteTransaction& w) { must(w.retry(deletion, due(500'000), "503")); });
  EXPECT_THAT(attempt(), IsEmpty());
  step([&](WriteTransaction& w) { EXPECT_EQ(must(w.clear_backoff(UpstreamName("billing"), 10)), 1U); });
  EXPECT_THAT(attempt(), ElementsAre(deletion));
}

}  // namespace
}  // namespace meterd::journal
