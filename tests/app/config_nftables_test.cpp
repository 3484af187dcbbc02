// [[source]] of kind "nftables": what is loaded, what is described, and what is refused.
#include "agent/app/config_plan.hpp"
#include "tests/app/config_fixture.hpp"

namespace meterd::app {
namespace {

using source::NftablesRule;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kMeter = "[[meter]]\nevent = \"data.bytes\"\nitem_price = \"data-usd\"\n";

class ConfigNftables : public ConfigFixture {
 protected:
  static std::string set_of(const std::string& subscribers, const std::string& more = "") {
    return "[[source]]\nkind = \"nftables\"\ntable = \"meterd\"\nset = \"subscribers\"\nevent = "
           "\"data.bytes\"\nsubscribers = { " +
           subscribers + " }\n" + more;
  }
  NftablesRule rule_of(const std::string& text) const {
    const auto config = load(text + kMeter);
    if (!config) ADD_FAILURE() << config.error().message;
    return config ? std::get<NftablesRule>(config->sources.at(0)) : NftablesRule{};
  }
};

TEST_F(ConfigNftables, HasTheSubscribersByTheKernelsKeys) {
  const auto rule = rule_of(set_of(R"("10.0.0.3" = "sub_2", "10.0.0.2" = "sub_1")"));
  EXPECT_EQ(rule.name(), "nftables:inet:meterd:subscribers:data.bytes");
  EXPECT_TRUE(rule.is_set);
  EXPECT_EQ(rule.interval, Milliseconds(10'000));
  EXPECT_EQ(rule.keys, platform::NftKeyKind::ipv4);
  ASSERT_EQ(rule.subscribers.size(), 2U);
  EXPECT_EQ(rule.subscribers[0].subscription.value(), "sub_1");
  EXPECT_EQ(rule.subscribers[0].key.bytes[3], 2);
  EXPECT_FALSE(rule.bytes_per_second_max);
}

TEST_F(ConfigNftables, ComesBackAsItWasDescribed) {
  for (const auto& text :
       {set_of(R"("2001:db8::2" = "sub_1", "2001:db8::1" = "a \"b\"")", "interval = \"1m\"\n"),
        set_of(R"("0x7" = "sub_1", "8" = "sub_2")",
               "bytes_per_second_max = \"125000000\"\nfamily = \"bridge\"\n"),
        set_of(""),
        std::string("[[source]]\nkind = \"nftables\"\ntable = \"meterd\"\ncounter = \"wwan\"\nevent = "
                    "\"data.bytes\"\nsubscription = \"sub_1\"\n")}) {
    const auto config = load(text + kMeter);
    ASSERT_TRUE(config) << config.error().message;
    const auto again = load(describe(*config));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->sources, config->sources) << describe(*config);
  }
}

// At most as often as there are commits.
TEST_F(ConfigNftables, SaysWhatItsReadingsCostTheFlash) {
  std::string subscribers;
  for (int mark = 1; mark <= 1'000; ++mark)
    subscribers += (mark == 1 ? "\"" : ", \"") + std::to_string(mark) + "\" = \"sub_1\"";
  const auto plan_of = [&](const std::string& more) {
    const auto config = load(set_of(subscribers, more) + kMeter);
    return config ? describe_plan(*config) : config.error().message;
  };
  EXPECT_THAT(plan_of(""), HasSubstr("subscribers:data.bytes adds at most 156 MB a day, if all of its 1000"));
  EXPECT_THAT(plan_of("interval = \"1s\"\n"), HasSubstr("adds at most 156 MB a day"));
  EXPECT_THAT(plan_of("interval = \"1m\"\n"), HasSubstr("adds at most 26 MB a day"));
}

TEST_F(ConfigNftables, NeedsWhatItCountsAndForWhom) {
  const auto errors_of = [&](const std::string& text) { return errors(text + kMeter); };
  const std::string bare = "[[source]]\nkind = \"nftables\"\ntable = \"meterd\"\nevent = \"data.bytes\"\n";
  EXPECT_THAT(errors_of(bare), HasSubstr("source.set: expected one of set and counter"));
  EXPECT_THAT(errors_of(bare + "set = \"s\"\n"), HasSubstr("source.subscribers: expected whom to bill"));
  EXPECT_THAT(errors_of(bare + "counter = \"c\"\n"), HasSubstr("source.subscription: expected whom to bill"));
  EXPECT_THAT(errors_of(bare + "counter = \"c\"\nsubscription = \"s\"\nsubscribers = {}\n"),
              HasSubstr("a named counter has no elements"));
  EXPECT_THAT(errors_of(set_of("", "counter = \"c\"\n")), HasSubstr("expected one of set and counter"));
  EXPECT_THAT(errors_of(set_of("", "subscription = \"s\"\n")), HasSubstr("a set bills its subscribers"));
  EXPECT_THAT(errors_of(set_of("") + set_of("")), HasSubstr("another [[source]] counts the same bytes"));
  EXPECT_THAT(errors_of(set_of("", "interval = \"500ms\"\n")), HasSubstr(R"(from "1s" to "1h")"));
  EXPECT_THAT(errors_of(set_of("", "family = \"ipv4\"\n")), HasSubstr("source.family"));
  auto numbered = set_of("");
  numbered.replace(numbered.find("data.bytes"), 10, "data/7");
  EXPECT_THAT(errors_of(numbered), HasSubstr("source.event: expected a name without"));
}

TEST_F(ConfigNftables, RefusesKeysThatNoElementHasWithoutRepeatingThem) {
  const auto errors_of = [&](const std::string& subscribers) { return errors(set_of(subscribers) + kMeter); };
  for (const char* wrong : {R"("10.0.0.300" = "sub_1")", R"("10.0.0.0/24" = "sub_1")", R"("10.0.0.2" = 7)",
                            R"("10.0.0.2" = "")", R"("10.0.0.2 . 80" = "sub_1")"}) {
    EXPECT_THAT(errors_of(wrong), HasSubstr("expected an IPv4 address, an IPv6 address or a mark")) << wrong;
    EXPECT_THAT(errors_of(wrong), Not(HasSubstr("10.0.0")));
  }
  EXPECT_THAT(errors_of(R"("10.0.0.2" = "a", "::1" = "b")"), HasSubstr("keys of one type"));
  EXPECT_THAT(errors_of(R"("7" = "a", "0x7" = "b")"), HasSubstr("there twice"));
}

}  // namespace
}  // namespace meterd::app
