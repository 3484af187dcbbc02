// When a subscription is active, and what of it is not metered: what loads, and each thing that can be wrong.
#include "tests/app/config_fixture.hpp"

namespace meterd::app {
namespace {

constexpr const char* kListed = "[[subscription]]\nid = \"s\"\nitem_prices = [\"p\"]\n";

class ConfigSubscription : public ConfigFixture {
 protected:
  // The only subscription's times, or none where it does not load.
  std::vector<ActiveTime> active(const std::string& ranges, const std::string& zone = "UTC") const {
    const auto config =
        load("[device]\ntime_zone = \"" + zone + "\"\n" + kListed + "active = [" + ranges + "]\n");
    EXPECT_TRUE(config) << config.error().message;
    return config ? config->subscriptions.front().active : std::vector<ActiveTime>();
  }

  // What is said of one line, the fourth, behind "meterd.toml:4: subscription.".
  std::string wrong(const std::string& line) const {
    const std::string head = "meterd.toml:4: subscription.";
    const auto all = errors(kListed + line + "\n");
    return all.starts_with(head) ? all.substr(head.size()) : "elsewhere: " + all;
  }
  std::string wrong_range(const std::string& ranges) const { return wrong("active = [" + ranges + "]"); }
};

TEST_F(ConfigSubscription, IsAlwaysActiveAndWhollyMeteredUnlessToldOtherwise) {
  const auto config = load(kListed);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_THAT(config->subscriptions.front().active, testing::IsEmpty());
  EXPECT_THAT(config->subscriptions.front().not_metered, testing::IsEmpty());
  EXPECT_EQ(describe(*config).find("active"), std::string::npos);
  EXPECT_EQ(describe(*config).find("not_metered"), std::string::npos);
}

TEST_F(ConfigSubscription, IsActiveFromTheFirstSecondOfADayToTheLastOfAnother) {
  const std::vector<ActiveTime> expected{{1'767'225'600, 1'782'864'000}, {1'785'542'400, INT64_MAX}};
  EXPECT_EQ(active(R"("2026-01-01/2026-06-30", "2026-08-01/")"), expected);
  const std::vector<ActiveTime> one_day{{0, 86'400}};
  EXPECT_EQ(active(R"("1970-01-01/1970-01-01")"), one_day);
  const std::vector<ActiveTime> until{{INT64_MIN, 86'400}};
  EXPECT_EQ(active(R"("/1970-01-01")"), until);
}

TEST_F(ConfigSubscription, HasDaysOfTheDevicesTimeZone) {
  const std::vector<ActiveTime> winter_to_summer{{1'767'222'000, 1'782'856'800}};
  EXPECT_EQ(active(R"("2026-01-01/2026-06-30")", "Europe/Berlin"), winter_to_summer);
  const std::vector<ActiveTime> of_23_hours{{1'774'738'800, 1'774'738'800 + 23 * 3'600}};
  EXPECT_EQ(active(R"("2026-03-29/2026-03-29")", "Europe/Berlin"), of_23_hours);
}

TEST_F(ConfigSubscription, IsActiveUpToAnInstantAndNotInIt) {
  const std::vector<ActiveTime> expected{{43'200, 43'201}, {43'201, 86'400}};
  EXPECT_EQ(
      active(R"("1970-01-01T14:00:00+02:00/1970-01-01T12:00:01Z", "1970-01-01T12:00:01.000Z/1970-01-01")"),
      expected);
}

TEST_F(ConfigSubscription, MayHaveRangesThatTouch) {
  const auto ranges = active(R"("2026-01-01/2026-06-30", "2026-07-01/2026-07-01")");
  ASSERT_EQ(ranges.size(), 2U);
  EXPECT_EQ(ranges[0].until, ranges[1].from);
}

TEST_F(ConfigSubscription, IsDescribedAsWrittenWithTheInstantsThatItMeans) {
  const auto config = load(std::string("[device]\ntime_zone = \"Europe/Berlin\"\n") + kListed +
                           "active = [\"/2026-06-30\", \"2026-08-01/\"]\nnot_metered = [\"plan-usd\"]\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_TRUE(describe(*config).ends_with(R"([[subscription]]
id = "s"
item_prices = ["p"]
not_metered = ["plan-usd"]
# active from, and until before: /2026-06-30T22:00:00Z, 2026-07-31T22:00:00Z/
active = ["/2026-06-30", "2026-08-01/"]
)")) << describe(*config);
  const auto again = load(describe(*config));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->subscriptions.front().active, config->subscriptions.front().active);
  EXPECT_EQ(again->subscriptions.front().not_metered, config->subscriptions.front().not_metered);
}

TEST_F(ConfigSubscription, RefusesWhatIsNoRange) {
  const std::string what =
      "expected FROM/UNTIL in days or in RFC 3339 instants of whole seconds, such as "
      "\"2026-01-01/2026-06-30\" or \"2026-08-01/\"; found ";
  for (const char* text :
       {"", "/", "2026-01-01", "2026-01-01/x", "x/2026-01-01", "2026-02-29/", "2026-01-01//2026-02-01",
        "2026-01-01/2026-02-01/2026-03-01", "2026-01-01 / 2026-02-01", "2026-01-01T12:00:00/",
        "2026-01-01T12:00:00.5Z/", "/2026-01-01T12:00:00.001Z", "1767225600/", "always"})
    EXPECT_EQ(wrong_range("\"" + std::string(text) + "\""), "active: " + what + "\"" + text + "\"");
}

TEST_F(ConfigSubscription, RefusesRangesThatAreEmptyOverlapOrAreOutOfOrder) {
  EXPECT_EQ(wrong_range(R"("2026-06-30/2026-06-29")"),
            "active: \"2026-06-30/2026-06-29\" does not begin before it ends");
  EXPECT_EQ(wrong_range(R"("2026-06-30T00:00:00Z/2026-06-30T00:00:00Z")"),
            "active: \"2026-06-30T00:00:00Z/2026-06-30T00:00:00Z\" does not begin before it ends");
  const auto after = [](const std::string& later, const std::string& earlier) {
    return "active: \"" + later + "\" begins before \"" + earlier +
           "\" ends; put the ranges in order, without overlap";
  };
  EXPECT_EQ(wrong_range(R"("2026-01-01/2026-06-30", "2026-06-30/")"),
            after("2026-06-30/", "2026-01-01/2026-06-30"));
  EXPECT_EQ(wrong_range(R"("2026-08-01/", "2026-09-01/2026-09-30")"),
            after("2026-09-01/2026-09-30", "2026-08-01/"));
  EXPECT_EQ(wrong_range(R"("2026-08-01/2026-08-31", "/2026-01-01")"),
            after("/2026-01-01", "2026-08-01/2026-08-31"));
  EXPECT_EQ(wrong_range(R"("2026-08-01/2026-08-31", "2026-01-01/2026-01-31")"),
            after("2026-01-01/2026-01-31", "2026-08-01/2026-08-31"));
}

TEST_F(ConfigSubscription, RefusesAnotherShapeOfItsTimes) {
  EXPECT_EQ(wrong("active = []"),
            "active: expected at least one range; leave it out where it is always active");
  EXPECT_TRUE(wrong("active = \"2026-01-01/\"").starts_with("active: expected an array of strings, each "));
  EXPECT_TRUE(wrong("active = [2026-01-01]").starts_with("active: expected a string, each "));
}

TEST_F(ConfigSubscription, NamesTheLineOfEachWrongRange) {
  const auto all =
      errors(std::string(kListed) + "active = [\n  \"2026-02-01/\",\n  \"2026-01-01/\",\n  \"x\"]\n");
  EXPECT_THAT(all, testing::StartsWith("meterd.toml:6: subscription.active: \"2026-01-01/\" begins before "));
  EXPECT_THAT(all, testing::HasSubstr("\nmeterd.toml:7: subscription.active: expected FROM/UNTIL "));
}

TEST_F(ConfigSubscription, HasAnItemPriceAsAMeteredOneOrAsAnotherOne) {
  const auto config = load(std::string(kListed) + "not_metered = [\"plan-usd\", \"setup-usd\"]\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_THAT(config->subscriptions.front().not_metered,
              testing::ElementsAre(ItemPriceId("plan-usd"), ItemPriceId("setup-usd")));
  EXPECT_EQ(wrong("not_metered = [\"plan-usd\", \"p\"]"),
            "not_metered: \"p\" is in item_prices too; it is metered or it is not");
  EXPECT_EQ(
      wrong("not_metered = [\"\"]"),
      "not_metered: expected item prices, each of 1 to 100 bytes without control characters; found \"\"");
  EXPECT_EQ(wrong("not_metered = \"plan-usd\""),
            "not_metered: expected an array of strings, each an item price; found \"plan-usd\"");
}

TEST_F(ConfigSubscription, RefusesAMeterOfAnItemPriceThatIsNotMetered) {
  const auto meter = [](const std::string& more) {
    return "[[meter]]\nevent = \"e\"\nitem_price = \"plan-usd\"\n" + more;
  };
  const std::string mine = kListed + std::string("not_metered = [\"plan-usd\"]\n");
  const std::string metered_elsewhere = "[[subscription]]\nid = \"t\"\nitem_prices = [\"plan-usd\"]\n";
  const std::string head = "meterd.toml:3: meter.item_price: \"plan-usd\" is in not_metered of ";
  const std::string of_none =
      "a [[subscription]] and in item_prices of none: what \"e\" counts would be refused";
  const std::string of_its_own = "the meter's [[subscription]]: what \"e\" counts would be refused";
  EXPECT_EQ(errors(meter("") + mine), head + of_none);
  EXPECT_EQ(errors(meter("subscription = \"t\"\n") + mine), head + of_none);
  EXPECT_EQ(errors(meter("subscription = \"s\"\n") + mine), head + of_its_own);
  EXPECT_EQ(errors(meter("subscription = \"s\"\n") + mine + metered_elsewhere), head + of_its_own);
  EXPECT_EQ(errors(meter("") + mine + metered_elsewhere), "");
  EXPECT_EQ(errors(meter("subscription = \"t\"\n") + mine + metered_elsewhere), "");
  EXPECT_EQ(errors(meter("")), "");
}

}  // namespace
}  // namespace meterd::app
