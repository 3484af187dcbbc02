// Chargebee's encoding and the meaning of its answers: pure, table by table.
#include "agent/upstream/chargebee/chargebee.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace meterd::upstream {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Found = ReadBack::Found;

meter::Usage sample() {  // the usage of the vendor SDK's own wire sample
  meter::Usage usage;
  usage.id = UsageId("u1");
  usage.series.subscription = SubscriptionId("sub_1");
  usage.series.item_price = ItemPriceId("silver-usd");
  usage.usage_date = 1601718989;
  usage.quantity = *Quantity::parse("0.1");
  usage.note = "Day 1 & ünïcode";
  return usage;
}

std::unique_ptr<Upstream> api() { return chargebee::make("/api/v2"); }

HttpResponse response(unsigned status, std::string body) { return {status, {}, std::move(body)}; }

std::string usage_json(std::string_view quantity = R"("0.1")", std::string_view id = "u1",
                       std::string_view subscription = "sub_1", std::string_view item_price = "silver-usd",
                       std::string_view usage_date = "1601718989") {
  std::string out = R"({"usage":{"created_at":1601708189,"id":")";
  out.append(id).append(R"(","item_price_id":")").append(item_price);
  out.append(R"(","note":"Day 1","object":"usage","quantity":)").append(quantity);
  out.append(R"(,"resource_version":1601708189381,"subscription_id":")").append(subscription);
  out.append(R"(","updated_at":1601708189,"usage_date":)").append(usage_date).append("}}");
  return out;
}

std::string error_json(std::string_view code) {
  return R"({"message":"Not so","type":"invalid_request","api_error_code":")" + std::string(code) +
         R"(","param":"quantity","http_status_code":400})";
}

TEST(ChargebeeEncode, CreateIsTheVendorSdksBytes) {
  const HttpRequest request = api()->encode_create(sample());
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/api/v2/subscriptions/sub_1/usages");
  const std::vector<std::pair<std::string, std::string>> headers{
      {"content-type", "application/x-www-form-urlencoded; charset=utf-8"},
      {"accept", "application/json"},
      {"chargebee-idempotency-key", "u1"}};
  EXPECT_EQ(request.headers, headers);
  EXPECT_EQ(
      request.body,
      "id=u1&item_price_id=silver-usd&usage_date=1601718989&quantity=0.1&note=Day+1+%26+%C3%BCn%C3%AFcode");
}

TEST(ChargebeeEncode, LeavesAnEmptyNoteOut) {
  auto usage = sample();
  usage.note.clear();
  EXPECT_EQ(api()->encode_create(usage).body,
            "id=u1&item_price_id=silver-usd&usage_date=1601718989&quantity=0.1");
}

TEST(ChargebeeEncode, EscapesWhatWouldChangeThePathOrTheForm) {
  auto usage = sample();
  usage.id = UsageId("a b&quantity=9?%20+");
  usage.series.subscription = SubscriptionId("../x/é#");
  EXPECT_EQ(api()->encode_create(usage).target, "/api/v2/subscriptions/..%2Fx%2F%C3%A9%23/usages");
  EXPECT_THAT(api()->encode_create(usage).body, HasSubstr("id=a+b%26quantity%3D9%3F%2520%2B&item_price_id="));
  EXPECT_EQ(api()->encode_retrieve(usage).target,
            "/api/v2/subscriptions/..%2Fx%2F%C3%A9%23/usages?id=a%20b%26quantity%3D9%3F%2520%2B");
}

TEST(ChargebeeEncode, RetrieveAsksByOurId) {
  const HttpRequest request = api()->encode_retrieve(sample());
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.target, "/api/v2/subscriptions/sub_1/usages?id=u1");
  EXPECT_EQ(request.body, "");
}

TEST(ChargebeeEncode, CreateKeepsACallersQuantityAndCustomFieldsAsTheyWereGiven) {
  auto usage = sample();
  usage.note.clear();
  usage.given_quantity = "00.100";
  usage.custom_fields = {{"cf_b", "2 & 3"}, {"cf_a", ""}};
  EXPECT_EQ(api()->encode_create(usage).body,
            "id=u1&item_price_id=silver-usd&usage_date=1601718989&quantity=00.100&cf_b=2+%26+3&cf_a=");
}

