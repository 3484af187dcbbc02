// A deletion, its usage or one that waits behind them cannot be read: whether that is found by the start or
// on the way, nothing waits for ever, nothing is sent again and again, and the rest of the journal holds.
#include "tests/journal/caller_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A delivered usage, its deletion, and the next usage of its second behind that.
class DeletionDamage : public CallerTest {
 protected:
  void SetUp() override {
    CallerTest::SetUp();
    options_.file_check = FileCheck::here;
    usage_ = delivered("u1", kMidnight);
    deletion_ = ask_to_delete(usage_);
    next_ = create_behind(deletion_, "u2", kMidnight);
  }
  void damage(const std::string& key) {
    std::string value = get_raw(key);
    value.back() = static_cast<char>(value.back() ^ 1);
    put_raw(key, value);
  }
  void repair_by_start() {
    reopen();
    EXPECT_GT(journal_->set_aside_at_open(), 0U);
    expect_sound();
  }
  // Everything that may be sent is taken, in as many rounds as it needs; the order that it left in.
  std::vector<std::uint64_t> drain() {
    std::vector<std::uint64_t> sent;
    for (auto due = attempt(); !due.empty() && sent.size() < 20; due = attempt())
      for (const auto one : due) {
        sent.push_back(one);
        deliver(one);
      }
    EXPECT_THAT(in_outbox(), IsEmpty()) << "something waits for ever";
    return sent;
  }
  void expect_all_can_be_forgotten() {
    forget_all();
    EXPECT_EQ(count(prefix(Kind::usage)), 0U);
    EXPECT_EQ(count(prefix(Kind::history)), 0U);
    EXPECT_EQ(count(prefix(Kind::outbox)), 0U);
    expect_sound();
  }

  std::uint64_t usage_ = 0, deletion_ = 0, next_ = 0;
};

TEST_F(DeletionDamage, OfTheDeletionIsRepairedByTheStart) {
  damage(usage_key(deletion_));
  repair_by_start();
  EXPECT_TRUE(is_listed_now(usage_)) << "it is there, and nobody will delete it";
  EXPECT_EQ(stored(next_).record.behind(), 0U);
  EXPECT_EQ(upstream().waiting(), 1U);
  EXPECT_THAT(drain(), ElementsAre(next_));
  const auto again = ask_to_delete(usage_);
  EXPECT_THAT(drain(), ElementsAre(again));
  EXPECT_EQ(balance_of(bucket()).withdrawn, q("1"));
  expect_all_can_be_forgotten();
}

TEST_F(DeletionDamage, OfTheDeletionIsRepairedWhenItWouldBeSent) {
  damage(usage_key(deletion_));
  EXPECT_THAT(attempt(), IsEmpty());
  EXPECT_EQ(must(read_overview(*journal_)).set_aside, 1U);
  EXPECT_TRUE(is_listed_now(usage_));
  EXPECT_THAT(drain(), ElementsAre(next_));
  expect_all_can_be_forgotten();
}

TEST_F(DeletionDamage, OfADeletionOfAUsageOnItsWayIsRepairedWithThat) {
  const auto other = create("u3", kMidnight + 1);
  attempt();
  const auto deletion = ask_to_delete(other);
  const auto behind = create_behind(deletion, "u4", kMidnight + 1);
  damage(usage_key(deletion));
  // The receipt cannot be written before: the flusher repairs, and writes it then.
  EXPECT_EQ(begin().deliver(other, "200", now()).error().code, Code::corrupt);
  step([&](WriteTransaction& w) { must(w.repair_usage(UpstreamName("billing"), other)); });
  deliver(other);
  EXPECT_TRUE(is_listed_now(other));
  EXPECT_EQ(stored(behind).record.behind(), 0U);
  drain();
  expect_all_can_be_forgotten();
}

TEST_F(DeletionDamage, OfADeletionOfAUsageOnItsWayIsRepairedByTheStart) {
  const auto other = create("u3", kMidnight + 1);
  attempt();
  const auto deletion = ask_to_delete(other);
  damage(usage_key(deletion));
  repair_by_start();
  EXPECT_TRUE(is_listed_now(other));
  deliver(other);
  drain();
  expect_all_can_be_forgotten();
}

