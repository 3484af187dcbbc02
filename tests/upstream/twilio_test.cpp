// Twilio's two usage APIs: the bytes that leave, and what each answer says about each usage of a request.
#include "agent/upstream/twilio/twilio.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace meterd::upstream::twilio {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr const char* kInstallation = "XEaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
constexpr const char* kBilling = "BIaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
constexpr const char* kOther = "BIbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
constexpr std::size_t kBatch = 100;

// `amount`: what the units come to; empty: the quantity is money itself.
meter::Usage usage(const std::string& quantity, const std::string& amount = "", const char* sid = kBilling) {
  meter::Usage out;
  out.series = {UpstreamName("marketplace"), SubscriptionId(kInstallation), ItemPriceId(sid)};
  out.quantity = *Quantity::parse(quantity);
  if (!amount.empty()) out.charge = meter::Charge{*Quantity::parse(amount), *Quantity::parse("0.01"), {}, {}};
  return out;
}
const std::vector<meter::Usage> kSample{usage("12.355"), usage("44.02")};  // the seed's

std::string item(const std::string& quantity, const std::string& submitted, const char* sid = kBilling) {
  return std::string(R"({"sid":")") + sid + R"(","quantity":)" + quantity + R"(,"submitted":)" + submitted +
         "}";
}
std::string answer(const std::string& total, const std::string& items) {
  return R"({"total_submitted":)" + total + R"(,"billable_items":[)" + items + "]}";
}
std::vector<Verdict> judge(const std::string& body, const std::vector<meter::Usage>& usages = kSample) {
  return make_v1("", kBatch)->judge_batch(usages, HttpResponse{202, {}, body});
}
std::vector<std::string> outcomes(const std::vector<Verdict>& verdicts) {
  std::vector<std::string> out;
  for (const auto& verdict : verdicts) out.emplace_back(name_of(verdict.outcome));
  return out;
}

TEST(TwilioV1, SendsOneItemOfMoney) {
  const auto request = make_v1("/base", kBatch)->encode_create(usage("1647", "12.35"));
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, std::string("/base/v1/InstalledAddOns/") + kInstallation + "/Usage");
  EXPECT_EQ(request.body,
            std::string(R"({"billable_items":[{"sid":")") + kBilling + R"(","quantity":12.35}]})");
  EXPECT_THAT(request.headers, ElementsAre(::testing::Pair("content-type", "application/json"),
                                           ::testing::Pair("accept", "application/json")));
}

TEST(TwilioV1, JoinsTheStoredItemsOfAnInstallation) {
  const auto api = make_v1("", kBatch);
  const auto first = api->encode_create(usage("12.355"));
  const auto joined = api->join({first, api->encode_create(usage("44.02", "", kOther))});
  EXPECT_EQ(joined.target, first.target);
  EXPECT_EQ(joined.body, std::string(R"({"billable_items":[{"sid":")") + kBilling +
                             R"(","quantity":12.355},{"sid":")" + kOther + R"(","quantity":44.02}]})");
  EXPECT_EQ(api->join({first}).body, first.body);
}

TEST(TwilioV1, HasWhatTheVendorHas) {
  const auto traits = make_v1("", kBatch)->traits();
  EXPECT_FALSE(traits.idempotent || traits.read_back || traits.takes_credits || traits.keeps_dates);
  EXPECT_TRUE(traits.bills_money);
  EXPECT_EQ(traits.batch, kBatch);
}

// The seed's own answer: one and the same sid twice, the first of them left out.
TEST(TwilioV1, MatchesItemsByTheirPlace) {
  const auto verdicts = judge(answer("44.02", item("12.355", "false") + "," + item("44.02", "true")));
  EXPECT_THAT(outcomes(verdicts), ElementsAre("unavailable", "accepted"));
  EXPECT_TRUE(verdicts[0].left_out);
  EXPECT_FALSE(verdicts[1].left_out);
  EXPECT_NE(verdicts[1].receipt, "");
}