TEST(ChargebeeEncode, DeleteNamesTheUsageAndHasAKeyOfItsOwn) {
  auto usage = sample();
  usage.id = UsageId("u 1&x");
  usage.series.subscription = SubscriptionId("a/b");
  const HttpRequest request = api()->encode_delete(usage, "key-1");
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/api/v2/subscriptions/a%2Fb/delete_usage");
  const std::vector<std::pair<std::string, std::string>> headers{
      {"content-type", "application/x-www-form-urlencoded; charset=utf-8"},
      {"accept", "application/json"},
      {"chargebee-idempotency-key", "key-1"}};
  EXPECT_EQ(request.headers, headers);
  EXPECT_EQ(request.body, "id=u+1%26x");
}

TEST(ChargebeeEncode, TheVendorKnowsIdsAndKeysAndALimit) {
  EXPECT_TRUE(api()->traits().idempotent);
  EXPECT_TRUE(api()->traits().read_back);
  EXPECT_EQ(api()->traits().lifetime_limit, 5000U);
}

TEST(ChargebeeCreate, AUsageThatEqualsOursIsAReceipt) {
  for (const auto* quantity : {R"("0.1")", R"("0.10")", R"("00.100")", "0.1", "0.10"}) {
    const auto verdict = api()->judge_create(sample(), response(200, usage_json(quantity)));
    EXPECT_EQ(verdict.outcome, Outcome::accepted) << quantity << " " << verdict.detail;
    EXPECT_EQ(verdict.receipt, "200 resource_version=1601708189381 replayed=false");
  }
}

TEST(ChargebeeCreate, TheReceiptTellsAReplay) {
  HttpResponse replayed{200, {{"chargebee-idempotency-replayed", "true"}}, usage_json()};
  EXPECT_EQ(api()->judge_create(sample(), replayed).receipt,
            "200 resource_version=1601708189381 replayed=true");
}

TEST(ChargebeeCreate, QuantitiesNeverPassThroughADouble) {
  auto usage = sample();
  usage.quantity = *Quantity::parse("9007199254740993.1");  // 2^53 + 1.1: no double holds it
  EXPECT_EQ(api()->judge_create(usage, response(200, usage_json("9007199254740993.1"))).outcome,
            Outcome::accepted);
  EXPECT_EQ(api()->judge_create(usage, response(200, usage_json("9007199254740993.0"))).outcome,
            Outcome::rejected);
  EXPECT_EQ(api()->judge_create(usage, response(200, usage_json(R"("9007199254740992.1")"))).outcome,
            Outcome::rejected);
}

TEST(ChargebeeCreate, OurIdWithOtherContentIsAConflict) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {usage_json(R"("7")"), "quantity (theirs 7, ours 0.1)"},
      {usage_json(R"("1e-1")"), "quantity (theirs 1e-1, ours 0.1)"},
      {usage_json(R"("0.1")", "u1", "sub_2"), "subscription_id"},
      {usage_json(R"("0.1")", "u1", "sub_1", "gold-usd"), "item_price_id"},
      {usage_json(R"("0.1")", "u1", "sub_1", "silver-usd", "1601718988"), "usage_date"}};
  for (const auto& [body, field] : cases) {
    const auto verdict = api()->judge_create(sample(), response(200, body));
    EXPECT_EQ(verdict.outcome, Outcome::rejected);
    EXPECT_THAT(verdict.detail, ::testing::StartsWith("conflict: "));
    EXPECT_THAT(verdict.detail, HasSubstr(field));
    const auto look = api()->judge_retrieve(sample(), response(200, body));
    EXPECT_EQ(look.found, Found::different);
  }
}

TEST(ChargebeeCreate, WhatIsNotAUsageTeachesNothing) {
  std::string deep(200, '[');
  const std::vector<std::string> bodies{
      "",
      "<html><body>Welcome to the hotel</body></html>",
      R"({"usage":{"id":"usage_)",
      "null",
      "[]",
      "{}",
      R"({"usage":null})",
      R"({"usage":[]})",
      R"([{"usage":{}}])",
      R"({"usage":{"id":"u1"}})",
      R"({"list":[)" + usage_json() + "]}",
      usage_json() + "x",
      usage_json("null"),
      usage_json(R"({"value":"0.1"})"),
      usage_json(R"("0.1")", "u2"),
      usage_json(R"("0.1")", "u1", "sub_1", "silver-usd", R"("1601718989")"),
      usage_json(R"("0.1","quantity":"0.1")"),  // a name twice
      usage_json(R"("0.1")", "u1\xff"),
      R"({"usage":)" + deep};
  for (const auto& body : bodies) {
    const auto verdict = api()->judge_create(sample(), response(200, body));
    EXPECT_EQ(verdict.outcome, Outcome::unavailable) << body;
    EXPECT_THAT(verdict.detail, HasSubstr("captive portal or proxy?"));
    EXPECT_EQ(api()->judge_retrieve(sample(), response(200, body)).found, Found::unknown) << body;
  }
  EXPECT_EQ(api()->judge_create(sample(), response(201, usage_json())).outcome, Outcome::unavailable);
  EXPECT_EQ(api()->judge_create(sample(), response(204, "")).outcome, Outcome::unavailable);
}

