// What a message of an access log counts as: the rules' filters, whom it is for, how much.
#include "agent/source/access_log/calls.hpp"
#include "tests/source/support.hpp"

namespace meterd::source {
namespace {

using test::q;
using Verdict = CallReader::Verdict;

AccessLogRule rule_of(CallRule call) {
  AccessLogRule out;
  static_cast<CallRule&>(out) = std::move(call);
  out.event = EventName("api.call");
  return out;
}

// "sub_1:1", "passes", "refused:malformed".
std::string judge(const AccessLogRule& rule, const std::string& line, std::size_t index = 0) {
  CallReader reader(rule);
  if (!reader.read(line)) return "unread";
  const auto call = reader.judge(index);
  if (call.verdict == Verdict::passes) return "passes";
  if (call.verdict == Verdict::refused) return "refused:" + std::string(name_of(call.refusal));
  return std::string(call.event.subscription) + ":" + call.event.quantity.text();
}

AccessLogRule with_subscription() {
  CallRule call;
  call.subscription_field = "sub";
  return rule_of(call);
}

TEST(AccessLogCalls, CountOneForTheSubscriptionThatTheyName) {
  EXPECT_EQ(judge(with_subscription(), R"({"sub":"sub_1"})"), "sub_1:1");
  EXPECT_EQ(judge(with_subscription(), R"({"sub":4711})"), "4711:1");
}

TEST(AccessLogCalls, LeaveItToTheMeterWhereTheyNameNone) {
  for (const char* line : {R"({"sub":""})", R"({"sub":"-"})", R"({"sub":null})"})
    EXPECT_EQ(judge(with_subscription(), line), ":1") << line;
}

TEST(AccessLogCalls, AreRefusedWhereTheFieldIsNotThereOrNoText) {
  for (const char* line : {"{}", R"({"sub":["sub_1"]})", R"({"sub":true})"})
    EXPECT_EQ(judge(with_subscription(), line), "refused:malformed") << line;
}

TEST(AccessLogCalls, CountForAFixedSubscription) {
  CallRule call;
  call.subscription = SubscriptionId("sub_9");
  EXPECT_EQ(judge(rule_of(call), R"({"sub":"sub_1"})"), "sub_9:1");
}

TEST(AccessLogCalls, CountTheQuantityThatTheyName) {
  CallRule call;
  call.quantity_field = "bytes";
  const auto rule = rule_of(call);
  EXPECT_EQ(judge(rule, R"({"bytes":1500})"), ":1500");
  EXPECT_EQ(judge(rule, R"({"bytes":"1500"})"), ":1500");
  EXPECT_EQ(judge(rule, R"({"bytes":0.1})"), ":0.1");
  for (const char* nothing : {R"({"bytes":0})", R"({"bytes":"0"})", R"({"bytes":"-"})", R"({"bytes":null})"})
    EXPECT_EQ(judge(rule, nothing), "passes") << nothing;
  for (const char* none : {"{}", R"({"bytes":"12, 34"})", R"({"bytes":{}})", R"({"bytes":"many"})"})
    EXPECT_EQ(judge(rule, none), "refused:bad_quantity") << none;
}

TEST(AccessLogCalls, CountOnlyTheStatusesThatAreWanted) {
  CallRule call;
  call.status_field = "status";
  call.status = {"2xx", "304"};
  const auto rule = rule_of(call);
  for (const char* status : {"200", "\"204\"", "299", "304"})
    EXPECT_EQ(judge(rule, std::string(R"({"status":)") + status + "}"), ":1") << status;
  for (const char* status : {"199", "300", "303", "\"404\"", "0", "-1", "\"-\"", "\"000\"", "null",
                             "99999999999", "\"2xx\"", "200.5"})
    EXPECT_EQ(judge(rule, std::string(R"({"status":)") + status + "}"), "passes") << status;
  EXPECT_EQ(judge(rule, "{}"), "refused:malformed");
  EXPECT_EQ(judge(rule, R"({"status":[200]})"), "refused:malformed");
}

TEST(AccessLogCalls, CountOnlyThePathsThatAreWanted) {
  CallRule call;
  call.path_field = "path";
  call.path_prefix = {"/api/", "/v2"};
  const auto rule = rule_of(call);
  for (const char* path : {"/api/", "/api/x?y", "/v2", "/v20"})
    EXPECT_EQ(judge(rule, std::string(R"({"path":")") + path + "\"}"), ":1") << path;
  for (const char* path : {"/api", "/", "", "-", "/API/", "x/api/"})
    EXPECT_EQ(judge(rule, std::string(R"({"path":")") + path + "\"}"), "passes") << path;
  EXPECT_EQ(judge(rule, "{}"), "refused:malformed");
}

TEST(AccessLogCalls, CountByEachRuleOfTheirSocket) {
  auto rule = with_subscription();
  CallRule bytes;
  bytes.event = EventName("data.bytes");
  bytes.subscription = SubscriptionId("sub_2");
  bytes.quantity_field = "bytes";
  rule.others = {bytes};
  const std::string line = R"({"sub":"sub_1","bytes":20})";
  EXPECT_EQ(judge(rule, line, 0), "sub_1:1");
  EXPECT_EQ(judge(rule, line, 1), "sub_2:20");
}

TEST(AccessLogCalls, OneFieldMayServeTwice) {
  CallRule call;
  call.status_field = call.quantity_field = "n";
  call.status = {"2xx"};
  EXPECT_EQ(judge(rule_of(call), R"({"n":204})"), ":204");
}

TEST(StatusSet, RefusesWhatIsNoStatus) {
  for (const char* bad : {"", "2x", "xxx", "20", "0xx", "6xx", "600", "099", "2XX", "-20", "2000", "20 "}) {
    const auto set = status_set({"200", bad});
    ASSERT_FALSE(set.ok()) << bad;
    EXPECT_EQ(set.error().code, Code::invalid);
    EXPECT_THAT(set.error().message, ::testing::HasSubstr("'" + std::string(bad) + "'"));
  }
}

std::string sender(const std::string& line) {
  auto rule = with_subscription();
  rule.worker_field = "worker";
  rule.sequence_field = "seq";
  CallReader reader(rule);
  if (!reader.read(line)) return "unread";
  const auto found = reader.sender();
  return found ? std::string(found->worker) + "/" + std::to_string(found->number) : "none";
}

TEST(AccessLogCalls, SayWhoSentThemAndWithWhichNumber) {
  EXPECT_EQ(sender(R"({"worker":"12-ab","seq":"7"})"), "12-ab/7");
  EXPECT_EQ(sender(R"({"worker":12,"seq":7})"), "12/7");
  EXPECT_EQ(sender(R"({"worker":"w","seq":9007199254740992})"), "w/9007199254740992");
  for (const char* line :
       {"{}", R"({"worker":"w"})", R"({"seq":1})", R"({"worker":"","seq":1})", R"({"worker":"a\nb","seq":1})",
        R"({"worker":"w","seq":-1})", R"({"worker":"w","seq":1.5})", R"({"worker":"w","seq":1e3})",
        R"({"worker":"w","seq":"-"})", R"({"worker":"w","seq":9007199254740993})",
        R"({"worker":{},"seq":1})"})
    EXPECT_EQ(sender(line), "none") << line;
  EXPECT_EQ(sender(R"({"worker":")" + std::string(101, 'w') + R"(","seq":1})"), "none");
}

}  // namespace
}  // namespace meterd::source