TEST(TwilioV1, TakesItsNumbersAsTheVendorWritesThem) {
  const auto all = ElementsAre("accepted", "accepted");
  EXPECT_THAT(outcomes(judge(answer("56.375", item("1.2355e1", "true") + "," + item("44.02", "true")))), all);
  EXPECT_THAT(outcomes(judge(answer("56.37500000000001",
                                    item("12.354999999999999", "true") + "," + item("44.02", "true")))),
              all)
      << "floating numbers";
  EXPECT_THAT(
      outcomes(judge(R"({"billable_items":[)" + item("12.355", "true") + "," + item("44.02", "true") + "]}")),
      all)
      << "the total is not required";
  EXPECT_THAT(outcomes(judge(answer("0", item("12.355", "false") + "," + item("44.02", "false")))),
              ElementsAre("unavailable", "unavailable"));
}

TEST(TwilioV1, HoldsAllInDoubtIfTheAnswerDoesNotFitTheRequest) {
  const std::string right = item("12.355", "true") + "," + item("44.02", "true");
  for (const auto& body : {answer("56.3750001", right), answer("44.02", right), answer("-56.375", right),
                           answer("\"56.375\"", right), answer("56.375", item("12.355", "true")),
                           answer("56.375", right + "," + item("1", "true")),
                           answer("56.375", item("44.02", "true") + "," + item("12.355", "true")),
                           answer("56.375", item("12.355", "true", kOther) + "," + item("44.02", "true")),
                           answer("56.375", item("12.355", "\"true\"") + "," + item("44.02", "true")),
                           answer("56.375", item("12.355", "null") + "," + item("44.02", "true")),
                           answer("56.375", "true,true"), std::string("{}"), std::string("[]"), std::string(),
                           std::string("<html>"), right, answer("56.375", right).substr(0, 60)})
    EXPECT_THAT(outcomes(judge(body)), Each(std::string("in_doubt"))) << body;
  EXPECT_THAT(judge("{}"), SizeIs(2));
  EXPECT_THAT(judge(answer("44.02", right))[0].detail, HasSubstr("total_submitted is 44.02 and not 56.375"));
}

TEST(TwilioV1, ComparesTheAmountAndNotTheUnits) {
  const std::vector<meter::Usage> units{usage("1647", "12.35")};
  EXPECT_THAT(outcomes(judge(answer("12.35", item("12.35", "true")), units)), ElementsAre("accepted"));
  EXPECT_THAT(outcomes(judge(answer("1647", item("1647", "true")), units)), ElementsAre("in_doubt"));
}

TEST(Twilio, KnowsItsOwnRequestsFromAnothersThatWasStored) {
  const auto v1 = make_v1("", kBatch);
  const auto preview = make_preview("");
  EXPECT_TRUE(v1->made(v1->encode_create(usage("1"))));
  EXPECT_TRUE(preview->made(preview->encode_create(usage("1"))));
  EXPECT_FALSE(v1->made(preview->encode_create(usage("1"))));
  EXPECT_FALSE(preview->made(v1->encode_create(usage("1"))));
  EXPECT_FALSE(v1->made({"POST", "/api/v2/subscriptions/s/usages", {}, "id=u"}));
}

TEST(TwilioPreview, SendsUnitsAndTakesTheStatusAsItsReceipt) {
  const auto api = make_preview("");
  const auto request = api->encode_create(usage("10"));
  EXPECT_EQ(request.target, std::string("/marketplace/InstalledAddOns/") + kInstallation + "/Usage");
  EXPECT_EQ(request.body, "Quantity=10");
  EXPECT_EQ(api->encode_create(usage("-10")).body, "Quantity=-10");
  for (const char* body : {"202 Accepted", "", "{}"})
    EXPECT_EQ(api->judge_create(usage("10"), HttpResponse{202, {}, body}).outcome, Outcome::accepted);
  EXPECT_EQ(api->judge_create(usage("10"), HttpResponse{200, {}, "202 Accepted"}).outcome, Outcome::in_doubt);
  const auto of_type = [&](const char* type, const char* body) {
    return api->judge_create(usage("10"), HttpResponse{202, {{"content-type", type}}, body}).outcome;
  };
  EXPECT_EQ(of_type("text/html; charset=utf-8", "Sign in"), Outcome::in_doubt);
  EXPECT_EQ(of_type("text/plain", " <html>"), Outcome::in_doubt);
  EXPECT_EQ(of_type("application/json", "{\"total\":1,"), Outcome::in_doubt);
  EXPECT_EQ(of_type("application/json", "{\"total\":1}"), Outcome::accepted);
  EXPECT_EQ(of_type("application/json", ""), Outcome::accepted);
  EXPECT_TRUE(api->traits().takes_credits);
  EXPECT_FALSE(api->traits().idempotent || api->traits().bills_money);
}