constexpr std::string_view kKeyReused = "unable_to_process_request";  // answered for 30 minutes

struct CodeCase {
  unsigned status;
  const char* code;
  Outcome outcome;
};

// Every (status, code) of the vendor's OpenAPI document, and some that it does not have.
constexpr CodeCase kCodes[] = {
    {400, "duplicate_entry", Outcome::duplicate},
    {400, "param_wrong_value", Outcome::rejected},
    {400, "invalid_request", Outcome::rejected},
    {400, "resource_limit_exhausted", Outcome::rejected},
    {400, "resource_limit_exceeded", Outcome::rejected},
    {400, "payment_processing_failed", Outcome::rejected},
    {400, "payment_method_not_present", Outcome::rejected},
    {402, "payment_processing_failed", Outcome::rejected},
    {400, "configuration_incompatible", Outcome::unauthorised},
    {400, "some_code_of_next_year", Outcome::rejected},
    {401, "api_authentication_failed", Outcome::unauthorised},
    {401, "basic_authentication_failed", Outcome::unauthorised},
    {401, "some_code_of_next_year", Outcome::unauthorised},
    {403, "request_blocked", Outcome::unauthorised},
    {403, "api_authorization_failed", Outcome::unauthorised},
    {404, "resource_not_found", Outcome::rejected},
    {404, "site_not_found", Outcome::unauthorised},
    {404, "some_code_of_next_year", Outcome::rejected},
    {405, "http_method_not_supported", Outcome::unauthorised},
    {409, "invalid_state_for_request", Outcome::rejected},
    {409, "lock_timeout", Outcome::throttled},  // documented with 429; older texts have 409
    {418, "some_code_of_next_year", Outcome::unavailable},
    {422, "unable_to_process_request", Outcome::duplicate},
    {422, "some_code_of_next_year", Outcome::rejected},
    {429, "api_request_limit_exceeded", Outcome::throttled},
    {429, "third_party_api_request_limit_exceeded", Outcome::throttled},
    {429, "lock_timeout", Outcome::throttled},
    {429, "some_code_of_next_year", Outcome::throttled},
    {500, "internal_error", Outcome::unavailable},
    {500, "duplicate_entry", Outcome::unavailable},  // a 5xx is never a statement about the usage
    {503, "internal_temporary_error", Outcome::unavailable},
    {503, "site_read_only_mode", Outcome::unavailable},
    {503, "site_not_ready", Outcome::unavailable},
    {503, "db_connection_failure", Outcome::unavailable},
};

TEST(ChargebeeCreate, EveryErrorCodeHasItsOutcome) {
  for (const auto& c : kCodes) {
    const auto verdict = api()->judge_create(sample(), response(c.status, error_json(c.code)));
    EXPECT_EQ(name_of(verdict.outcome), name_of(c.outcome)) << c.status << " " << c.code;
    EXPECT_EQ(verdict.detail, std::to_string(c.status) + " " + c.code + " param=quantity: Not so");
    EXPECT_EQ(verdict.receipt, "");
    EXPECT_EQ(verdict.retry_after.has_value(), c.code == kKeyReused);
  }
}

