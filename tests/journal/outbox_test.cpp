// Delivery: intents, outcomes, lanes and backoff.
#include "agent/journal/records.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class JournalOutbox : public JournalTest {
 protected:
  void SetUp() override { open(); }

  std::vector<std::uint64_t> attempt(std::int64_t since_boot_ms, std::size_t at_most = 100,
                                     const char* upstream = "billing") {
    std::vector<std::uint64_t> out;
    step([&](WriteTransaction& w) {
      for (const auto& u : must(w.begin_attempts(UpstreamName(upstream), now(since_boot_ms), at_most)))
        out.push_back(u.sequence);
    });
    return out;
  }
  void retry(std::uint64_t sequence, std::int64_t since_boot_ms) {
    step([&](WriteTransaction& w) { must(w.retry(sequence, due(since_boot_ms), "503")); });
  }
  SendPlan plan(std::int64_t since_boot_ms) {
    return must(read_send_plan(*journal_, UpstreamName("billing"), since_boot_ms));
  }
};

TEST_F(JournalOutbox, RecordsTheIntentBeforeAnythingIsSent) {
  const auto sequence = waiting_usage();
  EXPECT_TRUE(plan(0).ready);
  EXPECT_THAT(attempt(70'000), ElementsAre(sequence));
  EXPECT_EQ(stored(sequence).record.attempts(), 1U);
  EXPECT_EQ(stored(sequence).record.last_attempt_ms(), now(70'000).wall.since_epoch.count());
  EXPECT_EQ(state(sequence), UsageState::waiting);
  reopen();
  EXPECT_EQ(stored(sequence).record.attempts(), 1U);
}

TEST_F(JournalOutbox, SendsTheStoredRequestUnchangedEveryTime) {
  const auto sequence = waiting_usage();
  const auto before = stored(sequence).record;
  attempt(1'000);
  retry(sequence, 5'000);
  attempt(6'000);
  const auto after = stored(sequence).record;
  EXPECT_EQ(after.request().SerializeAsString(), before.request().SerializeAsString());
  EXPECT_EQ(after.id(), before.id());
  EXPECT_EQ(after.usage_date(), before.usage_date());
  EXPECT_EQ(after.quantity(), before.quantity());
  EXPECT_EQ(after.attempts(), 2U);
}

TEST_F(JournalOutbox, TakesBackAnIntentThatNeverLeft) {
  const auto sequence = waiting_usage();
  attempt(1'000);
  step([&](WriteTransaction& w) { must(w.unsend(sequence)); });
  EXPECT_EQ(stored(sequence).record.attempts(), 0U);
  EXPECT_THAT(attempt(2'000), ElementsAre(sequence));
}

TEST_F(JournalOutbox, SendsOldestFirstAndNoMoreThanAsked) {
  const auto a = waiting_usage();
  const auto b = waiting_usage("data-usd");
  const auto c = waiting_usage();
  const auto other = waiting_usage("sms-usd", "marketplace");
  EXPECT_THAT(attempt(1'000, 2), ElementsAre(a, b));
  EXPECT_THAT(attempt(1'000), ElementsAre(a, b, c));
  EXPECT_THAT(attempt(1'000, 10, "marketplace"), ElementsAre(other));
  EXPECT_THAT(attempt(1'000, 10, "unknown"), IsEmpty());
}

TEST_F(JournalOutbox, MovesTheQuantityToDeliveredWithTheReceipt) {
  const auto sequence = waiting_usage();
  attempt(1'000);
  step([&](WriteTransaction& w) { must(w.deliver(sequence, "receipt-1", now(2'000))); });
  const auto record = stored(sequence).record;
  EXPECT_EQ(state_of(record), UsageState::delivered);
  EXPECT_EQ(record.receipt(), "receipt-1");
  EXPECT_EQ(record.ended_at_ms(), now(2'000).wall.since_epoch.count());
  EXPECT_FALSE(record.has_request());
  EXPECT_EQ(balance_of(bucket()).delivered, q("1"));
  EXPECT_TRUE(balance_of(bucket()).waiting.is_zero());
  EXPECT_THAT(must(read_outbox(*journal_, 10)), IsEmpty());
  EXPECT_EQ(upstream().waiting(), 0U);
  EXPECT_EQ(upstream().delivered(), 1U);
  EXPECT_EQ(upstream().last_delivery_ms(), now(2'000).wall.since_epoch.count());
  EXPECT_THAT(attempt(9'000), IsEmpty());
}

TEST_F(JournalOutbox, HoldsADelayedUsageUntilItsTimeSinceBoot) {
  const auto sequence = waiting_usage();
  retry(sequence, 5'000);
  EXPECT_FALSE(plan(4'999).ready);
  EXPECT_EQ(plan(4'999).next_due_ms, 5'000);
  EXPECT_THAT(attempt(4'999), IsEmpty());
  EXPECT_TRUE(plan(5'000).ready);
  EXPECT_THAT(attempt(5'000), ElementsAre(sequence));
  EXPECT_EQ(stored(sequence).record.last_error(), "503");
  EXPECT_EQ(upstream().waiting(), 1U);
}

TEST_F(JournalOutbox, SendsDelayedOnesInOrderOfTimeBeforeReadyOnes) {
  const auto a = waiting_usage();
  const auto b = waiting_usage();
  const auto c = waiting_usage();
  const auto d = waiting_usage();
  retry(a, 9'000);
  retry(b, 3'000);
  retry(c, 3'000);
  EXPECT_THAT(attempt(3'000), ElementsAre(b, c, d));
  EXPECT_THAT(attempt(9'000), ElementsAre(b, c, a, d));
  EXPECT_THAT(attempt(9'000, 1), ElementsAre(b));
}

TEST_F(JournalOutbox, TakesADelayOfAnotherBootAsPassed) {
  const auto sequence = waiting_usage();
  retry(sequence, 900'000);
  EXPECT_THAT(attempt(1'000), IsEmpty());
  reopen();
  EXPECT_THAT(attempt(1'000), IsEmpty()) << "a restart of the daemon is not a boot";
  reboot("boot-2");
  EXPECT_TRUE(plan(0).ready);
  EXPECT_THAT(attempt(0), ElementsAre(sequence));
}

TEST_F(JournalOutbox, ParksAndTakesUpAgain) {
  const auto sequence = waiting_usage();
  step([&](WriteTransaction& w) { must(w.park(sequence, "unknown item price", now())); });
  EXPECT_EQ(state(sequence), UsageState::parked);
  EXPECT_EQ(balance_of(bucket()).parked, q("1"));
  EXPECT_EQ(upstream().parked(), 1U);
  EXPECT_EQ(upstream().waiting(), 0U);
  EXPECT_FALSE(plan(0).ready);
  EXPECT_THAT(attempt(1'000), IsEmpty());
  EXPECT_EQ(must(read_outbox(*journal_, 10)).at(0).record.last_error(), "unknown item price");
  step([&](WriteTransaction& w) { must(w.retry(sequence, Due{}, "")); });
  EXPECT_EQ(balance_of(bucket()).waiting, q("1"));
  EXPECT_EQ(upstream().parked(), 0U);
  EXPECT_THAT(attempt(1'000), ElementsAre(sequence));
}

TEST_F(JournalOutbox, SupersedesByTheNextRevisionWithTheSameQuantity) {
  const auto first = waiting_usage();
  std::uint64_t second = 0;
  step([&](WriteTransaction& w) { second = supersede(w, first); });
  EXPECT_EQ(state(first), UsageState::superseded);
  const auto successor = stored(second).record;
  EXPECT_EQ(state_of(successor), UsageState::waiting);
  EXPECT_EQ(successor.revision(), 1U);
  EXPECT_EQ(successor.supersedes(), 1U);
  EXPECT_EQ(successor.quantity(), "1");
  EXPECT_NE(successor.usage_date(), stored(first).record.usage_date());
  EXPECT_EQ(balance_of(bucket()).waiting, q("1"));
  EXPECT_EQ(balance_of(bucket()).accepted, q("1"));
  EXPECT_EQ(upstream().waiting(), 1U);
  step([&](WriteTransaction& w) { supersede(w, second); });
  EXPECT_EQ(balance_of(bucket()).next_revision, 3U);
  const auto outbox = must(read_outbox(*journal_, 10));
  ASSERT_EQ(outbox.size(), 1U);
  EXPECT_EQ(outbox[0].record.supersedes(), 2U);
}

TEST_F(JournalOutbox, SupersedesAParkedUsageToo) {
  const auto first = waiting_usage();
  step([&](WriteTransaction& w) { must(w.park(first, "date taken", now())); });
  step([&](WriteTransaction& w) { supersede(w, first); });
  EXPECT_EQ(balance_of(bucket()).waiting, q("1"));
  EXPECT_TRUE(balance_of(bucket()).parked.is_zero());
  EXPECT_EQ(upstream().waiting(), 1U);
  EXPECT_EQ(upstream().parked(), 0U);
}

TEST_F(JournalOutbox, ClearsBackoffForTheUpstreamAndItsUsages) {
  const auto a = waiting_usage();
  const auto b = waiting_usage();
  const auto other = waiting_usage("sms-usd", "marketplace");
  retry(a, 900'000);
  retry(b, 800'000);
  retry(other, 700'000);
  step([&](WriteTransaction& w) {
    auto state = must(w.upstream(UpstreamName("billing")));
    state.set_failures(4);
    state.set_paused_boot(journal_->boot_number());
    state.set_paused_until_ms(500'000);
    must(w.put_upstream(UpstreamName("billing"), state));
  });
  step([&](WriteTransaction& w) { must(w.clear_backoff(UpstreamName("billing"), 100)); });
  EXPECT_EQ(upstream().failures(), 0U);
  EXPECT_EQ(upstream().paused_boot(), 0U);
  EXPECT_EQ(upstream().waiting(), 2U);
  EXPECT_EQ(stored(a).record.last_error(), "503");
  EXPECT_THAT(attempt(1'000), ElementsAre(a, b)) << "in journal order again";
  EXPECT_THAT(attempt(1'000, 10, "marketplace"), IsEmpty());
}

TEST_F(JournalOutbox, NeverClearsARetryAfterButTheUsagesOwnDelays) {
  const auto sequence = waiting_usage();
  retry(sequence, 900'000);
  step([&](WriteTransaction& w) {
    auto state = must(w.upstream(UpstreamName("billing")));
    state.set_failures(2);
    state.set_retry_after(true);
    state.set_paused_boot(journal_->boot_number());
    state.set_paused_until_ms(500'000);
    must(w.put_upstream(UpstreamName("billing"), state));
  });
  const auto before = upstream().SerializeAsString();
  step([&](WriteTransaction& w) { must(w.clear_backoff(UpstreamName("billing"), 100)); });
  EXPECT_EQ(upstream().SerializeAsString(), before) << "the upstream's own word stands";
  EXPECT_EQ(plan(1'000).state.paused_until_ms(), 500'000);
  EXPECT_TRUE(plan(1'000).ready) << "when the pause is over, nothing else holds the usage back";
}

TEST_F(JournalOutbox, HoldsInDoubtWhatWasSentWithoutAKnownOutcome) {
  const auto sequence = waiting_usage();
  attempt(1'000);
  step([&](WriteTransaction& w) { must(w.hold_in_doubt(sequence, "connection lost")); });
  EXPECT_EQ(state(sequence), UsageState::in_doubt);
  EXPECT_EQ(balance_of(bucket()).in_doubt, q("1"));
  EXPECT_EQ(upstream().in_doubt(), 1U);
  EXPECT_EQ(upstream().waiting(), 0U);
  EXPECT_FALSE(plan(0).ready);
  reboot("boot-2");
  EXPECT_THAT(attempt(900'000), IsEmpty()) << "never sent again by itself";
  step([&](WriteTransaction& w) { must(w.clear_backoff(UpstreamName("billing"), 100)); });
  EXPECT_THAT(attempt(900'000), IsEmpty());
  step([&](WriteTransaction& w) { must(w.deliver(sequence, "by an operator", now())); });
  EXPECT_EQ(balance_of(bucket()).delivered, q("1"));
  EXPECT_EQ(upstream().in_doubt(), 0U);
}

TEST_F(JournalOutbox, ShowsAnOverviewPerUpstream) {
  const auto delivered = waiting_usage();
  waiting_usage("sms-usd", "marketplace");
  waiting_usage("data-usd");
  step([&](WriteTransaction& w) { must(w.deliver(delivered, "r", now())); });
  step([&](WriteTransaction& w) { must(w.add(bucket("open"), tally("1"), opening(4'000))); });
  const auto overview = must(read_overview(*journal_));
  ASSERT_EQ(overview.upstreams.size(), 2U);
  EXPECT_EQ(overview.upstreams[0].name, UpstreamName("billing"));
  EXPECT_EQ(overview.upstreams[0].state.waiting(), 1U);
  EXPECT_EQ(overview.upstreams[0].state.delivered(), 1U);
  EXPECT_EQ(overview.upstreams[1].name, UpstreamName("marketplace"));
  EXPECT_EQ(overview.upstreams[1].oldest_waiting_ms, now().wall.since_epoch.count());
  EXPECT_EQ(overview.open_buckets, 1U);
  EXPECT_EQ(overview.next_seal_s, 4'000);
}

using JournalOutboxDeathTest = JournalOutbox;

TEST_F(JournalOutbox, NeverMovesAUsageThatHasEnded) {
  const auto sequence = waiting_usage();
  step([&](WriteTransaction& w) { must(w.deliver(sequence, "r", now())); });
  EXPECT_EQ(begin().retry(sequence, Due{}, "").error().code, Code::corrupt);
  EXPECT_EQ(begin().park(sequence, "", now()).error().code, Code::corrupt);
  EXPECT_EQ(begin().deliver(sequence, "again", now()).error().code, Code::corrupt);
  auto write = begin();
  EXPECT_DEATH((void)supersede(write, sequence), "");
}

}  // namespace
}  // namespace meterd::journal
