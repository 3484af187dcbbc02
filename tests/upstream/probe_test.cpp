// A question that bills nothing, and what each answer to it says.
#include <gtest/gtest.h>

#include "agent/upstream/chargebee/chargebee.hpp"
#include "agent/upstream/twilio/twilio.hpp"

namespace meterd::upstream {
namespace {

using Finding = Diagnosis::Finding;
using Stage = TransportError::Stage;

const SubscriptionId kKnown("XEaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
const std::string kPage = "<html>Sign in</html>";

struct Case {
  unsigned status;
  std::string body;
  Finding finding;
};

void expect(const Upstream& api, const std::vector<Case>& cases, const SubscriptionId& asked = kKnown) {
  for (const auto& one : cases) {
    const auto found = api.judge_probe(asked, HttpResponse{one.status, {}, one.body});
    EXPECT_EQ(name_of(found.finding), name_of(one.finding)) << one.status << ' ' << one.body;
    EXPECT_EQ(found.advice.empty(), found.finding == Finding::fine) << one.status << ' ' << one.body;
    EXPECT_FALSE(found.detail.empty());
  }
}

std::string chargebee_error(const std::string& code) {
  return R"({"message":"m","type":"invalid_request","api_error_code":")" + code + R"("})";
}
std::string twilio_error(int code) { return R"({"code":)" + std::to_string(code) + R"(,"message":"m"})"; }

TEST(ProbeOfChargebee, ListsOneUsage) {
  const auto request = chargebee::make("/api/v2")->encode_probe(SubscriptionId("s 1"));
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.target, "/api/v2/usages?limit=1&subscription_id%5Bis%5D=s%201");
  EXPECT_EQ(request.body, "");
}

TEST(ProbeOfChargebee, TellsTheVendorsRefusalsApart) {
  expect(*chargebee::make(""), {{200, R"({"list":[]})", Finding::fine},
                                {200, R"({"usage":{}})", Finding::foreign},
                                {200, kPage, Finding::foreign},
                                {302, "", Finding::foreign},
                                {401, kPage, Finding::foreign},
                                {401, chargebee_error("api_authentication_failed"), Finding::bad_key},
                                {403, chargebee_error("api_authorization_failed"), Finding::not_allowed},
                                {403, chargebee_error("request_blocked"), Finding::not_enabled},
                                {400, chargebee_error("configuration_incompatible"), Finding::not_enabled},
                                {404, chargebee_error("site_not_found"), Finding::wrong_address},
                                {404, chargebee_error("resource_not_found"), Finding::wrong_address},
                                {429, chargebee_error("api_request_limit_exceeded"), Finding::unavailable},
                                {429, kPage, Finding::unavailable},
                                {503, chargebee_error("site_not_ready"), Finding::unavailable},
                                {502, kPage, Finding::unavailable}});
}

TEST(ProbeOfTwilio, HasNothingToCharge) {
  const auto v1 = twilio::make_v1("", 100)->encode_probe(kKnown);
  EXPECT_EQ(v1.target, "/v1/InstalledAddOns/" + kKnown.value() + "/Usage");
  EXPECT_EQ(v1.body, R"({"billable_items":[]})");
  const auto preview = twilio::make_preview("")->encode_probe(kKnown);
  EXPECT_EQ(preview.target, "/marketplace/InstalledAddOns/" + kKnown.value() + "/Usage");
  EXPECT_EQ(preview.body, "");
}

TEST(ProbeOfTwilio, TellsTheVendorsRefusalsApart) {
  const std::vector<Case> cases{{202, "", Finding::fine},
                                {400, twilio_error(20001), Finding::fine},
                                {400, kPage, Finding::foreign},
                                {200, kPage, Finding::foreign},
                                {401, twilio_error(20003), Finding::bad_key},
                                {403, twilio_error(20403), Finding::not_enabled},
                                {404, twilio_error(20404), Finding::wrong_address},
                                {405, twilio_error(20004), Finding::wrong_address},
                                {429, twilio_error(20429), Finding::unavailable},
                                {500, twilio_error(20500), Finding::unavailable},
                                {202, kPage, Finding::foreign},
                                {511, kPage, Finding::foreign},
                                {502, kPage, Finding::unavailable}};
  expect(*twilio::make_v1("", 100), cases);
  expect(*twilio::make_preview(""), cases);
}

TEST(ProbeOfTwilio, WithoutAnInstallationIsFineWhereTheAccountIsKnown) {
  const auto api = twilio::make_v1("", 100);
  EXPECT_NE(api->encode_probe({}).target.find("/XE0000"), std::string::npos);
  expect(*api, {{404, twilio_error(20404), Finding::fine}, {401, twilio_error(20003), Finding::bad_key}}, {});
}

TEST(Probe, SaysWhereAConnectionFailed) {
  const auto found = [](const TransportError& lost) {
    return name_of(chargebee::make("")->judge_probe(kKnown, lost).finding);
  };
  EXPECT_EQ(found({Stage::resolve, "no such name"}), "no_route");
  EXPECT_EQ(found({Stage::connect, "refused"}), "no_route");
  EXPECT_EQ(found({Stage::tls, "not trusted"}), "no_tls");
  EXPECT_EQ(found({Stage::tls, "expired", true}), "tls_time");
  EXPECT_EQ(found({Stage::receive, "closed"}), "unavailable");
}

}  // namespace
}  // namespace meterd::upstream
