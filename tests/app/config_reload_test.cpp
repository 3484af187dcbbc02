// Which changes of the configuration a running daemon takes up.
#include "agent/app/config_reload.hpp"

#include "tests/app/config_fixture.hpp"

namespace meterd::app {
namespace {

class ConfigReload : public ConfigFixture {
 protected:
  ConfigReload() {
    pass_credential("one", "first");
    pass_credential("two", "second");
  }

  // What a reload from one text to the other says; "" when it may be.
  std::string refusal(const std::string& running, const std::string& next) const {
    const auto now = load(running);
    const auto then = load(next);
    if (!now || !then) return "does not load: " + (now ? then : now).error().message;
    EXPECT_NE(describe(*now), describe(*then));
    const auto may = may_reload(*now, *then);
    return may ? "" : may.error().message;
  }
};

TEST_F(ConfigReload, TakesUpEverythingThatTheUsagesApiIsToldOf) {
  for (const auto& [now, then] : std::vector<std::pair<std::string, std::string>>{
           {"", "idempotency_window = \"1h\""},
           {"", "lifetime_limit = 6000"},
           {"", "public_url = \"https://gw.example\""},
           {"", "chargebee_key = { credential = \"one\" }"},
           {"chargebee_key = { credential = \"one\" }", "chargebee_key = { credential = \"two\" }"},
           {"chargebee_key = { credential = \"one\" }", ""}})
    EXPECT_EQ(refusal("[api]\n" + now + "\n", "[api]\n" + then + "\n"), "") << then;
}

TEST_F(ConfigReload, TakesUpAnotherUpstreamForTheUsagesApi) {
  const std::string key = "key = { credential = \"one\" }\n";
  const auto both = "[[upstream]]\nname = \"a\"\nurl = \"https://a.b\"\n" + key +
                    "[[upstream]]\nname = \"b\"\nurl = \"https://c.d\"\n" + key;
  EXPECT_EQ(
      refusal("[api]\nchargebee_upstream = \"a\"\n" + both, "[api]\nchargebee_upstream = \"b\"\n" + both),
      "");
  EXPECT_EQ(refusal("", "[api]\nchargebee_upstream = \"b\"\n" + both), "");
}

TEST_F(ConfigReload, TakesUpWhenASubscriptionIsActiveAndWhatOfItIsNotMetered) {
  const std::string listed = "[[subscription]]\nid = \"s\"\nitem_prices = [\"p\"]\n";
  EXPECT_EQ(refusal("", listed), "");
  EXPECT_EQ(refusal(listed, listed + "active = [\"2026-01-01/\"]\n"), "");
  EXPECT_EQ(
      refusal(listed + "active = [\"2026-01-01/\"]\n", listed + "active = [\"2026-01-01/2026-06-30\"]\n"),
      "");
  EXPECT_EQ(refusal(listed, listed + "not_metered = [\"plan-usd\"]\n"), "");
  // The device's time zone, in which the ranges are days, may change too.
  EXPECT_EQ(refusal(listed, "[device]\ntime_zone = \"Europe/Berlin\"\n" + listed), "");
}

TEST_F(ConfigReload, NamesEveryKeyThatTakesARestart) {
  EXPECT_EQ(refusal("",
                    "[device]\nid = \"gw\"\n[clock]\ntrust = \"always\"\n[api]\nlisten = [\"unix:/a\"]\n"
                    "lifetime_limit = 6000\n"),
            "changed, but taken up by a restart only: device.id, clock.trust, api.listen");
}

}  // namespace
}  // namespace meterd::app