TEST_F(DeletionDamage, OfTheUsageLeavesADeletionThatEnds) {
  damage(usage_key(usage_));
  repair_by_start();
  EXPECT_EQ(balance_of(bucket()).set_aside, q("1"));
  EXPECT_TRUE(balance_of(bucket()).delivered.is_zero());
  EXPECT_THAT(drain(), ElementsAre(deletion_, next_)) << "the second is free before the next one leaves";
  EXPECT_EQ(balance_of(bucket()).delivered, q("1"));
  expect_all_can_be_forgotten();
}

TEST_F(DeletionDamage, OfTheUsageIsRepairedWhenItsDeletionEnds) {
  attempt();
  damage(usage_key(usage_));
  EXPECT_EQ(begin().deliver(deletion_, "200", now()).error().code, Code::corrupt);
  EXPECT_EQ(begin().park(deletion_, "400", now()).error().code, Code::corrupt);
  step([&](WriteTransaction& w) { must(w.repair_usage(UpstreamName("billing"), deletion_)); });
  EXPECT_EQ(balance_of(bucket()).set_aside, q("1"));
  deliver(deletion_);
  EXPECT_THAT(drain(), ElementsAre(next_));
}

TEST_F(DeletionDamage, OfTheUsageDoesNotKeepARefusalFromBeingWritten) {
  damage(usage_key(usage_));
  repair_by_start();
  park(deletion_);
  EXPECT_THAT(attempt(), ElementsAre(next_));
}

TEST_F(DeletionDamage, OfOneThatWaitsBehindIsRepairedByTheStart) {
  damage(usage_key(next_));
  repair_by_start();
  EXPECT_THAT(drain(), ElementsAre(deletion_));
  EXPECT_EQ(balance_of(bucket()).set_aside, q("1"));
  expect_all_can_be_forgotten();
}

TEST_F(DeletionDamage, OfOneThatWaitsBehindIsRepairedWhenItWouldBeLetGo) {
  attempt();
  damage(usage_key(next_));
  EXPECT_EQ(begin().deliver(deletion_, "200", now()).error().code, Code::corrupt);
  step([&](WriteTransaction& w) { must(w.repair_usage(UpstreamName("billing"), deletion_)); });
  deliver(deletion_);
  EXPECT_EQ(state(usage_), UsageState::withdrawn);
  EXPECT_THAT(in_outbox(), IsEmpty());
  EXPECT_EQ(upstream().waiting(), 0U);
}

TEST_F(DeletionDamage, OfOneInTheMiddleOfALineLetsTheRestGo) {
  const auto its_deletion = ask_to_delete(next_);
  const auto last = create_behind(its_deletion, "u3", kMidnight);
  damage(usage_key(next_));
  repair_by_start();
  for (const auto one : {deletion_, its_deletion, last}) EXPECT_FALSE(has_ended(state(one)));
  drain();
  expect_all_can_be_forgotten();
}

TEST_F(DeletionDamage, OfAWithdrawnUsageTakesNothingFromWhatWasDelivered) {
  deliver(deletion_);  // u1 is withdrawn
  damage(usage_key(usage_));
  repair_by_start();
  const auto balance = balance_of(bucket());
  EXPECT_TRUE(balance.delivered.is_zero());
  EXPECT_TRUE(balance.withdrawn.is_zero());
  EXPECT_EQ(balance.set_aside, q("1"));
  EXPECT_EQ(balance.waiting, q("1"));
}

TEST_F(DeletionDamage, OfAPlaceInTheOutboxIsRepairedByTheStart) {
  for (const auto& key : {outbox_key(UpstreamName("billing"), {Lane::ready, {}, deletion_}),
                          outbox_key(UpstreamName("billing"), {Lane::behind, {}, next_})}) {
    damage(key);
    repair_by_start();
  }
  EXPECT_THAT(drain(), ElementsAre(deletion_, next_));
}

