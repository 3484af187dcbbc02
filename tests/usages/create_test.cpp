// Creating a usage: what the rules of the API refuse, and what a repeat gets.
#include "tests/usages/changes_fixture.hpp"

namespace meterd::usages {
namespace {

using ::testing::HasSubstr;

class Create : public ChangesTest {};

TEST_F(Create, StoresTheUsageWithItsRequestAndAnswersWithIt) {
  auto wanted = draft();
  wanted.note = "n";
  wanted.custom_fields = {{"cf_a", "1"}};
  const auto change = create(wanted);
  EXPECT_EQ(text(change), "done");
  const auto record = found("u1").record;
  EXPECT_EQ(change.answer, "u1 " + std::to_string(record.resource_version()));
  EXPECT_EQ(record.subscription_id(), "sub_1");
  EXPECT_EQ(record.item_price_id(), "sms-usd");
  EXPECT_EQ(record.usage_date(), kMidnight);
  EXPECT_EQ(record.quantity(), "5");
  EXPECT_EQ(record.given_quantity(), "5.00");
  EXPECT_EQ(record.note(), "n");
  EXPECT_EQ(record.source(), journal::v0::API);
  EXPECT_EQ(record.request().target(), "/billing/subscriptions/sub_1/usages");
  EXPECT_EQ(record.request().body(),
            "id=u1&item_price_id=sms-usd&usage_date=1795305600&quantity=5.00&note=n&cf_a=1");
}

TEST_F(Create, KeepsAQuantityOnceWhereItIsWrittenTheShortWay) {
  auto wanted = draft();
  wanted.given_quantity = "5";
  create(wanted);
  EXPECT_EQ(found("u1").record.given_quantity(), "");
}

TEST_F(Create, GivesTheUsageAnIdIfTheCallerGaveNone) {
  EXPECT_EQ(created(draft("")), "done");
  EXPECT_EQ(found("fresh-1").record.usage_date(), kMidnight);
}

TEST_F(Create, RefusesAnIdThatIsOrWasThere) {
  EXPECT_EQ(created(draft()), "done");
  EXPECT_EQ(created(draft("u1", kMidnight + 1)), "duplicate_id id");
  EXPECT_EQ(removed("u1"), "done");
  EXPECT_EQ(created(draft("u1", kMidnight + 1)), "duplicate_id id") << "a deleted one's too";
  auto elsewhere = draft();
  elsewhere.subscription = SubscriptionId("sub_2");
  EXPECT_EQ(created(elsewhere), "duplicate_id id") << "whatever the subscription";
}

TEST_F(Create, RefusesASecondThatAnotherUsageHas) {
  EXPECT_EQ(created(draft("u1")), "done");
  const auto second = create(draft("u2"));
  EXPECT_EQ(text(second), "date_taken usage_date");
  EXPECT_THAT(second.refusal->message, HasSubstr("the usage u1 "));
  EXPECT_EQ(created(draft("u2", kMidnight + 1)), "done");
  auto other = draft("u3");
  other.item_price = ItemPriceId("data-usd");
  EXPECT_EQ(created(other), "done");
  other = draft("u4");
  other.subscription = SubscriptionId("sub_2");
  EXPECT_EQ(created(other), "done");
}

TEST_F(Create, RefusesASecondThatASealedBucketHas) {
  const auto sealed = stored(waiting_usage()).record;
  EXPECT_EQ(created(draft("u1", sealed.usage_date())), "date_taken usage_date");
}

TEST_F(Create, TakesTheSecondOfAUsageThatWasGivenUpBeforeItWasSent) {
  EXPECT_EQ(created(draft("u1")), "done");
  EXPECT_EQ(removed("u1"), "done");
  EXPECT_EQ(created(draft("u2")), "done");
  EXPECT_EQ(found("u2").record.behind(), 0U);
}

TEST_F(Create, WaitsForASecondWhoseUsageIsBeingDeleted) {
  EXPECT_EQ(created(draft("u1")), "done");
  deliver(found("u1").sequence);
  EXPECT_EQ(removed("u1"), "done");
  EXPECT_EQ(created(draft("u2")), "done");
  EXPECT_EQ(found("u2").record.behind(), found("u1").record.deleted_by());
  EXPECT_EQ(created(draft("u3")), "date_taken usage_date") << "one waits already";
  EXPECT_EQ(removed("u2"), "done");
  EXPECT_EQ(created(draft("u4")), "done");
  EXPECT_EQ(found("u4").record.behind(), found("u1").record.deleted_by());
}

TEST_F(Create, RefusesTheSecondAgainOnceADeletionWasRefused) {
  created(draft("u1"));
  deliver(found("u1").sequence);
  removed("u1");
  park(found("u1").record.deleted_by());
  EXPECT_EQ(created(draft("u2")), "date_taken usage_date");
}

TEST_F(Create, KnowsEverySubscriptionWhereNoneIsListed) {
  auto wanted = draft();
  wanted.subscription = SubscriptionId("any");
  wanted.item_price = ItemPriceId("any");
  EXPECT_EQ(created(wanted), "done");
}

TEST_F(Create, KnowsOnlyTheListedSubscriptionsAndTheirItemPrices) {
  rules_.subscriptions[SubscriptionId("sub_1")] = {
      {ItemPriceId("sms-usd"), ItemPriceId("plan")}, {ItemPriceId("plan")}, {}};
  EXPECT_EQ(created(draft()), "done");
  auto wanted = draft("u2");
  wanted.subscription = SubscriptionId("sub_2");
  EXPECT_EQ(created(wanted), "unknown_subscription subscription_id");
  wanted = draft("u2");
  wanted.item_price = ItemPriceId("data-usd");
  EXPECT_EQ(created(wanted), "unknown_item_price item_price_id");
  wanted.item_price = ItemPriceId("plan");
  EXPECT_EQ(created(wanted), "not_metered item_price_id");
}

TEST_F(Create, AcceptsAnItemPriceThatTheSubscriptionHadOnce) {
  rules_.subscriptions[SubscriptionId("sub_1")] = {{ItemPriceId("new-usd")}, {}, {}};
  EXPECT_EQ(created(draft()), "unknown_item_price item_price_id");
  step([&](WriteTransaction& w) { must(w.put_listed(SubscriptionId("sub_1"), ItemPriceId("sms-usd"))); });
  EXPECT_EQ(created(draft()), "done");
}

TEST_F(Create, StopsAtTheLifetimeLimitWhichDeletingDoesNotGiveBack) {
  rules_.lifetime_limit = 3;
  waiting_usage();
  EXPECT_EQ(created(draft("u1")), "done");
  EXPECT_EQ(created(draft("u2", kMidnight + 1)), "done");
  EXPECT_EQ(created(draft("u3", kMidnight + 2)), "lifetime_limit subscription_id");
  EXPECT_EQ(removed("u1"), "done");
  EXPECT_EQ(created(draft("u3", kMidnight + 2)), "lifetime_limit subscription_id");
  auto other = draft("u4");
  other.subscription = SubscriptionId("sub_2");
  EXPECT_EQ(created(other), "done");
  rules_.lifetime_limit = 4;
  EXPECT_EQ(created(draft("u3", kMidnight + 2)), "done") << "the vendor may raise it";
}

TEST_F(Create, CutsTheDayByTheItemPricesZoneElseTheDevices) {
  const auto day_of = [&](const std::string& id) { return UsageDay(found(id).record.day()).iso(); };
  rules_.zone = must(meter::TimeZone::load("America/New_York"));
  rules_.zones[ItemPriceId("data-usd")] = must(meter::TimeZone::load("Asia/Tokyo"));
  created(draft("west", kMidnight));
  EXPECT_EQ(day_of("west"), "2026-11-21");
  EXPECT_EQ(balance_of(journal::bucket("sms-usd", "2026-11-21")).zone, "America/New_York");
  auto east = draft("east", kMidnight + 15 * 3'600);
  east.item_price = ItemPriceId("data-usd");
  created(east);
  EXPECT_EQ(day_of("east"), "2026-11-23");
  EXPECT_EQ(balance_of(journal::bucket("data-usd", "2026-11-23")).zone, "Asia/Tokyo");
}

TEST_F(Create, GivesTheSameAnswerToTheSameRequestWithTheSameKey) {
  const auto first = create(draft(), {"k", "digest"});
  EXPECT_EQ(text(first), "done");
  const auto again = create(draft(), {"k", "digest"});
  EXPECT_EQ(text(again), "replayed");
  EXPECT_EQ(again.answer, first.answer);
  EXPECT_EQ(report().usages, 1U);
  deliver(found("u1").sequence);
  removed("u1");
  EXPECT_EQ(create(draft(), {"k", "digest"}).answer, first.answer) << "as it was when it was answered";
}

TEST_F(Create, DoesNotMakeASecondUsageOfARepeatWithoutAnId) {
  EXPECT_EQ(created(draft(""), {"k", "digest"}), "done");
  EXPECT_EQ(created(draft(""), {"k", "digest"}), "replayed");
  EXPECT_EQ(report().usages, 1U);
}

TEST_F(Create, RefusesAKeyThatComesWithAnotherRequest) {
  create(draft(), {"k", "digest"});
  EXPECT_EQ(created(draft("u2", kMidnight + 1), {"k", "other"}), "key_reused chargebee-idempotency-key");
  EXPECT_EQ(report().usages, 1U);
  EXPECT_EQ(removed("u1", {"k", "other"}), "key_reused chargebee-idempotency-key");
}

TEST_F(Create, ForgetsAKeyAfterItsWindow) {
  rules_.idempotency_window = Milliseconds(600'000);
  EXPECT_EQ(created(draft(), {"k", "digest"}), "done");
  at_ = later(600);
  EXPECT_EQ(created(draft("u2", kMidnight + 1)), "done");  // what makes time pass
  EXPECT_EQ(created(draft(), {"k", "digest"}), "replayed");
  at_ = later(602);
  EXPECT_EQ(created(draft("u3", kMidnight + 2)), "done");
  EXPECT_EQ(created(draft(), {"k", "digest"}), "duplicate_id id") << "a new request";
  EXPECT_EQ(created(draft("u4", kMidnight + 3), {"k", "other"}), "done");
}

// Or it would be counted again: the first one gave its second free.
TEST_F(Create, GivesTheAnswerOfAnUntrustedClockAgainOnceThatIsTrusted) {
  at_ = untrusted();
  const auto first = create(draft(""), {"k", "digest"});
  ASSERT_EQ(text(first), "done");
  EXPECT_EQ(removed("fresh-1"), "done");
  trusted_time_is(later(86'400));
  at_ = later(86'400);
  EXPECT_EQ(create(draft(""), {"k", "digest"}).answer, first.answer);
  EXPECT_EQ(report().usages, 1U);
  at_ = later(86'400 + 1'801);
  EXPECT_EQ(created(draft("u2", kMidnight + 1)), "done");  // what makes time pass
  EXPECT_EQ(created(draft(""), {"k", "digest"}), "done") << "a new request";
}

TEST_F(Create, AnAnswerWithoutAChangeIsGivenAgainLongAfterTheLastChange) {
  EXPECT_EQ(created(draft()), "done");
  at_ = later(7'200);
  EXPECT_EQ(text(answer_once("link", {"k", "digest"})), "done");
  trusted_time_is(later(7'200));
  EXPECT_EQ(text(answer_once("another link", {"k", "digest"})), "replayed");
}

TEST_F(Create, DoesNotRememberARefusal) {
  rules_.lifetime_limit = 0;
  EXPECT_EQ(created(draft(), {"k", "digest"}), "lifetime_limit subscription_id");
  rules_.lifetime_limit = 1;
  EXPECT_EQ(created(draft(), {"k", "digest"}), "done");
}

TEST_F(Create, WithoutAKeyRemembersNothing) {
  created(draft());
  EXPECT_EQ(count(journal::prefix(journal::Kind::idempotency_key)), 0U);
  EXPECT_EQ(created(draft()), "duplicate_id id");
}

}  // namespace
}  // namespace meterd::usages
