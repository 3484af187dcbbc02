// Twilio's usage APIs on the device, end to end on a real journal: what is refused, what is committed, and
// the bodies of the answers.
#include "agent/api/request_target.hpp"
#include "agent/api/twilio/call.hpp"
#include "tests/api/routes_fixture.hpp"

namespace meterd::api {
namespace {

using ::testing::HasSubstr;

constexpr const char* kInstallation = "XEaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
constexpr const char* kSid = "BIaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

class Charges : public RoutesTest {
 protected:
  Response post(const std::string& path, const std::string& body, const std::string& type) {
    Request request;
    request.method = method_;
    EXPECT_TRUE(read_target(path, request));
    request.body = body;
    request.content_type = type;
    request.local = host_.empty();
    request.over_tcp = !host_.empty();
    request.host = host_;
    request.authorization = authorization_;
    return send(request);
  }
  Response v1(const std::string& body, const std::string& sid = kInstallation) {
    return post("/v1/InstalledAddOns/" + sid + "/Usage", body, type_.empty() ? "application/json" : type_);
  }
  Response preview(const std::string& body, const std::string& sid = kInstallation) {
    return post("/marketplace/InstalledAddOns/" + sid + "/Usage", body,
                type_.empty() ? "application/x-www-form-urlencoded" : type_);
  }
  static std::string item(const std::string& quantity, const std::string& sid = kSid) {
    return "{\"sid\":\"" + sid + "\",\"quantity\":" + quantity + "}";
  }
  static std::string items(const std::string& list) { return "{\"billable_items\":[" + list + "]}"; }
  // "400 20001" and that the body is the vendor's error.
  static std::string refusal(const Response& response) {
    const auto root = boost::json::parse(response.body);
    EXPECT_EQ(root.at("status"), response.status);
    EXPECT_FALSE(root.at("message").as_string().empty());
    EXPECT_THAT(std::string(root.at("more_info").as_string()),
                HasSubstr("https://www.twilio.com/docs/errors/"));
    return std::to_string(response.status) + " " + std::to_string(root.at("code").as_int64());
  }
  std::string method_ = "POST", type_, host_, authorization_;
};

TEST_F(Charges, AreCommittedWhenTheAnswerSaysSo) {
  const auto answer = v1(items(item("12.355") + "," + item("44.02")));  // the seed's, one sid twice
  EXPECT_EQ(answer.status, 202U);
  EXPECT_EQ(answer.body, std::string("{\"total_submitted\":56.375,\"billable_items\":[{\"sid\":\"") + kSid +
                             "\",\"quantity\":12.355,\"submitted\":true},{\"sid\":\"" + kSid +
                             "\",\"quantity\":44.02,\"submitted\":true}]}");
  EXPECT_EQ(bench_.accepted(), test::q("56.375"));
  EXPECT_EQ(v1(items("")).body, "{\"total_submitted\":0,\"billable_items\":[]}");
  EXPECT_EQ(v1(items(item("1e-2"))).status, 202U);
  EXPECT_EQ(bench_.accepted(), test::q("56.385"));
  bench_.expect_sound();
}

TEST_F(Charges, AreExactInEveryDigit) {
  for (int i = 0; i < 10; ++i) EXPECT_EQ(v1(items(item("0.1"))).status, 202U);
  EXPECT_EQ(bench_.accepted(), test::q("1"));
  EXPECT_THAT(v1(items(item("0.1") + "," + item("0.2"))).body, HasSubstr("\"total_submitted\":0.3,"));
}

TEST_F(Charges, ThatAreNotOneCallAreRefusedWhole) {
  for (const char* body : {"", "[]", "{}", "{\"billable_items\":{}}", "{\"billable_items\":[1]}",
                           "{\"billableItems\":[]}", "{\"billable_items\":[],\"billable_items\":[]}", "\xff"})
    EXPECT_EQ(refusal(v1(body)), "400 20001") << body;
  for (const char* quantity : {"0", "-1", "\"1\"", "null", "true", "1e99", "1e-39", "NaN"})
    EXPECT_EQ(refusal(v1(items(item("5") + "," + item(quantity)))), "400 20001") << quantity;
  EXPECT_EQ(refusal(v1(items("{\"sid\":\"a\"}"))), "400 20001");
  EXPECT_EQ(refusal(v1(items("{\"quantity\":1}"))), "400 20001");
  EXPECT_EQ(refusal(v1(items(item("1", "")))), "400 20001");
  EXPECT_EQ(refusal(v1(items(item("1", std::string(101, 'a'))))), "400 20001");
  EXPECT_EQ(refusal(v1(items(item("1")), "BIaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")), "400 20001");
  EXPECT_EQ(refusal(v1(items(item("1")), "XEaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaag")), "400 20001");
  EXPECT_THAT(v1("{\"billableItems\":[]}").body, HasSubstr("knows no billableItems"));
  std::string many = item("1");
  for (std::size_t i = 1; i <= twilio::kItemsMax; ++i) many += "," + item("1");
  EXPECT_EQ(refusal(v1(items(many))), "400 20001");
  EXPECT_EQ(bench_.accepted(), Quantity());
}

TEST_F(Charges, OfPreviewAreUnitsOrACredit) {
  const auto answer = preview("Quantity=10");
  EXPECT_EQ(answer.status, 202U);
  EXPECT_EQ(answer.body, "202 Accepted");
  EXPECT_EQ(preview("Quantity=-2.5").status, 202U);
  EXPECT_EQ(bench_.accepted(), test::q("7.5"));
  for (const char* body : {"", "Quantity=", "Quantity=0", "Quantity=a", "Quantity=1e3", "quantity=1",
                           "Quantity=1&Quantity=2", "Quantity=1&Other=2", "Quantity=%zz"})
    EXPECT_EQ(refusal(preview(body)), "400 20001") << body;
  bench_.expect_sound();
}

TEST_F(Charges, AreRefusedInTheVendorsShapeWhateverIsWrong) {
  type_ = "text/plain";
  EXPECT_EQ(refusal(v1("{}")), "415 20001");
  EXPECT_EQ(refusal(preview("Quantity=1")), "415 20001");
  type_.clear();
  method_ = "GET";
  const auto get = v1("");
  EXPECT_EQ(refusal(get), "405 20004");
  EXPECT_EQ(get.headers.at(0), (std::pair<std::string, std::string>("Allow", "POST")));
  method_ = "POST";
  EXPECT_EQ(refusal(post("/v1/InstalledAddOns/XE1", "{}", "application/json")), "404 20404");
  EXPECT_EQ(refusal(post("/v1/InstalledAddOns/a/b/Usage", "{}", "application/json")), "404 20404");
  has_room_ = false;
  EXPECT_EQ(refusal(v1(items(item("1")))), "503 20503");
  EXPECT_EQ(bench_.accepted(), Quantity());
}

TEST_F(Charges, OverTcpWantTheAccountAndItsToken) {
  host_ = "127.0.0.1:8480";
  EXPECT_EQ(refusal(v1(items(item("1")))), "401 20003");
  twilio_key_.set_credentials("AC1", "token");
  authorization_ = "Basic QUMxOnRva2Vu";  // AC1:token
  EXPECT_EQ(v1(items(item("1"))).status, 202U);
  authorization_ = "Basic QUMxOg==";
  EXPECT_EQ(refusal(v1(items(item("1")))), "401 20003");
  key_.set_key("key");
  authorization_ = "Basic a2V5Og==";  // the key of another API
  EXPECT_EQ(refusal(preview("Quantity=1")), "401 20003");
}

}  // namespace
}  // namespace meterd::api