TEST_F(DeletionDamage, OfThePlaceAmongThoseOfASubscriptionIsRepairedByTheStart) {
  damage(by_subscription_key(SubscriptionId("sub_1"), next_));
  repair_by_start();
  EXPECT_NE(get_raw(by_subscription_key(SubscriptionId("sub_1"), next_)), "");
}

TEST_F(DeletionDamage, DoesNotPutAUsageThatIsToBeDeletedIntoTheHistory) {
  damage(usage_key(next_));  // anything, so that the start restores
  repair_by_start();
  EXPECT_EQ(forget_all(), 0U);
  EXPECT_THAT(drain(), ElementsAre(deletion_));
}

TEST_F(DeletionDamage, OfTheGeneralRecordGivesNoVersionAgain) {
  std::int64_t highest = 0;
  for (const auto one : {usage_, next_}) highest = std::max(highest, stored(one).record.resource_version());
  // Far ahead of every time that is on record.
  step([&](WriteTransaction& w) {
    must(w.create_usage(caller_usage("u9", kMidnight + 9, {}), {WallTime::from_seconds(4'000'000'000), {}}));
  });
  const auto ahead = must(read_usage(*journal_, UsageId("u9"))).value();
  ASSERT_GT(ahead.record.resource_version(), highest);
  auto record = ahead.record;
  record.set_created_at_ms(1);
  put_raw(usage_key(ahead.sequence), wrap(usage_key(ahead.sequence), record.SerializeAsString()));
  damage(general_key());
  repair_by_start();
  const auto after = stored(create("u10", kMidnight + 10)).record.resource_version();
  EXPECT_GT(after, ahead.record.resource_version());
}

TEST_F(DeletionDamage, OfARememberedAnswerIsRepairedByTheStart) {
  step([&](WriteTransaction& w) { must(w.remember_answer("k", {}, Milliseconds(1'000), now())); });
  damage(idempotency_key("k"));
  EXPECT_EQ(begin().answered("k", Milliseconds(1'000)).error().code, Code::corrupt);
  repair_by_start();
  EXPECT_EQ(must(begin().answered("k", Milliseconds(1'000))), std::nullopt);
  EXPECT_THAT(report().set_aside_records, ElementsAre(HasSubstr("answer")));
}

TEST_F(DeletionDamage, OfAnUndatedAnswerDoesNotKeepOthersFromBeingDated) {
  auto untrusted = now();
  untrusted.trusted = false;
  step([&](WriteTransaction& w) {
    for (const char* key : {"a", "b"}) must(w.remember_answer(key, {}, Milliseconds(1'000), untrusted));
  });
  damage(idempotency_key("a"));
  auto write = begin();
  EXPECT_EQ(must(write.date_answers(now(), 1)), 1U);
  EXPECT_EQ(must(write.date_answers(now(), 1)), 1U);
  EXPECT_NE(must(write.answered("b", Milliseconds(1'000)))->version(), 0);
}

TEST_F(DeletionDamage, OfTheApiIndexesIsNamed) {
  step([&](WriteTransaction& w) {
    must(w.remember_answer("k", {}, Milliseconds(1'000), now()));
    must(w.put_listed(SubscriptionId("sub_1"), ItemPriceId("sms-usd")));
  });
  const auto version = must(begin().answered("k", Milliseconds(1'000)))->version();
  for (const auto& key : {by_subscription_key(SubscriptionId("sub_1"), next_), key_expiry_key(version, "k"),
                          subscription_key(UpstreamName("billing"), SubscriptionId("sub_1")),
                          listed_key(SubscriptionId("sub_1"), ItemPriceId("sms-usd"))}) {
    damage(key);
    EXPECT_THAT(report().problems, ElementsAre(::testing::Not(HasSubstr("whose key is unreadable"))));
    auto value = get_raw(key);
    value.back() = static_cast<char>(value.back() ^ 1);
    put_raw(key, value);
  }
}

}  // namespace
}  // namespace meterd::journal
