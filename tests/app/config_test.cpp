// What a meterd.toml means once it is loaded: the contract's example, the defaults, the description.
#include <sstream>

#include "agent/app/config_plan.hpp"
#include "tests/app/config_fixture.hpp"

namespace meterd::app {
namespace {

// The contract's example, with a meter for the events of its source and without the upstream of a kind that
// this version does not run. What is commented out there stands here where it can.
constexpr const char* kExample = R"(
[device]
id        = "gw-0042"
time_zone = "UTC"
[clock]
trust   = "synchronised"
undated = "hold"
[journal]
directory        = "/var/lib/meterd"
max_size         = "64MiB"
reserve          = "8MiB"
commit_interval  = "10s"
retain_delivered = "400d"
[ingest]
socket        = "/run/meterd/ingest.sock"
statsd        = ["unix:/run/meterd/statsd.sock", "udp:127.0.0.1:8125"]
remember_ids  = "7d"
accept_past   = "400d"
accept_future = "5m"
[access]
groups = ["meterd"]
[api]
listen         = ["unix:/run/meterd/api.sock", "127.0.0.1:8480"]
public_url     = "http://127.0.0.1:8480"
chargebee_key  = { credential = "api-key" }
twilio_account = "AC0123456789abcdef0123456789abcdef"
twilio_token   = { credential = "twilio-token" }
idempotency_window = "30m"
lifetime_limit     = 5000
chargebee_upstream = "billing"
[[upstream]]
name = "billing"
kind = "chargebee"
url  = "https://acme.chargebee.com/api/v2"
key  = { credential = "chargebee-key" }
seal = "1d"
seal_delay = "5m"
unique = "second"
life = "5y"
[[meter]]
event      = "sms.sent"
item_price = "sms-usd"
upstream   = "billing"
time_zone = "Europe/Berlin"
rounding = "none"
[[meter]]
event        = "data.bytes"
item_price   = "data-usd"
upstream     = "billing"
subscription = "sub_1"
[[subscription]]
id          = "sub_1"
item_prices = ["sms-usd", "data-usd"]
[[source]]
kind  = "interface"
name  = "wwan0"
event = "data.bytes"
subscription = "sub_1"
)";

constexpr const char* kTwilio = R"(
[[upstream]]
name    = "marketplace"
kind    = "twilio-v1"
url     = "https://marketplace.twilio.com"
account = "AC0123456789abcdef0123456789abcdef"
token   = { credential = "marketplace-token" }
batch    = 100
decimals = 2
in_doubt = "hold"
[[meter]]
event      = "call.made"
item_price = "BI0123"
upstream   = "marketplace"
unit_price = "0.0075"
)";

class ConfigLoad : public ConfigFixture {
 protected:
  ConfigLoad() {
    for (const char* name : {"api-key", "twilio-token", "chargebee-key", "marketplace-token"})
      pass_credential(name, "secret");
  }
};

