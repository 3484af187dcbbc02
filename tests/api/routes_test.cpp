// What each path answers, from whom and how: the routes over a real journal, without a socket.
#include "tests/api/routes_fixture.hpp"

namespace meterd::api {
namespace {

namespace json = boost::json;
using test::q;
using ::testing::HasSubstr;

TEST_F(RoutesTest, OverTcpAnswersOnlyThoseWhoAskForThisDevice) {
  for (const char* host : {"127.0.0.1:8480", "localhost:8480", "localhost", "[::1]:8480", "127.0.0.1"}) {
    host_ = host;
    EXPECT_EQ(ask("GET", "/status", "", false).status, 200U) << host;
  }
  for (const char* host : {"evil.com", "evil.com:8480", "127.evil.com", "127.0.0.1.evil.com", "[::2]:8480"}) {
    host_ = host;
    EXPECT_EQ(ask("GET", "/status", "", false).status, 421U) << host;
  }
}

TEST_F(RoutesTest, ListsWhatHasNoDayYetBesideTheBuckets) {
  bench_.clock().set_trusted(false);
  ASSERT_EQ(ask("POST", "/events", event("a")).status, 200U);
  const auto answer = json::parse(ask("GET", "/operator/buckets").body);
  EXPECT_TRUE(answer.at("buckets").as_array().empty());
  ASSERT_EQ(answer.at("undated").as_array().size(), 1U);
  EXPECT_EQ(answer.at("undated").at(0).at("subscription_id"), "sub_1");
  EXPECT_EQ(answer.at("undated").at(0).at("events"), 1);
}

TEST_F(RoutesTest, HealthAndStatusAreForEveryone) {
  EXPECT_EQ(ask("GET", "/healthz", "", false).status, 200U);
  const auto status = ask("GET", "/status", "", false);
  EXPECT_EQ(status.status, 200U);
  EXPECT_EQ(json::parse(status.body).at("device").as_string(), "gw-0042");
}

TEST_F(RoutesTest, MetricsAreForEveryoneInTheirOwnFormat) {
  const auto metrics = ask("GET", "/metrics", "", false);
  EXPECT_EQ(metrics.status, 200U);
  EXPECT_STREQ(metrics.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(metrics.body, HasSubstr("\nmeterd_loss_window_seconds 10\n"));
  EXPECT_EQ(ask("HEAD", "/metrics", "", false).status, 200U);
}

TEST_F(RoutesTest, AStatusThatCannotBeGatheredIsAnError) {
  broken_ = true;
  for (const char* path : {"/status", "/metrics"}) {
    const auto answer = ask("GET", path);
    EXPECT_EQ(answer.status, 500U);
    EXPECT_THAT(answer.body, HasSubstr("cannot be read"));
  }
}

TEST_F(RoutesTest, AnUnknownPathIs404) {
  for (const char* path :
       {"/", "/statusx", "/status/", "/metrics/", "/operator", "/api/v3/x", "/../etc/passwd"})
    EXPECT_EQ(ask("GET", path).status, 404U) << path;
  EXPECT_EQ(ask("GET", "/operator/nothing").status, 404U);
}

TEST_F(RoutesTest, AWrongMethodIs405AndSaysWhichIsRight) {
  const auto allow = [](const Response& response) {
    EXPECT_EQ(response.status, 405U);
    return response.headers.empty() ? "" : response.headers[0].first + ": " + response.headers[0].second;
  };
  EXPECT_EQ(allow(ask("POST", "/status")), "Allow: GET");
  EXPECT_EQ(allow(ask("POST", "/metrics")), "Allow: GET");
  EXPECT_EQ(allow(ask("DELETE", "/healthz")), "Allow: GET");
  EXPECT_EQ(allow(ask("GET", "/events")), "Allow: POST");
  EXPECT_EQ(allow(ask("GET", "/operator/flush")), "Allow: POST");
  EXPECT_EQ(allow(ask("GET", "/operator/date")), "Allow: POST");
  EXPECT_EQ(allow(ask("POST", "/operator/buckets")), "Allow: GET");
}

TEST_F(RoutesTest, CountingAndOperatorsVerbsNeedTheLocalSocket) {
  EXPECT_EQ(ask("POST", "/events", event("a"), false).status, 401U);
  for (const char* path :
       {"/operator/buckets", "/operator/outbox", "/operator/verify", "/operator/balances", "/operator/audit"})
    EXPECT_EQ(ask("GET", path, "", false).status, 401U) << path;
  for (const char* path : {"/operator/flush", "/operator/date"})
    EXPECT_EQ(ask("POST", path, "", false).status, 401U) << path;
  EXPECT_TRUE(flushed_.empty());
  EXPECT_EQ(bench_.batcher().stats().events, 0U);
}

TEST_F(RoutesTest, ABodyIsAdmittedOnlyWithAReportFromWhoMayReport) {
  const auto admit = [this](const char* method, const char* path, bool local) {
    Request request;
    request.method = method;
    request.path = path;
    request.local = local;
    request.over_tcp = !host_.empty();
    request.host = host_;
    request.authorization = authorization_;
    const auto refused = routes_->admit(request);
    return refused ? refused->status : 0U;
  };
  EXPECT_EQ(admit("POST", "/events", true), 0U);
  EXPECT_EQ(admit("POST", "/events", false), 401U);
  EXPECT_EQ(admit("PUT", "/events", true), 405U);
  EXPECT_EQ(admit("GET", "/healthz", true), 413U);
  EXPECT_EQ(admit("POST", "/status", true), 405U);
  EXPECT_EQ(admit("POST", "/nothing", true), 404U);
  EXPECT_EQ(admit("POST", "/operator/flush", false), 401U);
  EXPECT_EQ(admit("POST", "/operator/flush", true), 413U);
  host_ = "localhost:8480";
  EXPECT_EQ(admit("POST", "/events", false), 401U);
  EXPECT_EQ(admit("POST", "/operator/flush", false), 401U);
  key_.set_key("key");
  EXPECT_EQ(admit("POST", "/events", false), 401U);
  authorization_ = "Basic a2V5Og==";
  EXPECT_EQ(admit("POST", "/events", false), 0U);
  EXPECT_EQ(admit("GET", "/healthz", false), 413U);
  host_ = "evil.com";
  EXPECT_EQ(admit("POST", "/events", false), 421U);
}

TEST_F(RoutesTest, AnEventIsCommittedBeforeItsAnswer) {
  const auto answer = ask("POST", "/events", event("a", R"(,"data":{"quantity":"2.5"})"));
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(number(answer, "counted"), 1);
  EXPECT_EQ(bench_.accepted(), q("2.5"));
}

TEST_F(RoutesTest, AnEventReportedAgainIsADuplicate) {
  ask("POST", "/events", event("a"));
  const auto again = ask("POST", "/events", event("a"));
  EXPECT_EQ(again.status, 200U);
  EXPECT_EQ(number(again, "counted"), 0);
  EXPECT_EQ(number(again, "duplicates"), 1);
  EXPECT_EQ(bench_.accepted(), q("1"));
}

TEST_F(RoutesTest, AReceivedEventIsCommittedWithTheInterval) {
  EXPECT_EQ(ask("POST", "/events", event("a"), true, {{"ack", "received"}}).status, 200U);
  EXPECT_EQ(bench_.accepted(), q("0"));
  bench_.advance(Milliseconds(10'000));
  EXPECT_EQ(bench_.accepted(), q("1"));
  EXPECT_EQ(ask("POST", "/events", event("b"), true, {{"ack", "maybe"}}).status, 400U);
  EXPECT_EQ(ask("POST", "/events", event("b"), true, {{"ack", "received"}, {"ack", "received"}}).status,
            400U);
}

TEST_F(RoutesTest, ABadEventIs400WithItsReason) {
  auto answer = ask("POST", "/events", "not json");
  EXPECT_EQ(answer.status, 400U);
  EXPECT_THAT(answer.body, HasSubstr("\"code\":\"malformed\""));
  answer = ask("POST", "/events", event("a", R"(,"data":{"quantity":"0"})"));
  EXPECT_EQ(answer.status, 400U);
  EXPECT_THAT(answer.body, HasSubstr("\"code\":\"bad_quantity\""));
  EXPECT_EQ(bench_.refused(meter::Refusal::malformed), 1U);
  EXPECT_EQ(bench_.refused(meter::Refusal::bad_quantity), 1U);
}

TEST_F(RoutesTest, ARefusalForNowIs503) {
  bench_.batcher().set_above_watermark(true);
  EXPECT_EQ(ask("POST", "/events", event("a")).status, 503U);
  bench_.batcher().set_above_watermark(false);
  bench_.clock().set_trusted(false);
  const auto answer = ask("POST", "/events", event("a", R"(,"time":"2027-01-15T08:00:00Z")"));
  EXPECT_EQ(answer.status, 503U);
  EXPECT_THAT(answer.body, HasSubstr("clock_untrusted"));
}

TEST_F(RoutesTest, ListingsShowWhatIsCommitted) {
  ask("POST", "/events", event("a"));
  const auto buckets = json::parse(ask("GET", "/operator/buckets").body);
  EXPECT_EQ(buckets.at("buckets").at(0).at("quantity").as_string(), "1");
  EXPECT_EQ(
      json::parse(ask("GET", "/operator/balances").body).at("balances").at(0).at("accepted").as_string(),
      "1");
  EXPECT_TRUE(json::parse(ask("GET", "/operator/outbox").body).at("outbox").as_array().empty());
  EXPECT_TRUE(json::parse(ask("GET", "/operator/verify").body).at("problems").as_array().empty());
}

TEST_F(RoutesTest, AnEarlierBootIsDatedAndAudited) {
  bench_.clock().set_trusted(false);
  ask("POST", "/events", event("a"));
  reboot();
  using Query = std::vector<std::pair<std::string, std::string>>;
  const auto date = [&](Query query) { return ask("POST", "/operator/date", "", true, std::move(query)); };
  const Query right{{"boot", "1"}, {"day", "2027-01-14"}};
  for (const auto& wrong :
       {Query{}, Query{{"boot", "1"}}, Query{{"boot", "x"}, {"day", "2027-01-14"}},
        Query{{"boot", "1"}, {"day", "2027-02-30"}}, Query{{"boot", "2"}, {"day", "2027-01-14"}},
        Query{{"boot", "4294967297"}, {"day", "2027-01-14"}}})
    EXPECT_EQ(date(wrong).status, 400U);
  const auto dated = date(right);
  EXPECT_EQ(dated.status, 200U);
  EXPECT_EQ(dated.body, R"({"boot":1,"usage_day":"2027-01-14","slices":1,"events":1})");
  EXPECT_EQ(date(right).status, 404U) << "there is nothing left to date";
  const auto audit = json::parse(ask("GET", "/operator/audit").body).at("audit");
  ASSERT_EQ(audit.as_array().size(), 1U);
  EXPECT_EQ(audit.at(0).at("by"), "user 7");
  EXPECT_EQ(audit.at(0).at("act"), "date");
  EXPECT_EQ(audit.at(0).at("clock_trusted"), false);
}

TEST_F(RoutesTest, FlushCommitsWhatIsCountedFirst) {
  ask("POST", "/events", event("a"), true, {{"ack", "received"}});
  const auto answer = ask("POST", "/operator/flush");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(bench_.accepted(), q("1"));
  EXPECT_EQ(number(answer, "sealed"), 3);
  EXPECT_EQ(ask("POST", "/operator/flush", "", true, {{"seal", "now"}}).status, 200U);
  EXPECT_EQ(ask("POST", "/operator/flush", "", true, {{"seal", "later"}}).status, 400U);
  EXPECT_EQ(flushed_, (std::vector<bool>{false, true}));
}

}  // namespace
}  // namespace meterd::api
