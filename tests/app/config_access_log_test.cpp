// [[source]] tables of kind "access-log": several of them share a socket, and what cannot work is refused.
#include "tests/app/config_fixture.hpp"

namespace meterd::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ConfigAccessLog : public ConfigFixture {
 protected:
  static std::string table(const std::string& lines = "", const std::string& event = "api.call") {
    return "[[source]]\nkind = \"access-log\"\nsocket = \"/run/access.sock\"\nevent = \"" + event + "\"\n" +
           lines;
  }
  // What the one source is, in a configuration whose meters count both events.
  Result<source::AccessLogRule> rule(const std::string& tables) const {
    auto config = load(tables + kMeters);
    if (!config) return config.error();
    if (config->sources.size() != 1) return Error{Code::invalid, "not one source"};
    return std::get<source::AccessLogRule>(config->sources[0]);
  }
  std::string error(const std::string& tables) const { return errors(tables + kMeters); }

  static constexpr const char* kMeters = R"([[meter]]
event = "api.call"
item_price = "calls-usd"
[[meter]]
event = "data.bytes"
item_price = "data-usd"
)";
  const std::string named = "subscription_field = \"sub\"\n";
};

TEST_F(ConfigAccessLog, TakesWhatIsGiven) {
  const auto given = rule(table(R"(groups = ["www-data"]
subscription_field = "sub"
quantity_field = "bytes"
status = ["2xx", "304"]
path_prefix = ["/api/"]
worker_field = "worker"
sequence_field = "seq"
)"));
  ASSERT_TRUE(given) << given.error().message;
  EXPECT_EQ(given->socket, "/run/access.sock");
  EXPECT_THAT(given->groups, ElementsAre("www-data"));
  EXPECT_EQ(given->event, EventName("api.call"));
  EXPECT_EQ(given->quantity_field, "bytes");
  EXPECT_EQ(given->status_field, "status");
  EXPECT_THAT(given->status, ElementsAre("2xx", "304"));
  EXPECT_EQ(given->path_field, "path");
  EXPECT_EQ(given->worker_field, "worker");
  EXPECT_EQ(given->sequence_field, "seq");
}

TEST_F(ConfigAccessLog, CountsEverythingByDefault) {
  const auto given = rule(table("subscription = \"sub_1\"\n"));
  ASSERT_TRUE(given) << given.error().message;
  EXPECT_EQ(given->subscription, SubscriptionId("sub_1"));
  EXPECT_EQ(given->status_field + given->path_field + given->quantity_field + given->worker_field, "");
}

TEST_F(ConfigAccessLog, JoinsTablesOfOneSocket) {
  const std::string bytes = named + "quantity_field = \"bytes\"\n";
  const auto given = rule(table(named + "worker_field = \"w\"\nsequence_field = \"s\"\n") +
                          table(bytes + "groups = [\"www-data\"]\n", "data.bytes"));
  ASSERT_TRUE(given) << given.error().message;
  ASSERT_EQ(given->others.size(), 1U);
  EXPECT_EQ(given->others[0].event, EventName("data.bytes"));
  EXPECT_EQ(given->others[0].quantity_field, "bytes");
  EXPECT_EQ(given->worker_field, "w");
  EXPECT_THAT(given->groups, ElementsAre("www-data"));
}

TEST_F(ConfigAccessLog, IsDescribedAsItIsRead) {
  const auto config =
      load(table(named + "status = [\"2xx\"]\nworker_field = \"w\"\nsequence_field = \"s\"\n") +
           table("subscription = \"sub_1\"\nquantity_field = \"bytes\"\n", "data.bytes") + kMeters);
  ASSERT_TRUE(config) << config.error().message;
  const auto again = load(describe(*config));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->sources, config->sources);
}

TEST_F(ConfigAccessLog, RefusesWhatCannotWork) {
  const auto refuses = [&](const std::string& tables, const std::string& text) {
    EXPECT_THAT(error(tables), HasSubstr(text)) << tables;
  };
  refuses(table(), "source.subscription: expected whom to bill");
  refuses("[[source]]\nkind = \"access-log\"\nevent = \"api.call\"\n" + named,
          "source.socket: expected the path");
  refuses("[[source]]\nkind = \"access-log\"\nevent = \"api.call\"\nsocket = \"access.sock\"\n" + named,
          "source.socket: expected an absolute path");
  refuses(table(named + "worker_field = \"w\"\n"), "worker_field: a number means something together");
  refuses(table(named + "sequence_field = \"s\"\n"), "sequence_field: a number means something together");
  refuses(table(named + "subscription = \"sub_1\"\n"), "give subscription or subscription_field");
  refuses(table(named + "status = [\"2xx\", \"20\"]\n"), "source.status: '20' is no status");
  refuses(table(named + "status = []\n"), "source.status: is empty");
  refuses(table(named + "path_prefix = []\n"), "source.path_prefix: is empty");
  refuses(table(named + "status_field = \"s\"\n"), "source.status_field: is used with status only");
  refuses(table(named + "path_field = \"p\"\n"), "source.path_field: is used with path_prefix only");
  refuses(table(named + "groups = [\"\"]\n"), "source.groups: expected names of groups");
  refuses(table(named + "direction = \"rx\"\n"), "source.direction");
  refuses("[ingest]\nstatsd = [\"unix:/run/access.sock\"]\n" + table(named), "is a socket of ingest.statsd");
  refuses(table(named) + table(named), "source.socket: another [[source]] counts the same calls");
  refuses(table(named + "groups = [\"a\"]\n") + table(named + "groups = [\"b\"]\n", "data.bytes"),
          "source.groups: another [[source]] of this socket has another one");
}

}  // namespace
}  // namespace meterd::app
