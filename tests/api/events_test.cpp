// POST /events over a real journal: what is counted, what is answered, and what a repeat does.
#include "agent/base/limits.hpp"
#include "tests/api/routes_fixture.hpp"

namespace meterd::api {
namespace {

namespace json = boost::json;
using test::q;
using ::testing::HasSubstr;
using ::testing::Not;

class EventsTest : public RoutesTest {
 protected:
  using RoutesTest::RoutesTest;
  static Request to_events(std::string content_type, std::string body) {
    Request request;
    request.method = "POST";
    request.path = "/events";
    request.local = true;
    request.content_type = std::move(content_type);
    request.body = std::move(body);
    return request;
  }
  Response batch(const std::string& events, const std::string& ack = "") {
    auto request = to_events("application/cloudevents-batch+json", events);
    if (!ack.empty()) request.query.emplace_back("ack", ack);
    return send(request);
  }
  // In binary mode: the body is the data, `fields` are the attributes.
  Response binary(std::vector<std::pair<std::string, std::string>> fields, const std::string& body = "",
                  const std::string& content_type = "application/json") {
    auto request = to_events(content_type, body);
    request.headers = {{"ce-specversion", "1.0"}, {"ce-type", "sms.sent"}};
    request.headers.insert(request.headers.end(), fields.begin(), fields.end());
    return send(request);
  }
  static std::vector<std::string> errors_of(const Response& response) {
    std::vector<std::string> out;
    const auto answer = json::parse(response.body);
    for (const auto& error : answer.at("errors").as_array()) {
      const auto& one = error.as_object();
      EXPECT_FALSE(one.at("message").as_string().empty());
      out.push_back(std::to_string(one.at("position").to_number<int>()) + " " +
                    std::string(one.contains("id") ? one.at("id").as_string() : json::string("-")) + " " +
                    std::string(one.at("code").as_string()));
    }
    return out;
  }
  static std::string retry_after(const Response& response) {
    for (const auto& [name, value] : response.headers)
      if (name == "Retry-After") return value;
    return "";
  }
};

TEST_F(EventsTest, ABatchCountsEachOfItsEvents) {
  const auto answer = batch("[" + event("a") + "," + event("b", R"(,"data":{"quantity":"2.5"})") + "]");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body, R"({"counted":2,"duplicates":0,"errors":[]})");
  EXPECT_EQ(bench_.accepted(), q("3.5"));
}

TEST_F(EventsTest, AnEmptyBatchIsFine) {
  const auto answer = batch(" [ ] ");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body, R"({"counted":0,"duplicates":0,"errors":[]})");
}

TEST_F(EventsTest, ADuplicateWithinABatchAndAcrossBatchesCountsOnce) {
  const auto first = batch("[" + event("a") + "," + event("a") + "," + event("b") + "]");
  EXPECT_EQ(first.body, R"({"counted":2,"duplicates":1,"errors":[]})");
  const auto again = batch("[" + event("c") + "," + event("b") + "]");
  EXPECT_EQ(again.status, 200U);
  EXPECT_EQ(again.body, R"({"counted":1,"duplicates":1,"errors":[]})");
  EXPECT_EQ(bench_.accepted(), q("3"));
}

TEST_F(EventsTest, TheSameIdOfAnotherSourceIsAnotherEvent) {
  ASSERT_EQ(batch("[" + event("a") + "]").status, 200U);
  const auto other =
      batch(R"([{"specversion":"1.0","type":"sms.sent","source":"b","subscription":"sub_1","id":"a"}])");
  EXPECT_EQ(number(other, "counted"), 1);
  EXPECT_EQ(bench_.accepted(), q("2"));
}

