// Deleting a usage: at once while nobody else has it, else by asking its upstream.
#include <filesystem>

#include "agent/upstream/twilio/twilio.hpp"
#include "tests/usages/changes_fixture.hpp"

namespace meterd::usages {
namespace {

using ::testing::HasSubstr;

class Remove : public ChangesTest {
 protected:
  void SetUp() override {
    ChangesTest::SetUp();
    create(draft("u1"));
    sequence_ = found("u1").sequence;
  }
  bool is_served_now(const std::string& id) { return is_served(found(id).record, rules_); }
  std::uint64_t sequence_ = 0;
};

TEST_F(Remove, WithdrawsWhatWasNeverSent) {
  const auto change = remove("u1");
  EXPECT_EQ(text(change), "done");
  EXPECT_EQ(state_of("u1"), UsageState::withdrawn);
  EXPECT_EQ(change.answer, "u1 " + std::to_string(found("u1").record.resource_version()));
  EXPECT_TRUE(attempt().empty());
}

TEST_F(Remove, WithdrawsWhatTheUpstreamRefused) {
  attempt();
  park(sequence_);
  EXPECT_EQ(removed("u1"), "done");
  EXPECT_EQ(state_of("u1"), UsageState::withdrawn);
}

TEST_F(Remove, AsksTheUpstreamWithAKeyOfItsOwnForWhatItHas) {
  deliver(sequence_);
  const auto change = remove("u1");
  EXPECT_EQ(text(change), "done");
  EXPECT_EQ(change.answer, "u1 " + std::to_string(found("u1").record.resource_version()));
  EXPECT_FALSE(is_served_now("u1"));
  const auto deletion = stored(found("u1").record.deleted_by()).record;
  EXPECT_EQ(deletion.request().target(), "/billing/subscriptions/sub_1/delete_usage");
  EXPECT_EQ(deletion.request().body(), "id=u1");
  std::string key;
  for (const auto& header : deletion.request().headers())
    if (header.name() == "chargebee-idempotency-key") key = header.value();
  EXPECT_EQ(key, "fresh-2");
}

TEST_F(Remove, AsksTheUpstreamForWhatItMayHave) {
  attempt();
  EXPECT_EQ(removed("u1"), "done");
  EXPECT_EQ(state_of("u1"), UsageState::waiting);
  EXPECT_FALSE(is_served_now("u1"));
  EXPECT_EQ(stored(found("u1").record.deleted_by()).record.behind(), sequence_);
}

TEST_F(Remove, DeletesASealedBucketToo) {
  const auto sealed = waiting_usage();
  const auto id = stored(sealed).record.id();
  deliver(sealed);
  EXPECT_EQ(removed(id), "done");
  EXPECT_FALSE(is_served_now(id));
}

TEST_F(Remove, FindsNothingOfAnotherSubscriptionOrTwice) {
  EXPECT_EQ(removed("none"), "not_found id");
  EXPECT_EQ(text(remove("u1", {}, "sub_2")), "not_found id");
  EXPECT_EQ(removed("u1"), "done");
  EXPECT_EQ(removed("u1"), "not_found id");
  create(draft("u2"));
  deliver(found("u2").sequence);
  EXPECT_EQ(removed("u2"), "done");
  EXPECT_EQ(removed("u2"), "not_found id") << "it is on its way out";
  park(found("u2").record.deleted_by());
  EXPECT_EQ(removed("u2"), "done") << "it is there again";
}

TEST_F(Remove, FindsNothingAtAHiddenUpstream) {
  rules_.hidden = {UpstreamName("billing")};
  EXPECT_EQ(removed("u1"), "not_found id");
  EXPECT_FALSE(is_served_now("u1"));
}

TEST_F(Remove, RefusesWhatIsInvoiced) {
  step([&](WriteTransaction& w) { must(w.attach(sequence_, "inv_1", "inv_1-1", now())); });
  const auto change = remove("u1");
  EXPECT_EQ(text(change), "invoiced id");
  EXPECT_THAT(change.refusal->message, HasSubstr("inv_1"));
}

TEST_F(Remove, RefusesWhatIsInDoubt) {
  attempt();
  step([&](WriteTransaction& w) { must(w.hold_in_doubt(sequence_, "lost")); });
  EXPECT_EQ(removed("u1"), "in_doubt id");
}

// An upstream that can be asked once only: what waits there was never charged, as its answer or an operator
// proved; not so while a declared policy sends it again because nobody knew.
TEST_F(Remove, RefusesWhatAPolicySendsAgain) {
  auto context = std::make_shared<flush::SealContext>(*rules_.context);
  context->targets[UpstreamName("billing")].vendor = upstream::twilio::make_preview("");
  rules_.context = context;
  step([&](WriteTransaction& w) { must(w.begin_unrepeatable(UpstreamName("billing"), now(), 1)); });
  step([&](WriteTransaction& w) { must(w.resend(sequence_, {}, "in_doubt = \"resend\"")); });
  const auto change = remove("u1");
  EXPECT_EQ(text(change), "in_doubt id");
  EXPECT_THAT(change.refusal->message, HasSubstr("the upstream may have it from before"));
  EXPECT_EQ(state_of("u1"), UsageState::waiting);
  const auto resolve = [&](Resolution::Verdict verdict) {
    return text(this->change([&](WriteTransaction& w, const Surroundings& around) {
      const Resolution wanted{UsageId("u1"), verdict, found("u1").record.attempts()};
      return usages::resolve(w, wanted, {"user 7", "the console says so"}, around);
    }));
  };
  park(sequence_);
  ASSERT_EQ(resolve(Resolution::Verdict::retry), "done");
  EXPECT_EQ(removed("u1"), "in_doubt id") << "a second refusal says nothing of the first request";
  step([&](WriteTransaction& w) { must(w.begin_unrepeatable(UpstreamName("billing"), now(), 1)); });
  ASSERT_EQ(resolve(Resolution::Verdict::not_delivered), "done");
  EXPECT_EQ(removed("u1"), "done") << "an operator has looked";
}

TEST_F(Remove, RefusesWhatCannotBeAskedFor) {
  deliver(sequence_);
  auto context = std::make_shared<flush::SealContext>(*rules_.context);
  context->targets.erase(UpstreamName("billing"));
  rules_.context = context;
  EXPECT_EQ(removed("u1"), "not_changeable id");
  EXPECT_TRUE(is_served_now("u1"));
}

TEST_F(Remove, GivesTheSameAnswerToARepeatWithTheSameKey) {
  deliver(sequence_);
  const auto first = remove("u1", {"k", "digest"});
  const auto again = remove("u1", {"k", "digest"});
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.answer, first.answer);
  EXPECT_EQ(in_outbox().size(), 1U) << "asked once";
  EXPECT_EQ(removed("u1", {"k", "other"}), "key_reused chargebee-idempotency-key");
  EXPECT_EQ(removed("u1", {"k2", "digest"}), "not_found id");
}

// In a copy of the journal: what waits there may have been sent by the original.
TEST_F(Remove, AsksTheUpstreamForWhatTheOriginalOfACopyMayHaveSent) {
  journal_.reset();
  const auto data = std::filesystem::path(options_.directory) / "data.mdb";
  std::filesystem::copy_file(data, data.string() + ".new");
  std::filesystem::rename(data.string() + ".new", data);
  open();
  ASSERT_EQ(journal_->lineage().copies, 1U);
  EXPECT_EQ(removed("u1"), "done");
  EXPECT_EQ(state_of("u1"), UsageState::waiting);
  const auto deletion = found("u1").record.deleted_by();
  ASSERT_NE(deletion, 0U);
  step([&](WriteTransaction& w) {
    must(w.mark_reconciled(sequence_));
    must(w.deliver(sequence_, "found", now()));
    const std::vector<UpstreamName> configured{UpstreamName("billing")};
    must(w.release(UpstreamName("billing"), configured));
  });
  EXPECT_EQ(attempt(), std::vector{deletion});
}

}  // namespace
}  // namespace meterd::usages
