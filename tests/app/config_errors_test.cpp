// Each thing that can be wrong in a meterd.toml, with the exact line of the message that it gets.
#include "agent/app/config_values.hpp"
#include "agent/base/limits.hpp"
#include "tests/app/config_fixture.hpp"

namespace meterd::app {
namespace {

class ConfigErrors : public ConfigFixture {
 protected:
  ConfigErrors() { pass_credential("k", "secret"); }

  // An upstream in three lines, and what follows in it.
  static std::string upstream(const std::string& more) {
    return "[[upstream]]\nurl = \"https://a.b\"\nkey = { credential = \"k\" }\n" + more + "\n";
  }
  static std::string meter(const std::string& more) {
    return "[[meter]]\nevent = \"e\"\nitem_price = \"p\"\n" + more + "\n";
  }

  struct Case {
    std::string text;
    std::string error;  // after "meterd.toml:"
  };
  void expect(const std::vector<Case>& cases) const {
    for (const auto& one : cases) EXPECT_EQ(errors(one.text), "meterd.toml:" + one.error) << one.text;
  }
};

TEST_F(ConfigErrors, NameTheLineOfASyntaxError) {
  expect({{"[device]\nid = \"a\"\nid = \"b\"\n",
           "3: not TOML: Error while parsing key-value pair: cannot redefine existing string 'id'"},
          {"\n\n[journal\n", "3: not TOML: Error while parsing table header: expected ']', saw '\\n'"}});
}

TEST_F(ConfigErrors, NameAFileThatCannotBeRead) {
  const auto config = load_config(path("absent.toml"), sources_);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Code::io);
  EXPECT_EQ(short_paths(config.error().message), "absent.toml cannot be read: No such file or directory");
}

TEST_F(ConfigErrors, NeverRepeatASubscriptionsIdForItMayBeAPhoneNumber) {
  const std::string listed = "[[subscription]]\nid = \"+491701234567\"\nitem_prices = [\"p\"]\n";
  const std::string shape = "expected a string of 1 to 100 bytes without control characters; found ";
  expect({{listed + listed, "5: subscription.id: is listed already; put all its item prices into one table"},
          {"[[subscription]]\nid = 491701234567\nitem_prices = [\"p\"]\n",
           "2: subscription.id: " + shape + "an integer"},
          {meter("subscription = \"+491701234567\\n\""), "4: meter.subscription: " + shape + "a string"},
          {meter("subscription = \"s\"") +
               "[[source]]\nkind = \"interface\"\nname = \"w\"\nevent = \"e\"\nsubscription = \"+49\\t1\"\n",
           "9: source.subscription: " + shape + "a string"}});
}

TEST_F(ConfigErrors, SuggestTheNearestKnownKey) {
  expect({{"[journal]\nmaxsize = \"1MiB\"\n", "2: journal.maxsize: unknown key (did you mean \"max_size\"?)"},
          {"[jurnal]\n", "1: jurnal: unknown key (did you mean \"journal\"?)"},
          {upstream("seal-delay = \"5m\""),
           "4: upstream.seal-delay: unknown key (did you mean \"seal_delay\"?)"},
          {"[clock]\n\ncolour = 1\n", "3: clock.colour: unknown key"},
          {"time_zone = \"UTC\"\n", "1: time_zone: unknown key"},
          {"[[meters]]\n", "1: meters: unknown key (did you mean \"meter\"?)"}});
}

TEST_F(ConfigErrors, SayWhichTypeWasExpected) {
  expect({{upstream("seal = 3"),
           "4: upstream.seal: expected a duration such as \"1d\" or \"15m\", at most one day; found 3"},
          {"[journal]\nmax_size = 64\n",
           "2: journal.max_size: expected a size such as \"8MiB\", in KiB, MiB or GiB; found 64"},
          {"[api]\nlifetime_limit = \"many\"\n",
           "2: api.lifetime_limit: expected a whole number from 1 to 10000000; found \"many\""},
          {"[api]\nlifetime_limit = -1\n",
           "2: api.lifetime_limit: expected a whole number from 1 to 10000000; found -1"},
          {"[access]\ngroups = \"meterd\"\n",
           "2: access.groups: expected an array of strings, each the name of a group; found \"meterd\""},
          {"[access]\ngroups = [\"meterd\",\n  true]\n",
           "3: access.groups: expected a string, each the name of a group; found true"},
          {"[device]\nid = 1.5\n",
           "2: device.id: expected a string of 1 to 100 bytes without control characters; found a "
           "floating-point "
           "number"},
          {"[device]\nid = \"\"\n",
           "2: device.id: expected a string of 1 to 100 bytes without control characters; found \"\""},
          {"[upstream]\nname = \"billing\"\n", "1: upstream: expected [[upstream]]; found a table"},
          {"[[device]]\n", "1: device: expected a table; found an array"},
          {"[clock]\ntrust = \"never\"\n",
           "2: clock.trust: expected \"synchronised\" or \"always\"; found \"never\""}});
}

TEST_F(ConfigErrors, KeepTheSocketOfCountersApartFromTheOthers) {
  expect({{"[ingest]\ncounters = \"counters.sock\"\n",
           "2: ingest.counters: expected the absolute path of a Unix socket such as "
           "\"/run/meterd/counters.sock\", or \"\", at most 107 bytes; found \"counters.sock\""},
          {"[ingest]\ncounters = \"/run/meterd/ingest.sock\"\n",
           "2: ingest.counters: \"/run/meterd/ingest.sock\" is ingest.socket already"},
          {"[ingest]\ncounters = \"/run/meterd/statsd.sock\"\n",
           "2: ingest.counters: \"/run/meterd/statsd.sock\" is in ingest.counters and in ingest.statsd"},
          {"[ingest]\ncounters_per_user = 0\n",
           "2: ingest.counters_per_user: expected a whole number from 1 to 100000; found 0"}});
}

TEST_F(ConfigErrors, KeepDurationsAndSizesInTheirBounds) {
  const std::string interval =
      "2: journal.commit_interval: expected a duration such as \"10s\", from \"10ms\" to \"1h\"";
  const std::string window =
      "2: api.idempotency_window: expected a duration such as \"30m\", in whole seconds, from \"1m\" to "
      "\"1d\"";
  const std::string limit = "2: api.lifetime_limit: expected a whole number from 1 to 10000000";
  const std::string most = size_text(limits::map_bytes_max());
  const std::string beyond = size_text(limits::map_bytes_max() + 1'024);
  expect({{"[journal]\ncommit_interval = \"9ms\"\n", interval + "; found \"9ms\""},
          {"[journal]\ncommit_interval = \"61m\"\n", interval + "; found \"61m\""},
          {"[ingest]\naccept_future = \"1500ms\"\n",
           "2: ingest.accept_future: expected a duration such as \"5m\" or \"400d\", in whole seconds; found "
           "\"1500ms\""},
          {"[api]\nidempotency_window = \"59s\"\n", window + "; found \"59s\""},
          {"[api]\nidempotency_window = \"86401s\"\n", window + "; found \"86401s\""},
          {"[api]\nidempotency_window = \"90500ms\"\n", window + "; found \"90500ms\""},
          {"[api]\nlifetime_limit = 0\n", limit + "; found 0"},
          {"[api]\nlifetime_limit = 10000001\n", limit + "; found 10000001"},
          {"[journal]\nmax_size = \"512KiB\"\n", "2: journal.max_size: expected a size from \"1MiB\" to \"" +
                                                     most +
                                                     "\" on this machine; found "
                                                     "\"512KiB\""},
          // Of 32 bits the first would wrap to nothing.
          {"[journal]\nmax_size = \"4096GiB\"\n", "2: journal.max_size: expected a size from \"1MiB\" to \"" +
                                                      most +
                                                      "\" on this machine; found "
                                                      "\"4096GiB\""},
          {"[journal]\nmax_size = \"" + beyond + "\"\n",
           "2: journal.max_size: expected a size from \"1MiB\" to \"" + most +
               "\" on this machine; found \"" + beyond + "\""},
          {"[journal]\nmax_size = \"16MiB\"\nreserve = \"8MiB\"\n",
           "3: journal.reserve: expected a size from \"256KiB\" to less than half of max_size (\"16MiB\"); "
           "found "
           "\"8MiB\""},
          {"[journal]\ndirectory = \"journal\"\n",
           "2: journal.directory: expected an absolute path; found \"journal\""}});
  EXPECT_EQ(errors("[journal]\nmax_size = \"" + most + "\"\n"), "");
  EXPECT_EQ(errors("[api]\nidempotency_window = \"1m\"\nlifetime_limit = 1\n"), "");
  EXPECT_EQ(errors("[api]\nidempotency_window = \"1d\"\nlifetime_limit = 10000000\n"), "");
}

TEST_F(ConfigErrors, KeepInputsWithoutAPeerOnTheDevice) {
  const std::string why =
      " could be reached from other machines, and who sends there is unknown; use a loopback address "
      "(127.0.0.1, "
      "[::1]) or a Unix socket";
  expect({{"[api]\nlisten = [\"unix:/a\", \"0.0.0.0:8480\"]\n", "2: api.listen: \"0.0.0.0:8480\"" + why},
          {"[ingest]\nstatsd = [\"udp:[::]:8125\"]\n", "2: ingest.statsd: \"udp:[::]:8125\"" + why},
          {"[ingest]\nstatsd = [\"127.0.0.1:8125\"]\n",
           "2: ingest.statsd: expected a socket such as \"unix:/run/meterd/statsd.sock\" or "
           "\"udp:127.0.0.1:8125\"; "
           "found \"127.0.0.1:8125\""},
          {"[api]\nlisten = [\"unix:/a\", \"localhost:1\"]\n",
           "2: api.listen: expected a socket such as \"unix:/run/meterd/api.sock\" or \"127.0.0.1:8480\": "
           "the host "
           "must be a numeric IPv4 address, or an IPv6 address in brackets; found \"localhost:1\""},
          {"[api]\nlisten = [\"unix:/a\", \"unix:/a\"]\n", "2: api.listen: \"unix:/a\" is listed twice"},
          {"[api]\nlisten = [\"unix:/run/meterd/ingest.sock\"]\n",
           "2: api.listen: \"unix:/run/meterd/ingest.sock\" is a socket of [ingest] already"}});
}

TEST_F(ConfigErrors, CheckEachUpstream) {
  expect(
      {{"[[upstream]]\nkey = { credential = \"k\" }\n",
        "1: upstream.url: expected an https URL such as \"https://acme.chargebee.com/api/v2\"; it is "
        "missing"},
       {"[[upstream]]\nurl = \"https://a.b\"\n",
        "1: upstream.key: expected the API key as { file = \"/PATH\" }, { credential = \"NAME\" } or { env = "
        "\"NAME\" }; it is missing"},
       {"[[upstream]]\nkey = { credential = \"k\" }\nurl = \"https://a.b?c=d\"\n",
        "3: upstream.url: expected an https URL such as \"https://acme.chargebee.com/api/v2\"; it must not "
        "have a "
        "query"},
       {upstream("name = \"ledger\""),
        "4: upstream.name: \"ledger\" is the device's own name for usages without an upstream; choose "
        "another"},
       {upstream("kind = \"stripe\""),
        "4: upstream.kind: expected \"chargebee\", \"twilio-v1\" or \"twilio-preview\"; found \"stripe\""},
       {upstream("batch = 100"),
        "4: upstream.batch: belongs to an upstream of kind \"twilio-v1\" or \"twilio-preview\""},
       {upstream("name = \"" + std::string(33, 'a') + "\""),
        "4: upstream.name: expected a string of 1 to 32 bytes without control characters; found \"" +
            std::string(33, 'a') + "\""},
       {"[api]\nchargebee_upstream = \"a\"\n" + upstream("name = \"a\"") + upstream("name = \"a\""),
        "10: upstream.name: \"a\" names another [[upstream]] already"}});
}

TEST_F(ConfigErrors, CheckHowAnUpstreamIsSealed) {
  expect(
      {{upstream("seal = \"2d\""),
        "4: upstream.seal: expected a duration such as \"1d\" or \"15m\", at most one day; found \"2d\""},
       {upstream("seal = \"500ms\""),
        "4: upstream.seal: expected a duration such as \"1d\" or \"15m\", at most one day; found \"500ms\""},
       {upstream("seal = \"7m\""),
        "4: upstream.seal: \"7m\" does not divide a day into equal parts; \"15m\", \"1h\" or \"6h\" would"},
       {upstream("unique = \"day\""),
        "4: upstream.unique: \"day\" is not available in this version of meterd; use unique = \"second\""}});
  EXPECT_EQ(errors(upstream("seal = \"15m\"\nseal_delay = \"1m\"\nflush_window = \"0s\"")), "");
}

TEST_F(ConfigErrors, ShowTheArithmeticOfALifeThatIsTooLong) {
  const auto second = "[[meter]]\nevent = \"f\"\nitem_price = \"q\"\n";
  EXPECT_EQ(errors(upstream("life = \"10y\"") + meter("")), "");
  expect(
      {{upstream("life = \"10y\"") + meter("") + second,
        "4: upstream.life: \"10y\" is 3650 seals of \"1d\", times 2 item price(s) on one subscription: 7300 "
        "usages, but the upstream takes 5000 per subscription, ever, which lasts 2500d; seal less often, "
        "meter fewer "
        "item "
        "prices, or expect a shorter life"}});
  // A vendor without a limit has no life to refuse.
  const std::string twilio =
      "[[upstream]]\nkind = \"twilio-preview\"\nurl = \"https://t.test\"\n"
      "account = \"AC0123456789abcdef0123456789abcdef\"\ntoken = { credential = \"k\" }\n";
  EXPECT_EQ(errors(twilio + "seal = \"1s\"\nlife = \"100y\"\n"), "");
  // Two subscriptions have a budget each.
  EXPECT_EQ(
      errors(upstream("life = \"10y\"") + meter("subscription = \"s\"") + second + "subscription = \"t\"\n"),
      "");
}

TEST_F(ConfigErrors, CheckEachMeter) {
  const auto two =
      upstream("name = \"one\"") + upstream("name = \"two\"") + "[api]\nchargebee_upstream = \"one\"\n";
  expect(
      {{"[[meter]]\nitem_price = \"p\"\n",
        "1: meter.event: expected the name of the event to count; it is missing"},
       {meter("upstream = \"bling\"") + upstream("name = \"billing\""),
        "4: meter.upstream: no [[upstream]] is named \"bling\" (did you mean \"billing\"?)"},
       {meter("upstream = \"ledger\"") + upstream(""),
        "4: meter.upstream: no [[upstream]] is named \"ledger\""},
       {meter("upstream = \"billing\""),
        "4: meter.upstream: no [[upstream]] is named \"billing\"; none is configured"},
       {meter("") + two,
        "1: meter.upstream: expected the name of one of the 2 [[upstream]] tables; it is missing"},
       {meter("") + meter("subscription = \"s\""),
        "6: meter.event: another [[meter]] counts \"e\" into \"p\" already: it would be billed twice"},
       {meter("time_zone = \"Europe/Berlin\"") + "[[meter]]\nevent = \"f\"\nitem_price = \"p\"\n",
        "5: meter.time_zone: \"p\" is cut into days by \"Europe/Berlin\" in another [[meter]] and by \"UTC\" "
        "here; "
        "choose one"},
       {meter("time_zone = \"Mars/Olympus\""),
        "4: meter.time_zone: time zone \"Mars/Olympus\" is not in this system's tz database; a name is like "
        "\"Europe/Berlin\""},
       {meter("rounding = \"up\""),
        "4: meter.rounding: expected one of \"none\", \"1kB-v1\", \"10kB-v1\", \"1MB-v1\", \"1KiB-v1\", "
        "\"10KiB-v1\", \"1MiB-v1\"; found \"up\""},
       {meter("unit_price = 0.0075"),
        "4: meter.unit_price: expected an exact decimal as a string such as \"0.0075\", not negative; found "
        "a "
        "floating-point number"},
       {meter("unit_price = \"-1\""),
        "4: meter.unit_price: expected an exact decimal as a string such as \"0.0075\", not negative; found "
        "\"-1\""}});
}

TEST_F(ConfigErrors, CheckWhatTwilioBills) {
  const auto twilio = [](const std::string& kind, const std::string& lines) {
    return "[[upstream]]\nkind = \"" + kind +
           "\"\nurl = \"https://a.b\"\naccount = \"SK0123456789abcdef0123456789abcdef\"\n"
           "token = { credential = \"k\" }\n" +
           lines;
  };
  const std::string price =
      "expected the price of one unit, above zero and with at most 12 places, such as \"0.0075\"";
  const std::string v1 = twilio("twilio-v1", "");
  const auto sixth = [](const std::string& price_text) {
    return meter("unit_price = \"" + price_text + "\"");
  };
  expect({{v1 + meter(""), "6: meter.unit_price: " + price + "; it is missing"},
          {v1 + sixth("0"), "9: meter.unit_price: " + price + "; found \"0\""},
          {v1 + sixth("0.0000000000001"), "9: meter.unit_price: " + price + "; found \"0.0000000000001\""},
          {v1 + sixth("1") + "[[meter]]\nevent = \"f\"\nitem_price = \"p\"\nunit_price = \"2\"\n",
           "13: meter.unit_price: \"p\" has another price in another [[meter]]; one item price has one"},
          {v1 + sixth("1") + "subscription = \"sub_1\"\n",
           "10: meter.subscription: Twilio bills an installation: expected its sid, \"XE\" and 32 "
           "hexadecimal digits"},
          {twilio("twilio-preview", "batch = 2\n"),
           "6: upstream.batch: belongs to an upstream of kind \"twilio-v1\": Preview takes one quantity of "
           "units a "
           "request"},
          {twilio("twilio-v1", "key = { credential = \"k\" }\n"),
           "6: upstream.key: belongs to an upstream of kind \"chargebee\"; here it is `token`"},
          {twilio("twilio-v1", "in_doubt = \"guess\"\n"),
           "6: upstream.in_doubt: expected \"hold\", \"resend\" or \"assume-delivered\"; found \"guess\""}});
  EXPECT_EQ(errors(v1 + sixth("0.000000000001") + "subscription = \"XE0123456789abcdefABCDEF0123456789\"\n"),
            "");
  EXPECT_EQ(errors(twilio("twilio-preview", "in_doubt = \"resend\"\n") + meter("")), "");
}

TEST_F(ConfigErrors, CheckEachSubscriptionAndSource) {
  const std::string kKinds = "\"interface\", \"modem-manager\", \"nftables\", \"access-log\"";
  const std::string source = "[[source]]\nkind = \"interface\"\nname = \"wwan0\"\nevent = \"e\"\n";
  expect({{"[[subscription]]\nid = \"s\"\n",
           "1: subscription.item_prices: expected the item prices that the subscription has, as an array of "
           "strings; "
           "it is missing"},
          {source, "4: source.event: no [[meter]] counts \"e\"; it would never be billed"},
          {source + meter(""),
           "1: source.subscription: expected whom to bill, here or in every [[meter]] of the "
           "event; it is missing"},
          {"[[source]]\nkind = \"modbus\"\nevent = \"e\"\n" + meter("subscription = \"s\""),
           "2: source.kind: expected one of " + kKinds + "; found \"modbus\""},
          {"[[source]]\nevent = \"e\"\n" + meter("subscription = \"s\""),
           "1: source.kind: expected one of " + kKinds + "; it is missing"},
          {source + "direction = \"up\"\n" + meter("subscription = \"s\""),
           "5: source.direction: expected \"rx\", \"tx\" or \"both\"; found \"up\""},
          {source + source + "direction = \"rx\"\n" + meter("subscription = \"s\""),
           "7: source.name: another [[source]] counts the same bytes of \"wwan0\" as \"e\" already"}});
  EXPECT_EQ(errors(source + "direction = \"tx\"\n" + source + "direction = \"rx\"\n" +
                   meter("subscription = \"s\"")),
            "");
}

TEST_F(ConfigErrors, CheckWhereTheDevicesOwnApisLead) {
  expect(
      {{upstream("name = \"a\"") + upstream("name = \"b\"") + "[api]\n",
        "9: api.chargebee_upstream: 2 [[upstream]] are of kind \"chargebee\"; name the one that calls to "
        "the device's own API go to"},
       {"[api]\nchargebee_upstream = \"biling\"\n" + upstream("name = \"billing\""),
        "2: api.chargebee_upstream: no [[upstream]] of kind \"chargebee\" is named \"biling\" (did you mean "
        "\"billing\"?)"},
       {"[api]\nchargebee_upstream = \"ledger\"\n" + upstream("name = \"billing\""),
        "2: api.chargebee_upstream: no [[upstream]] of kind \"chargebee\" is named \"ledger\""},
       {"[api]\nchargebee_upstream = \"billing\"\n",
        "2: api.chargebee_upstream: no [[upstream]] of kind \"chargebee\" is named \"billing\""},
       {"[api]\nchargebee_upstream = \"sms\"\n[[upstream]]\nname = \"sms\"\nkind = \"twilio-v1\"\n"
        "url = \"https://a.b\"\n",
        "2: api.chargebee_upstream: no [[upstream]] of kind \"chargebee\" is named \"sms\"\n"
        "meterd.toml:3: upstream.account: expected the account sid, \"AC\" and 32 hexadecimal digits, or an "
        "API "
        "key's, \"SK\" and 32; it is missing\n"
        "meterd.toml:3: upstream.token: expected the auth token, or the API key's secret, as { file = "
        "\"/PATH\" "
        "}, { credential = \"NAME\" } or { env = \"NAME\" }; it is missing"},
       {"[api]\npublic_url = \"gw.example\"\n",
        "2: api.public_url: expected an http or https URL such as \"http://127.0.0.1:8480\"; it must start "
        "with https:// or http://"},
       {"[api]\nchargebee_key = \"live_key\"\n",
        "2: api.chargebee_key: expected { file = \"/PATH\" }, { credential = \"NAME\" } or { env = \"NAME\" "
        "}; "
        "a secret itself is not written into this file; found a string"},
       {"[api]\ntwilio_account = \"AC0123456789abcdef0123456789abcdef\"\n",
        "2: api.twilio_account: twilio_account and twilio_token belong together; set both or none"},
       {"[api]\npreview_as = { item_price = \"BI1\", unit_price = \"0.1\" }\n",
        "2: api.preview_as: needs an [[upstream]] of kind \"twilio-v1\" to deliver to"},
       {"[api]\npreview_as = { item_price = \"BI1\", unit_price = \"0.1\", tax = 1 }\n",
        "2: api.preview_as.tax: unknown key\n"
        "meterd.toml:2: api.preview_as: needs an [[upstream]] of kind \"twilio-v1\" to deliver to"}});
}

TEST_F(ConfigErrors, AreAllReportedInTheOrderOfTheFile) {
  expect(
      {{"[[meter]]\nevent = 1\nitem_price = \"p\"\n[device]\nid = 2\nsize = 3\n",
        "2: meter.event: expected a string of 1 to 100 bytes without control characters; found 1\n"
        "meterd.toml:5: device.id: expected a string of 1 to 100 bytes without control characters; found 2\n"
        "meterd.toml:6: device.size: unknown key"}});
}

TEST_F(ConfigErrors, EndAfterTwentyWithTheNumberOfTheRest) {
  std::string text = "[clock]\n";
  for (int i = 0; i < 25; ++i) text += "unheard_of_" + std::to_string(i) + " = 1\n";
  const auto report = errors(text);
  EXPECT_EQ(std::count(report.begin(), report.end(), '\n'), 20);
  EXPECT_TRUE(report.ends_with("meterd.toml: and 5 more")) << report;
}

}  // namespace
}  // namespace meterd::app