TEST_F(EventsTest, WhatIsWrongInABatchIsNamedByPositionAndTheRestCounts) {
  const auto answer = batch("[" + event("a") + "," + event("b", R"(,"data":{"quantity":0.5})") + ",7," +
                            event("d", R"(,"type":"nobody.knows")") + "," +
                            R"({"specversion":"1.0","type":"nobody.knows","source":"app","id":"e"},)" +
                            event("f") + "," + event("", "") + "]");
  EXPECT_EQ(answer.status, 400U);
  EXPECT_EQ(number(answer, "counted"), 2);
  EXPECT_THAT(errors_of(answer), ::testing::ElementsAre("1 b bad_quantity", "2 - malformed", "3 d malformed",
                                                        "4 e unknown_event", "6 - malformed"));
  EXPECT_EQ(bench_.accepted(), q("2"));
  EXPECT_EQ(bench_.refused(meter::Refusal::malformed), 3U);
  EXPECT_EQ(bench_.refused(meter::Refusal::bad_quantity), 1U);
  EXPECT_EQ(bench_.refused(meter::Refusal::unknown_event), 1U);
}

TEST_F(EventsTest, ARepeatOfABatchWithErrorsCountsNothingTwice) {
  const auto events = "[" + event("a") + "," + event("b", R"(,"data":{"quantity":"0"})") + "]";
  EXPECT_EQ(number(batch(events), "counted"), 1);
  const auto again = batch(events);
  EXPECT_EQ(again.status, 400U);
  EXPECT_EQ(number(again, "counted"), 0);
  EXPECT_EQ(number(again, "duplicates"), 1);
  EXPECT_EQ(bench_.accepted(), q("1"));
}

TEST_F(EventsTest, AnErrorForNowOutweighsOneForGood) {
  bench_.clock().set_trusted(false);
  const auto answer =
      batch("[" + event("a") + "," + event("b", R"(,"time":"2027-01-15T08:00:00Z")") + ",{}]");
  EXPECT_EQ(answer.status, 503U);
  EXPECT_EQ(retry_after(answer), "60");
  EXPECT_EQ(number(answer, "counted"), 1);
  EXPECT_THAT(errors_of(answer), ::testing::ElementsAre("1 b clock_untrusted", "2 - malformed"));
  bench_.clock().set_trusted(true);
  bench_.batcher().set_above_watermark(true);
  EXPECT_EQ(retry_after(batch("[" + event("c") + "]")), "5");
}

TEST_F(EventsTest, AnUncleanIdIsNotRepeatedInTheAnswer) {
  const auto answer = batch(R"([{"specversion":"1.0","type":"sms.sent","source":"app","id":"a\u0007b"}])");
  EXPECT_EQ(answer.status, 400U);
  EXPECT_THAT(answer.body, Not(HasSubstr("\"id\"")));
  const auto quoted = batch(R"([{"specversion":"1.0","type":"x","source":"app","id":"say \"é\" \\"}])");
  EXPECT_THAT(errors_of(quoted), ::testing::ElementsAre("0 say \"é\" \\ unknown_event"));
}

TEST_F(EventsTest, OfABatchThatIsNoJsonNothingIsCounted) {
  for (const auto& body : {"[" + event("a") + ",", "[" + event("a") + "]]", "[" + event("a") + ",\xff]",
                           event("a"), std::string(), std::string("[") + std::string(20, '[')}) {
    const auto answer = batch(body);
    EXPECT_EQ(answer.status, 400U) << body;
    EXPECT_EQ(json::parse(answer.body).at("error").at("code").as_string(), "malformed") << body;
  }
  EXPECT_EQ(bench_.accepted(), q("0"));
  EXPECT_EQ(bench_.batcher().stats().events, 0U);
  EXPECT_EQ(number(batch("[" + event("a") + "]"), "counted"), 1) << "nor remembered";
}