std::string vendor_error(int status) {
  return R"({"code":20003,"message":"Not\nso","more_info":"https://www.twilio.com/docs/errors/20003","status":)" +
         std::to_string(status) + "}";
}

// Both APIs read a refusal alike.
Outcome refused(unsigned status, const std::string& body) {
  const HttpResponse response{status, {}, body};
  const auto v1 = make_v1("", kBatch)->judge_batch(kSample, response);
  EXPECT_THAT(v1, SizeIs(2));
  const auto preview = make_preview("")->judge_create(usage("1"), response);
  for (const auto& one : v1) {
    EXPECT_EQ(name_of(one.outcome), name_of(preview.outcome)) << status;
    EXPECT_EQ(one.receipt, "");
  }
  return preview.outcome;
}

TEST(Twilio, OnlyItsOwnRefusalProvesThatNothingWasBilled) {
  for (const unsigned status : {400U, 404U, 409U, 413U, 415U, 422U}) {
    EXPECT_EQ(refused(status, vendor_error(400)), Outcome::rejected) << status;
    for (const char* body : {"<html>Log in</html>", "", "{}", R"({"code":"20003","message":"x"})"})
      EXPECT_EQ(refused(status, body), Outcome::in_doubt) << status << body;
  }
  for (const unsigned status : {401U, 403U, 405U}) {
    EXPECT_EQ(refused(status, vendor_error(401)), Outcome::unauthorised);
    EXPECT_EQ(refused(status, "no"), Outcome::in_doubt);
  }
  EXPECT_EQ(refused(422, R"({"type":"about:blank","title":"Bad","status":422,"code":20422})"),
            Outcome::rejected);
  const auto verdict = make_preview("")->judge_create(usage("1"), HttpResponse{401, {}, vendor_error(401)});
  EXPECT_EQ(verdict.detail, "401 20003: Not so") << "one line for a screen";
}

TEST(Twilio, WhatMayHaveBeenBilledIsInDoubt) {
  for (const unsigned status : {200U, 201U, 204U, 301U, 302U, 307U, 408U, 418U, 500U, 502U, 503U, 504U, 511U})
    for (const auto& body : {std::string("<html>"), vendor_error(static_cast<int>(status))})
      EXPECT_EQ(refused(status, body), Outcome::in_doubt) << status;
}

TEST(Twilio, TooManyRequestsAreNeverProcessed) {
  EXPECT_EQ(refused(429, "<html>"), Outcome::throttled);
  const HttpResponse slower{429, {{"retry-after", "7"}}, ""};
  EXPECT_EQ(make_preview("")->judge_create(usage("1"), slower).retry_after, Seconds(7));
}

TEST(Twilio, AnExchangeThatEndedBeforeItsFirstByteMayBeRepeated) {
  using Stage = TransportError::Stage;
  for (const auto stage : {Stage::resolve, Stage::connect, Stage::tls, Stage::send, Stage::receive}) {
    const bool left = stage == Stage::send || stage == Stage::receive;
    const auto wanted = left ? Outcome::in_doubt : Outcome::unavailable;
    for (const auto& verdict : make_v1("", kBatch)->judge_batch(kSample, TransportError{stage, "reset"})) {
      EXPECT_EQ(verdict.outcome, wanted) << name_of(stage);
      EXPECT_FALSE(verdict.left_out);
      EXPECT_THAT(verdict.detail, HasSubstr(std::string(name_of(stage)) + ": reset"));
    }
    EXPECT_EQ(make_preview("")->judge_create(usage("1"), TransportError{stage, "reset"}).outcome, wanted);
  }
}

}  // namespace
}  // namespace meterd::upstream::twilio
