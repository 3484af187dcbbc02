// The catalog: which meters an event counts for, and every reason to refuse one.
#include "agent/meter/catalog.hpp"

#include <gtest/gtest.h>

#include <set>

#include "agent/base/limits.hpp"

namespace meterd::meter {
namespace {

MeterRule rule(const char* event, const char* upstream, const char* item_price,
               std::optional<SubscriptionId> subscription = std::nullopt) {
  return {EventName(event), UpstreamName(upstream), ItemPriceId(item_price), std::move(subscription),
          TimeZone()};
}

SubscriptionRule subscription(const char* id, std::vector<ItemPriceId> item_prices) {
  return {SubscriptionId(id), std::move(item_prices)};
}

TEST(CatalogResolve, CountsAnEventForEveryMeterOfItsName) {
  const Catalog catalog({rule("sms.sent", "billing", "sms-usd"), rule("data.bytes", "billing", "data-usd"),
                         rule("sms.sent", "marketplace", "BI1", SubscriptionId("XE1"))},
                        {});
  const auto resolved = catalog.resolve("sms.sent", "sub_1");
  ASSERT_FALSE(resolved.refusal.has_value());
  ASSERT_EQ(resolved.legs.size(), 2U);
  EXPECT_EQ(resolved.legs[0].series,
            (SeriesKey{UpstreamName("billing"), SubscriptionId("sub_1"), ItemPriceId("sms-usd")}));
  EXPECT_EQ(resolved.legs[0].meter, 0U);
  EXPECT_EQ(resolved.legs[1].series,
            (SeriesKey{UpstreamName("marketplace"), SubscriptionId("XE1"), ItemPriceId("BI1")}));
  EXPECT_EQ(resolved.legs[1].meter, 2U);
  EXPECT_EQ(catalog.rule(2).item_price, ItemPriceId("BI1"));
  EXPECT_EQ(catalog.size(), 3U);
}

TEST(CatalogResolve, LetsAFixedSubscriptionWinOverTheEventsOwn) {
  const Catalog catalog({rule("sms.sent", "billing", "sms-usd", SubscriptionId("fixed"))}, {});
  EXPECT_EQ(catalog.resolve("sms.sent", "other").legs.at(0).series.subscription, SubscriptionId("fixed"));
  EXPECT_EQ(catalog.resolve("sms.sent", "").legs.at(0).series.subscription, SubscriptionId("fixed"));
}

TEST(CatalogResolve, RefusesAnEventWithoutAMeter) {
  const Catalog catalog({rule("sms.sent", "billing", "sms-usd")}, {});
  for (const char* name : {"", "sms", "sms.sent ", "SMS.SENT", "sms.sent.2"}) {
    const auto resolved = catalog.resolve(name, "sub_1");
    EXPECT_EQ(resolved.refusal, Refusal::unknown_event) << name;
    EXPECT_TRUE(resolved.legs.empty());
  }
  EXPECT_EQ(Catalog({}, {}).resolve("sms.sent", "sub_1").refusal, Refusal::unknown_event);
}

TEST(CatalogResolve, RefusesAnEventWithoutASubscriptionWhenOneMeterNeedsIt) {
  const Catalog catalog({rule("sms.sent", "billing", "sms-usd", SubscriptionId("fixed")),
                         rule("sms.sent", "billing", "sms-eur")},
                        {});
  const auto resolved = catalog.resolve("sms.sent", "");
  EXPECT_EQ(resolved.refusal, Refusal::missing_subscription);
  EXPECT_TRUE(resolved.legs.empty()) << "a refused event counts for no meter at all";
}

TEST(CatalogResolve, RefusesASubscriptionThatIsNotCleanText) {
  const Catalog catalog({rule("sms.sent", "billing", "sms-usd")}, {});
  for (const auto& text : {std::string("a\nb"), std::string("\xFF"), std::string(limits::kIdMax + 1, 'x')})
    EXPECT_EQ(catalog.resolve("sms.sent", text).refusal, Refusal::bad_id);
  EXPECT_FALSE(catalog.resolve("sms.sent", std::string(limits::kIdMax, 'x')).refusal.has_value());
}

TEST(CatalogResolve, RefusesUnlistedSubscriptionsAndItemPricesOnceOneIsListed) {
  const Catalog catalog(
      {rule("sms.sent", "billing", "sms-usd"), rule("data.bytes", "billing", "data-usd")},
      {subscription("sub_1", {ItemPriceId("sms-usd")}),
       subscription("sub_2", {ItemPriceId("sms-usd"), ItemPriceId("data-usd")}), subscription("sub_3", {})});
  EXPECT_FALSE(catalog.resolve("sms.sent", "sub_1").refusal.has_value());
  EXPECT_EQ(catalog.resolve("data.bytes", "sub_1").refusal, Refusal::unknown_subscription);
  EXPECT_FALSE(catalog.resolve("data.bytes", "sub_2").refusal.has_value());
  EXPECT_EQ(catalog.resolve("sms.sent", "sub_3").refusal, Refusal::unknown_subscription);
  EXPECT_EQ(catalog.resolve("sms.sent", "sub_4").refusal, Refusal::unknown_subscription);
}

TEST(CatalogResolve, RefusesAsAWholeWhenOneMetersItemPriceIsUnlisted) {
  const Catalog catalog({rule("sms.sent", "billing", "sms-usd"), rule("sms.sent", "billing", "sms-eur")},
                        {subscription("sub_1", {ItemPriceId("sms-usd")})});
  const auto resolved = catalog.resolve("sms.sent", "sub_1");
  EXPECT_EQ(resolved.refusal, Refusal::unknown_subscription);
  EXPECT_TRUE(resolved.legs.empty());
}

TEST(Refusals, HaveEachANameAndAnAdvice) {
  std::set<std::string_view> names;
  for (int i = 0; i < static_cast<int>(Refusal::kCount); ++i) {
    const auto refusal = static_cast<Refusal>(i);
    EXPECT_NE(name_of(refusal), "unknown") << i;
    EXPECT_TRUE(names.insert(name_of(refusal)).second) << i;
    EXPECT_TRUE(advice_for(refusal).ends_with('.')) << i;
  }
}

}  // namespace
}  // namespace meterd::meter