TEST(ChargebeeCreate, AnErrorWithoutTheVendorsCodeIsNobodysRefusal) {
  for (const unsigned status : {301U, 302U, 304U, 307U, 400U, 401U, 403U, 404U, 405U, 407U, 409U, 422U, 451U,
                                500U, 502U, 503U, 504U, 511U}) {
    for (const auto* body :
         {"<html><h1>Please log in</h1></html>", "", "{}", R"(["api_error_code"])", R"({"api_error_code":7})",
          R"({"error":{"api_error_code":"duplicate_entry"}})", R"({"api_error_code":"duplicate_entry")"}) {
      const auto verdict = api()->judge_create(sample(), response(status, body));
      EXPECT_EQ(name_of(verdict.outcome), "unavailable") << status << " " << body;
      EXPECT_THAT(verdict.detail, HasSubstr(std::to_string(status) + " without the vendor's error code"));
    }
  }
  EXPECT_EQ(api()->judge_create(sample(), response(429, "slow down")).outcome, Outcome::throttled);
  EXPECT_EQ(api()->judge_create(sample(), response(302, error_json("duplicate_entry"))).outcome,
            Outcome::unavailable);
}

TEST(ChargebeeCreate, ALostExchangeIsUnavailable) {
  const auto verdict = api()->judge_create(
      sample(), TransportError{TransportError::Stage::receive, "the connection was closed"});
  EXPECT_EQ(verdict.outcome, Outcome::unavailable);
  EXPECT_EQ(verdict.detail, "receive: the connection was closed");
}

TEST(ChargebeeCreate, DetailsAreOneCleanShortLine) {
  std::string message(119, 'm');
  message += "\xC3\xA9 and a long tale";  // the two bytes of é stand at 120 and 121
  const std::string body =
      R"({"api_error_code":"param_wrong_value","param":"a\nb\u0007","message":")" + message + "\"}";
  const auto verdict = api()->judge_create(sample(), response(400, body));
  EXPECT_EQ(verdict.detail, "400 param_wrong_value param=a b : " + std::string(119, 'm'));
  const std::string endless = R"({"api_error_code":")" + std::string(5000, 'c') + "\"}";
  EXPECT_LT(api()->judge_create(sample(), response(400, endless)).detail.size(), 100U);
}

TEST(ChargebeeCreate, RetryAfterIsCarriedOnlyWhereWaitingHelps) {
  const auto retry_after = [](unsigned status, const std::string& body) {
    return api()->judge_create(sample(), HttpResponse{status, {{"retry-after", "7"}}, body}).retry_after;
  };
  EXPECT_EQ(retry_after(429, error_json("lock_timeout")), Seconds(7));
  EXPECT_EQ(retry_after(429, "<html>"), Seconds(7));
  EXPECT_EQ(retry_after(503, error_json("site_not_ready")), Seconds(7));
  EXPECT_EQ(retry_after(503, "<html>"), Seconds(7));
  EXPECT_FALSE(retry_after(400, error_json("param_wrong_value")));
  EXPECT_FALSE(retry_after(511, "<html>"));
}

TEST(ChargebeeRetrieve, AnEqualUsageIsAReceipt) {
  const auto look = api()->judge_retrieve(sample(), response(200, usage_json(R"("0.100")")));
  EXPECT_EQ(look.found, Found::same);
  EXPECT_EQ(look.verdict.outcome, Outcome::accepted);
  EXPECT_EQ(look.verdict.receipt, "200 resource_version=1601708189381 read_back=true");
}

TEST(ChargebeeRetrieve, SaysWhatIsThereUnderOurId) {
  const auto other = api()->judge_retrieve(sample(), response(200, usage_json(R"("7")")));
  EXPECT_EQ(other.found, Found::different);
  ASSERT_TRUE(other.quantity.has_value());
  EXPECT_EQ(other.quantity->text(), "7");
  EXPECT_FALSE(api()->judge_retrieve(sample(), response(404, error_json("resource_not_found"))).quantity);
}

TEST(ChargebeeRetrieve, OnlyTheVendorsNotFoundIsAbsent) {
  EXPECT_EQ(api()->judge_retrieve(sample(), response(404, error_json("resource_not_found"))).found,
            Found::absent);
  EXPECT_EQ(api()->judge_retrieve(sample(), response(404, "<html>Not found</html>")).found, Found::unknown);
  EXPECT_EQ(api()->judge_retrieve(sample(), response(404, error_json("site_not_found"))).found,
            Found::unknown);
  EXPECT_EQ(api()->judge_retrieve(sample(), response(400, error_json("resource_not_found"))).found,
            Found::unknown);
}

TEST(ChargebeeRetrieve, ALookThatIsAnsweredAsAUsedKeyHoldsTheUpstreamUpForNoKey) {
  const auto body = error_json("unable_to_process_request");
  EXPECT_TRUE(api()->judge_create(sample(), response(422, body)).retry_after) << "a create waits for its key";
  EXPECT_FALSE(api()->judge_retrieve(sample(), response(422, body)).verdict.retry_after);
}