TEST_F(ConfigLoad, AcceptsTheContractsExample) {
  const auto config = load(kExample);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_THAT(config->warnings, testing::IsEmpty());
  EXPECT_EQ(config->device_id.value(), "gw-0042");
  EXPECT_EQ(config->journal_size_max, 64ULL << 20);
  EXPECT_EQ(config->chargebee_key.reveal(), "secret");
  EXPECT_EQ(config->chargebee_upstream.value(), "billing");
  EXPECT_EQ(config->twilio_v1_upstream.value(), kLedger);
  ASSERT_EQ(config->upstreams.size(), 1U);
  const auto& upstream = config->upstreams.front();
  EXPECT_EQ(upstream.kind, UpstreamKind::chargebee);
  EXPECT_EQ(upstream.host, "acme.chargebee.com");
  EXPECT_EQ(upstream.base_path, "/api/v2");
  EXPECT_EQ(upstream.seal, Seconds(86'400));
  EXPECT_EQ(upstream.seal_delay, Seconds(300));
  EXPECT_EQ(upstream.flush_window, std::nullopt);
  EXPECT_EQ(upstream.life, Seconds(5LL * 365 * 86'400));
  ASSERT_EQ(config->meters.size(), 2U);
  EXPECT_EQ(config->meters[0].time_zone, "Europe/Berlin");
  EXPECT_EQ(config->meters[0].subscription, std::nullopt);
  EXPECT_EQ(config->meters[1].time_zone, "UTC");
  ASSERT_EQ(config->subscriptions.size(), 1U);
  EXPECT_EQ(config->subscriptions[0].item_prices.size(), 2U);
  ASSERT_EQ(config->sources.size(), 1U);
  const auto& interface = std::get<source::InterfaceRule>(config->sources[0]);
  EXPECT_EQ(interface.interface_name, "wwan0");
  EXPECT_EQ(interface.direction, "both");
}

TEST_F(ConfigLoad, TakesATwilioUpstreamWithItsPrice) {
  const auto config = load(std::string(kExample) + kTwilio);
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->upstreams.size(), 2U);
  const auto& upstream = config->upstreams[1];
  EXPECT_EQ(upstream.kind, UpstreamKind::twilio_v1);
  EXPECT_EQ(upstream.token.reveal(), "secret");
  EXPECT_EQ(upstream.batch, 100U);
  EXPECT_EQ(upstream.decimals, 2U);
  EXPECT_EQ(upstream.in_doubt, "hold");
  EXPECT_EQ(config->twilio_v1_upstream.value(), "marketplace");
  EXPECT_EQ(config->meters.back().unit_price, *Quantity::parse("0.0075"));
}

TEST_F(ConfigLoad, GivesEveryKeyItsDefault) {
  const auto config = load("");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(short_paths(describe(*config)), R"([device]
id = "gw-d33dc5615d8b710d"
time_zone = "UTC"

[clock]
trust = "synchronised"
undated = "hold"

[journal]
directory = "/var/lib/meterd"
max_size = "64MiB"
reserve = "8MiB"
commit_interval = "10s"
retain_delivered = "400d"

[ingest]
socket = "/run/meterd/ingest.sock"
counters = "/run/meterd/counters.sock"
counters_per_user = 10000
counter_clients_per_user = 64
counter_rate_max = 1000000000
statsd = ["unix:/run/meterd/statsd.sock", "udp:127.0.0.1:8125"]
remember_ids = "7d"
accept_past = "400d"
accept_future = "5m"

[access]
groups = ["meterd"]

[api]
listen = ["unix:/run/meterd/api.sock", "127.0.0.1:8480"]
public_url = "http://127.0.0.1:8480"
idempotency_window = "30m"
lifetime_limit = 5000
chargebee_upstream = "ledger"
twilio_v1_upstream = "ledger"
twilio_preview_upstream = "ledger"
)");
}

TEST_F(ConfigLoad, DescribesWhatLoadsAgainAsTheSame) {
  const std::vector<std::string> documents = {
      "",
      kExample,
      "[clock]\nundated = \"hold\"\ntrust = \"always\"\n[ingest]\nstatsd = []\n[access]\ngroups = []\n",
      "[journal]\nmax_size = \"1MiB\"\ncommit_interval = \"10ms\"\n[api]\nlisten = [\"[::1]:1\"]\n",
      "[device]\nid = \"a \\\"quoted\\\" \\\\ name\"\ntime_zone = \"Europe/Berlin\"\n"
      "[[meter]]\nevent = \"e\"\nitem_price = \"p\"\nunit_price = \"0.0075\"\n",
      "[[upstream]]\nurl = \"http://[::1]:8480/api/\"\nkey = { credential = \"api-key\" }\nseal = \"5s\"\n"
      "flush_window = \"1s\"\n",
      "[device]\ntime_zone = \"Europe/Berlin\"\n[api]\nidempotency_window = \"90s\"\nlifetime_limit = 7\n"
      "[[subscription]]\nid = \"s\"\nitem_prices = []\nnot_metered = [\"a \\\"b\\\"\"]\n"
      "active = [\"/2026-06-30\", \"2026-08-01T12:00:00+02:00/2026-09-01\", \"2026-10-01/\"]\n",
  };
  for (const auto& document : documents) {
    const auto first = load(document);
    ASSERT_TRUE(first) << first.error().message;
    const auto second = load(describe(*first));
    ASSERT_TRUE(second) << second.error().message << "\n" << describe(*first);
    EXPECT_EQ(describe(*second), describe(*first));
  }
}

TEST_F(ConfigLoad, CountsIntoTheOneUpstreamThereIs) {
  const auto config = load(
      "[[upstream]]\nurl = \"https://a.b\"\nkey = { credential = \"api-key\" }\n"
      "[[meter]]\nevent = \"sms.sent\"\nitem_price = \"sms-usd\"\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->upstreams.front().name.value(), "chargebee");
  EXPECT_EQ(config->meters.front().upstream.value(), "chargebee");
  EXPECT_EQ(config->chargebee_upstream.value(), "chargebee");
}

TEST_F(ConfigLoad, SendsWhatTheUsagesApiAcceptsToTheUpstreamThatIsNamed) {
  const std::string key = "key = { credential = \"api-key\" }\n";
  const auto two = "[[upstream]]\nname = \"one\"\nurl = \"https://a.b\"\n" + key +
                   "[[upstream]]\nname = \"two\"\nurl = \"https://c.d\"\n" + key;
  EXPECT_EQ(load("[api]\nchargebee_upstream = \"two\"\n" + two)->chargebee_upstream.value(), "two");
  EXPECT_EQ(load("[api]\nchargebee_upstream = \"one\"\n" + two)->chargebee_upstream.value(), "one");
  EXPECT_EQ(load("[api]\nchargebee_upstream = \"ledger\"\n")->chargebee_upstream.value(), kLedger);
}

TEST_F(ConfigLoad, WithoutAnUpstreamCountsIntoTheLedger) {
  const std::string meter = "[[meter]]\nevent = \"sms.sent\"\nitem_price = \"sms-usd\"\n";
  for (const auto& text : {meter, meter + "upstream = \"ledger\"\n"}) {
    const auto config = load(text);
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->meters.front().upstream.value(), kLedger);
  }
}

TEST_F(ConfigLoad, DerivesTheDeviceIdWithoutShowingTheMachineId) {
  const auto id = [&](const std::string& machine_id) {
    sources_.machine_id = machine_id;
    const auto config = load("");
    return config ? config->device_id.value() : short_paths(config.error().message);
  };
  const auto first = id("0123456789abcdef0123456789abcdef");
  EXPECT_EQ(first, "gw-d33dc5615d8b710d");
  EXPECT_EQ(id("0123456789abcdef0123456789abcdef\n"), first);
  EXPECT_NE(id("1123456789abcdef0123456789abcdef"), first);
  EXPECT_EQ(id(""),
            "meterd.toml: device.id: this system has no machine id to derive it from; set it, such as id = "
            "\"gw-0042\"");
  EXPECT_EQ(id("uninitialized\n"), id(""));
  EXPECT_TRUE(load("[device]\nid = \"gw-0042\"\n"));
}

TEST_F(ConfigLoad, MakesTheDefaultReserveFitASmallJournal) {
  const auto config = load("[journal]\nmax_size = \"2MiB\"\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->journal_reserve, 256ULL << 10);
}

TEST_F(ConfigLoad, LeadsDownloadsToWhereItListens) {
  EXPECT_EQ(load("[api]\nlisten = [\"unix:/a.sock\", \"127.0.0.1:9000\"]\n")->public_url,
            "http://127.0.0.1:9000");
  EXPECT_EQ(load("[api]\npublic_url = \"https://gw.example/meterd/\"\n")->public_url,
            "https://gw.example/meterd");
}

TEST_F(ConfigLoad, WarnsOfWhatIsAllowedAndDoubtful) {
  const std::string upstream = "[[upstream]]\nkey = { credential = \"api-key\" }\nurl = ";
  EXPECT_EQ(warnings(upstream + "\"http://localhost:1/a\"\n"), "");
  EXPECT_EQ(warnings(upstream + "\"http://acme.example\"\n"),
            "meterd.toml:3: upstream.url: http to another host: everyone on the way can read the key and the "
            "usages; "
            "use https\n");
  EXPECT_EQ(warnings("[api]\nlisten = [\"127.0.0.1:8480\"]\n"),
            "meterd.toml:2: api.listen: has no Unix socket: meterctl will not reach the daemon\n");
  EXPECT_EQ(warnings(upstream +
                     "\"https://a.b\"\n[[meter]]\nevent = \"e\"\nitem_price = \"p\"\nunit_price = \"1\"\n"),
            "meterd.toml:7: meter.unit_price: is not used: Chargebee has the price of its item price\n");
  EXPECT_EQ(
      warnings("[[meter]]\nevent = \"e\"\nitem_price = \"p\"\nsubscription = \"s2\"\n"
               "[[subscription]]\nid = \"s1\"\nitem_prices = [\"p\"]\n"),
      "meterd.toml: meter.item_price: \"p\" is in no fitting [[subscription]]: events of \"e\" are refused, "
      "unless it was listed before\n");
}

TEST_F(ConfigLoad, WarnsOfNamesThatNobodyHas) {
  sources_.has_user = [](const auto& name) { return name == "www-data"; };
  sources_.has_group = sources_.has_user;
  const std::string meter = "[[meter]]\nevent = \"sms.sent\"\nitem_price = \"p\"\nsubscription = \"s1\"\n";
  const auto allow = [&](const std::string& rule) { return warnings(meter + "[[access.allow]]\n" + rule); };
  EXPECT_EQ(allow("user = \"www-data\"\nevents = [\"sms.sent\"]\n"), "");
  EXPECT_EQ(allow("user = \"wwwdata\"\n"),
            "meterd.toml:6: allow.user: this system has no user \"wwwdata\" so far\n");
  EXPECT_EQ(allow("group = \"wwwdata\"\n"),
            "meterd.toml:6: allow.group: this system has no group \"wwwdata\" so far\n");
  EXPECT_EQ(allow("group = \"www-data\"\nevents = [\"sms.snt\"]\n"),
            "meterd.toml:7: allow.events: no [[meter]] counts \"sms.snt\" (did you mean \"sms.sent\"?)\n");
  EXPECT_EQ(warnings("[access]\ngroups = [\"www-data\", \"gateway\"]\n"),
            "meterd.toml:2: access.groups: this system has no group \"gateway\" so far\n");
  EXPECT_EQ(warnings(meter + "[[source]]\nkind = \"access-log\"\nevent = \"sms.sent\"\n"
                             "socket = \"/run/a.sock\"\ngroups = [\"nginx\"]\n"),
            "meterd.toml:9: source.groups: this system has no group \"nginx\" so far\n");
  EXPECT_EQ(warnings(meter), "") << "the group meterd of the default need not be there";
}

TEST_F(ConfigLoad, WarnsOfASourceForWhatIsNotListed) {
  const std::string listed =
      "[[meter]]\nevent = \"data.bytes\"\nitem_price = \"p\"\n"
      "[[subscription]]\nid = \"s1\"\nitem_prices = [\"p\"]\n[[subscription]]\nid = \"s2\"\nitem_prices = "
      "[\"q\"]\n";
  const auto source = [&](const std::string& rest) {
    return warnings(listed + "[[source]]\nevent = \"data.bytes\"\n" + rest);
  };
  const auto interface = [&](const std::string& subscription) {
    return source("kind = \"interface\"\nname = \"wwan0\"\nsubscription = \"" + subscription + "\"\n");
  };
  EXPECT_EQ(interface("s1"), "");
  for (const char* other : {"s2", "s3"})
    EXPECT_EQ(interface(other),
              "meterd.toml:14: source.subscription: 1 of 1 in no [[subscription]] with the item price of the "
              "event's "
              "[[meter]]: what is counted for it is refused, unless it was listed before\n");
  EXPECT_THAT(source("kind = \"nftables\"\ntable = \"billing\"\nset = \"s\"\n"
                     "subscribers = { \"10.0.0.1\" = \"s1\", \"10.0.0.2\" = \"s3\" }\n"),
              ::testing::HasSubstr("source.subscribers: 1 of 2 in no [[subscription]]"));
}

TEST_F(ConfigLoad, DescribesAPreviewUpstreamWithoutTheKeysOfV1) {
  const auto config = load(
      "[[upstream]]\nkind = \"twilio-preview\"\nurl = \"https://t.test\"\n"
      "account = \"AC0123456789abcdef0123456789abcdef\"\ntoken = { credential = \"api-key\" }\n");
  ASSERT_TRUE(config) << config.error().message;
  const auto again = load(describe(*config));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(describe(*again), describe(*config));
}

TEST_F(ConfigLoad, WarnsOfAnUpstreamThatLastsLessThanAYear) {
  const std::string hourly =
      "[[upstream]]\nkey = { credential = \"api-key\" }\nurl = \"https://a.b\"\nseal = \"1h\"\n";
  const std::string counted = "[[meter]]\nevent = \"e\"\nitem_price = \"p\"\n";
  EXPECT_THAT(warnings(hourly + counted),
              ::testing::HasSubstr("\"1y\" is 8760 seals of \"1h\", times 1 item price(s)"));
  EXPECT_THAT(warnings(hourly + counted), ::testing::HasSubstr("which lasts 5000h"));
  EXPECT_EQ(warnings(hourly + "life = \"200d\"\n" + counted), "") << "it is what is expected";
  EXPECT_EQ(warnings(hourly), "") << "nothing is metered";
}

TEST_F(ConfigLoad, SaysWhatItComesToInComments) {
  const auto config = load(std::string(kExample) + kTwilio);
  ASSERT_TRUE(config) << config.error().message;
  const auto plan = describe_plan(*config);
  EXPECT_THAT(plan, ::testing::HasSubstr("flash: at most 177 MB a day at commit_interval \"10s\""));
  EXPECT_THAT(plan, ::testing::HasSubstr("billing: for each subscription up to "));
  EXPECT_THAT(plan, ::testing::HasSubstr("after 30m: the upstream forgets a request's key"));
  EXPECT_THAT(plan, ::testing::HasSubstr("at once: a usage whose answer is lost is in doubt"));
  const auto again = load(describe(*config) + plan);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(describe(*again), describe(*config));
}

class ConfigShipped : public ConfigLoad {
 protected:
  static std::string shipped(bool uncommented) {
    std::ifstream file(std::string(METERD_SOURCE_DIR) + "/systemd/meterd.toml");
    std::ostringstream out;
    for (std::string line; std::getline(file, line); out << line << "\n")
      if (uncommented && line.size() > 1 && line[0] == '#' && line[1] != ' ') line.erase(0, 1);
    return out.str();
  }
};

TEST_F(ConfigShipped, FileLoadsAsTheDefaults) {
  const auto config = load(shipped(false));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(describe(*config), describe(*load("")));
}

TEST_F(ConfigShipped, FileShowsTheDefaultOfEveryKey) {
  const auto config = load(shipped(true));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_THAT(config->warnings, testing::IsEmpty());
  const std::string text = "\n" + describe(*config);
  std::istringstream defaults(describe(*load("")));
  for (std::string line; std::getline(defaults, line);)
    if (!line.starts_with("id = ") && !line.starts_with("chargebee_upstream")) {
      EXPECT_NE(text.find("\n" + line + "\n"), std::string::npos) << line;
    }
  EXPECT_NE(text.find("\nflush_window = \"1h\"\n"), std::string::npos);
}

}  // namespace
}  // namespace meterd::app