TEST_F(EventsTest, ABatchAboveItsLimitIsRefusedWholeAndOneAtItIsTaken) {
  std::string events = "[{}";
  for (std::size_t i = 1; i < limits::kBatchEventsMax; ++i) events += ",{}";
  EXPECT_EQ(errors_of(batch(events + "]")).size(), limits::kBatchEventsMax);
  const auto answer = batch(events + "," + event("a") + "]");
  EXPECT_EQ(answer.status, 413U);
  EXPECT_THAT(answer.body, HasSubstr("too_large"));
  EXPECT_EQ(bench_.accepted(), q("0"));
}

TEST_F(EventsTest, AReceivedBatchIsAnsweredBeforeItsCommit) {
  EXPECT_EQ(number(batch("[" + event("a") + "," + event("b") + "]", "received"), "counted"), 2);
  EXPECT_EQ(bench_.accepted(), q("0"));
  bench_.advance(Milliseconds(10'000));
  EXPECT_EQ(bench_.accepted(), q("2"));
}

TEST_F(EventsTest, TheMediaTypeMayBeWrittenInAnyCaseAndHaveParameters) {
  for (const char* type : {"Application/CloudEvents+JSON", "application/cloudevents+json ; charset=UTF-8"})
    EXPECT_EQ(send(to_events(type, event(type))).status, 200U) << type;
  for (const char* type : {"application/json", "text/plain", "", "application/cloudevents+jsonx",
                           "application/cloudevents", "application/cloudevents+xml"})
    EXPECT_EQ(send(to_events(type, event("x"))).status, 415U) << type;
  auto packed = to_events("application/cloudevents+json", event("x"));
  packed.headers.emplace_back("content-encoding", "gzip");
  EXPECT_EQ(send(packed).status, 415U);
}

TEST_F(EventsTest, BinaryModeReadsTheAttributesFromHeaderFields) {
  const auto answer = binary({{"ce-id", "a"},
                              {"ce-source", "app"},
                              {"ce-subscription", "sub_2"},
                              {"ce-subject", "sub_9"},
                              {"ce-time", "2027-01-15T08:00:00Z"}},
                             R"({"quantity":"2.5","unit":"MiB"})", "application/json; charset=utf-8");
  EXPECT_EQ(answer.body, R"({"counted":1,"duplicates":0,"errors":[]})");
  EXPECT_EQ(bench_.open().begin()->first, "2027-01-15 sub_2 sms-usd");
  EXPECT_EQ(bench_.accepted(), q("2.5"));
  EXPECT_EQ(number(ask("POST", "/events", event("a")), "duplicates"), 1) << "the same identity in each mode";
}

TEST_F(EventsTest, BinaryModeWithoutABodyCountsOne) {
  EXPECT_EQ(binary({{"ce-id", "a"}, {"ce-source", "app"}, {"ce-subject", "sub_1"}}, "", "").status, 200U);
  EXPECT_EQ(bench_.accepted(), q("1"));
}

TEST_F(EventsTest, BinaryModeDecodesPercentEscapesAndQuotedStringsOnce) {
  const auto refused = binary({{"ce-id", R"("a%20\"%C3%A9\"%2541")"}, {"ce-source", "app"}});
  EXPECT_THAT(errors_of(refused), ::testing::ElementsAre("0 a \"é\"%41 missing_subscription"));
  for (const char* bad : {"%zz", "%4", "%ff", "%C3"}) {
    const auto answer = binary({{"ce-id", bad}, {"ce-source", "app"}});
    EXPECT_EQ(answer.status, 400U) << bad;
    EXPECT_THAT(answer.body, HasSubstr("ce-id")) << bad;
  }
}

TEST_F(EventsTest, BinaryModeRefusesWhatIsNotOneEvent) {
  EXPECT_THAT(binary({{"ce-source", "app"}}).body, HasSubstr("id and source"));
  EXPECT_THAT(binary({{"ce-id", "a"}, {"ce-id", "b"}, {"ce-source", "app"}}).body, HasSubstr("once"));
  const std::vector<std::pair<std::string, std::string>> good{
      {"ce-id", "a"}, {"ce-source", "app"}, {"ce-subject", "sub_1"}};
  for (const char* body : {"5", "[]", "\"5\"", R"({"quantity":0.5})", R"({"quantity":null})"})
    EXPECT_THAT(binary(good, body).body, HasSubstr("bad_quantity")) << body;
  EXPECT_THAT(binary(good, "{").body, HasSubstr("malformed"));
  EXPECT_THAT(binary(good, R"({"quantity":1,"quantity":2})").body, HasSubstr("once"));
  EXPECT_EQ(binary(good, "5", "text/plain").status, 415U);
  EXPECT_EQ(bench_.accepted(), q("0"));
}

test::BenchOptions tiny() {
  test::BenchOptions options;
  options.size_max = 1U << 20;
  options.reserve = 256U << 10;
  return options;
}
class EventsOfAFullJournal : public EventsTest {
 protected:
  EventsOfAFullJournal() : EventsTest(tiny()) {}
};

TEST_F(EventsOfAFullJournal, SaysThatABatchIsNotCommittedAndTakesNoneWithoutTheDisk) {
  std::string events = "[";
  for (int i = 0; i < 6'000; ++i)  // new subscriptions: more than fit into the map
    events +=
        (i == 0 ? "" : ",") + (R"({"specversion":"1.0","type":"sms.sent","source":"app","id":")" +
                               std::to_string(i) + R"(","subscription":"sub-)" + std::to_string(i) + "\"}");
  const auto answer = batch(events + "]");
  EXPECT_EQ(answer.status, 503U);
  EXPECT_EQ(retry_after(answer), "5");
  const auto value = json::parse(answer.body);
  EXPECT_EQ(value.at("error").at("code").as_string(), "full");
  EXPECT_THAT(std::string(value.at("error").at("message").as_string()), HasSubstr("again with the same ids"));
  EXPECT_EQ(bench_.accepted(), q("0"));

  bench_.advance(Milliseconds(10));
  const auto received = batch("[" + event("r") + "]", "received");
  EXPECT_EQ(received.status, 503U) << "it could not be promised";
  EXPECT_EQ(retry_after(received), "5");
  EXPECT_THAT(received.body, HasSubstr("\"code\":\"full\""));
}

TEST_F(EventsTest, OverTcpTheKeyDecides) {
  host_ = "127.0.0.1:8480";
  const auto closed = ask("POST", "/events", event("a"), false);
  EXPECT_EQ(closed.status, 401U);
  EXPECT_THAT(closed.body, HasSubstr("chargebee_key"));
  key_.set_key("secret");
  EXPECT_EQ(ask("POST", "/events", event("a"), false).status, 401U);
  authorization_ = "Basic c2VjcmV0OnB3";  // secret:pw
  const auto refused = ask("POST", "/events", event("a"), false);
  EXPECT_EQ(refused.status, 401U);
  ASSERT_EQ(refused.headers.size(), 1U);
  EXPECT_EQ(refused.headers[0].first + ": " + refused.headers[0].second,
            "WWW-Authenticate: Basic realm=\"meterd\"");
  EXPECT_EQ(bench_.accepted(), q("0"));
  authorization_ = "Basic c2VjcmV0Og==";  // secret:
  EXPECT_EQ(ask("POST", "/events", event("a"), false).status, 200U);
  EXPECT_EQ(ask("GET", "/events", "", false).status, 405U);
  EXPECT_EQ(ask("GET", "/operator/buckets", "", false).status, 401U) << "operators' verbs have no key";
  key_.set_key("another");
  EXPECT_EQ(ask("POST", "/events", event("b"), false).status, 401U) << "a replaced key ends at once";
}

TEST_F(EventsTest, TheKeyIsNoKeyToTheUnixSocket) {
  key_.set_key("secret");
  authorization_ = "Basic c2VjcmV0Og==";
  EXPECT_EQ(ask("POST", "/events", event("a"), false).status, 401U);
}

}  // namespace
}  // namespace meterd::api