TEST(ChargebeeRetrieve, ARefusedLookIsNeverARefusalOfTheUsage) {
  for (const auto& c : kCodes) {
    if (c.status == 404 && std::string_view(c.code) == "resource_not_found") continue;
    const auto look = api()->judge_retrieve(sample(), response(c.status, error_json(c.code)));
    EXPECT_EQ(look.found, Found::unknown) << c.status << " " << c.code;
    EXPECT_NE(look.verdict.outcome, Outcome::rejected);
    EXPECT_NE(look.verdict.outcome, Outcome::duplicate);
    if (c.outcome == Outcome::throttled || c.outcome == Outcome::unauthorised) {
      EXPECT_EQ(look.verdict.outcome, c.outcome);
    }
    EXPECT_THAT(look.verdict.detail, HasSubstr(c.code));
  }
  const auto lost =
      api()->judge_retrieve(sample(), TransportError{TransportError::Stage::resolve, "no network"});
  EXPECT_EQ(lost.found, Found::unknown);
  EXPECT_EQ(lost.verdict.outcome, Outcome::unavailable);
}

TEST(ChargebeeDelete, TheDeletedUsageIsAReceipt) {
  const auto verdict = api()->judge_delete(sample(), response(200, usage_json(R"("7")")));
  EXPECT_EQ(verdict.outcome, Outcome::accepted) << "whatever its quantity was";
  EXPECT_EQ(verdict.receipt, "200 deleted");
}

TEST(ChargebeeDelete, A200OfSomebodyElseTeachesNothing) {
  for (const auto& body : {std::string("<html>Please log in</html>"), std::string("{}"), std::string(),
                           usage_json(R"("0.1")", "u2"), R"({"list":[)" + usage_json() + "]}"}) {
    const auto verdict = api()->judge_delete(sample(), response(200, body));
    EXPECT_EQ(verdict.outcome, Outcome::unavailable) << body;
    EXPECT_EQ(verdict.receipt, "");
  }
  EXPECT_EQ(api()->judge_delete(sample(), response(204, "")).outcome, Outcome::unavailable);
}

TEST(ChargebeeDelete, TheVendorsNotFoundIsAReceiptAndNobodyElses) {
  const auto gone = api()->judge_delete(sample(), response(404, error_json("resource_not_found")));
  EXPECT_EQ(gone.outcome, Outcome::accepted);
  EXPECT_NE(gone.receipt, "");
  EXPECT_EQ(api()->judge_delete(sample(), response(404, "<html>Not found</html>")).outcome,
            Outcome::unavailable);
  EXPECT_EQ(api()->judge_delete(sample(), response(404, error_json("site_not_found"))).outcome,
            Outcome::unauthorised);
  EXPECT_EQ(api()->judge_delete(sample(), response(400, error_json("resource_not_found"))).outcome,
            Outcome::rejected);
}

TEST(ChargebeeDelete, EveryErrorCodeHasItsOutcome) {
  for (const auto& c : kCodes) {
    if (c.status == 404 && std::string_view(c.code) == "resource_not_found") continue;
    const auto verdict = api()->judge_delete(sample(), response(c.status, error_json(c.code)));
    const bool of_a_usage = c.outcome == Outcome::duplicate && c.code != kKeyReused;
    const auto expected = of_a_usage ? Outcome::rejected : c.outcome;
    EXPECT_EQ(name_of(verdict.outcome), name_of(expected)) << c.status << " " << c.code;
    EXPECT_EQ(verdict.receipt, "");
    EXPECT_EQ(verdict.retry_after.has_value(), c.code == kKeyReused);
  }
}

TEST(ChargebeeDelete, KeepsTheUpstreamsWordAndALostExchangeForLater) {
  HttpResponse busy{429, {{"retry-after", "7"}}, error_json("api_request_limit_exceeded")};
  EXPECT_EQ(api()->judge_delete(sample(), busy).retry_after, Seconds(7));
  const auto lost = api()->judge_delete(sample(), TransportError{TransportError::Stage::receive, "closed"});
  EXPECT_EQ(lost.outcome, Outcome::unavailable);
}

}  // namespace
}  // namespace meterd::upstream
