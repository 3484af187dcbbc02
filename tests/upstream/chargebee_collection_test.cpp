// Chargebee's lists and documents: pure, as the vendor's samples have them (seed 002).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/upstream/chargebee/chargebee.hpp"

namespace meterd::upstream {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const SubscriptionId kSubscription("sub_1");

std::unique_ptr<Upstream> api() { return chargebee::make("/api/v2"); }
HttpResponse response(unsigned status, std::string body) { return {status, {}, std::move(body)}; }

std::string usage(std::string_view id, std::string_view more = "") {
  return R"({"usage":{"id":")" + std::string(id) +
         R"(","usage_date":1601718989,"subscription_id":"sub_1","item_price_id":"silver-usd",)" +
         R"("quantity":"0.10","source":"api","object":"usage")" + std::string(more) + "}}";
}
std::string list(std::string_view elements, std::string_view after = "") {
  return R"({"list":[)" + std::string(elements) + "]" + std::string(after) + "}";
}
Answered<ListPage> read(const std::string& body, unsigned status = 200) {
  return api()->judge_list(kSubscription, response(status, body));
}

TEST(ChargebeeList, AsksForASubscriptionInOrderOfItsDates) {
  const auto first = api()->encode_list(SubscriptionId("a&b"), "");
  EXPECT_EQ(first.method, "GET");
  EXPECT_EQ(first.target,
            "/api/v2/usages?limit=100&sort_by%5Basc%5D=usage_date&subscription_id%5Bis%5D=a%26b");
  const auto next = api()->encode_list(kSubscription, R"(["1601718989000","12"])");
  EXPECT_THAT(next.target, HasSubstr("&offset=%5B%221601718989000%22%2C%2212%22%5D"));
  EXPECT_THAT(next.body, IsEmpty());
}

TEST(ChargebeeList, GivesTheUsagesWithTheirInvoices) {
  const auto page =
      read(list(usage("u1") + "," + usage("u2", R"(,"invoice_id":"inv_1","line_item_id":"li_1")"),
                R"(,"next_offset":"[\"1\",\"2\"]")"));
  ASSERT_TRUE(page.wanted.has_value()) << page.verdict.detail;
  ASSERT_THAT(page.wanted->usages, SizeIs(2));
  const auto& [u1, u2] = std::tie(page.wanted->usages[0], page.wanted->usages[1]);
  EXPECT_EQ(u1.id.value(), "u1");
  EXPECT_EQ(u1.item_price.value(), "silver-usd");
  EXPECT_EQ(u1.usage_date, 1601718989);
  EXPECT_EQ(u1.quantity, "0.10");
  EXPECT_EQ(u1.invoice, "");
  EXPECT_EQ(u2.invoice, "inv_1");
  EXPECT_EQ(u2.line_item, "li_1");
  EXPECT_EQ(page.wanted->next_offset, R"(["1","2"])");
}

TEST(ChargebeeList, ReadsOnlyTheUsagesThemselves) {
  const auto page = read(
      list(R"({"subscription":{"id":"sub_1","usage":{"id":"deep"}},"usage":{"meta":{"id":"x"},"id":"u1",)"
           R"("tags":["usage",{"usage":{"id":"y"}}],"usage_date":1,"subscription_id":"sub_1",)"
           R"("item_price_id":"i","quantity":7}})"));
  ASSERT_TRUE(page.wanted.has_value()) << page.verdict.detail;
  ASSERT_THAT(page.wanted->usages, SizeIs(1));
  EXPECT_EQ(page.wanted->usages[0].id.value(), "u1");
  EXPECT_EQ(page.wanted->usages[0].quantity, "7");
}

TEST(ChargebeeList, AnEmptyOneIsTheWholeOne) {
  const auto page = read(list(""));
  ASSERT_TRUE(page.wanted.has_value());
  EXPECT_THAT(page.wanted->usages, IsEmpty());
  EXPECT_THAT(page.wanted->next_offset, IsEmpty());
}

TEST(ChargebeeList, WhatIsNotOneTeachesNothing) {
  const std::string u1 = usage("u1");
  for (const auto& body :
       {std::string("<html>Sign in</html>"), std::string("{}"), std::string("[]"), u1, list(u1) + list(u1),
        list(R"({"usage":{},"usage":{}})"), list(usage("u1", R"(,"id":"u2")")), list(u1, R"(,"list":[])")}) {
    const auto page = read(body);
    EXPECT_FALSE(page.wanted.has_value()) << body;
    EXPECT_EQ(page.verdict.outcome, Outcome::unavailable) << body;
    EXPECT_FALSE(page.verdict.detail.empty());
  }
}

TEST(ChargebeeList, OneThatCannotBeUsedIsRefusedForGood) {
  const auto one = [](std::string_view id, std::string_view date, std::string_view subscription) {
    return R"({"usage":{"item_price_id":"i","quantity":"1","id":")" + std::string(id) + R"(","usage_date":)" +
           std::string(date) + R"(,"subscription_id":")" + std::string(subscription) + R"("}})";
  };
  ASSERT_TRUE(read(list(one("u1", "1", "sub_1"))).wanted.has_value());
  std::string too_many = usage("u0");
  for (int i = 1; i < 101; ++i) too_many += "," + usage("u" + std::to_string(i));
  for (const auto& body :
       {list(R"({"usage":{"id":"u1","subscription_id":"sub_1"}})"), list(one("u1", "1", "sub_2")),
        list(one(R"(u\u0007)", "1", "sub_1")), list(one("u1", "-1", "sub_1")),
        list(one(std::string(401, 'x'), "1", "sub_1")), list("", R"(,"next_offset":"again")"),
        list(usage("u1"), R"(,"next_offset":")" + std::string(1'001, 'x') + '"'), list(too_many)}) {
    const auto page = read(body);
    EXPECT_FALSE(page.wanted.has_value()) << body;
    EXPECT_EQ(page.verdict.outcome, Outcome::rejected) << body;
    EXPECT_THAT(page.verdict.detail, HasSubstr("200, but"));
  }
}

TEST(ChargebeeList, CarriesTheVendorsRefusalAndItsWaitingTime) {
  auto busy = response(429, R"({"message":"Slow","api_error_code":"api_request_limit_exceeded"})");
  busy.headers.emplace_back("retry-after", "7");
  const auto throttled = api()->judge_list(kSubscription, busy);
  EXPECT_FALSE(throttled.wanted.has_value());
  EXPECT_EQ(throttled.verdict.outcome, Outcome::throttled);
  EXPECT_EQ(throttled.verdict.retry_after, Milliseconds(7'000));
  const auto lost =
      api()->judge_list(kSubscription, TransportError{TransportError::Stage::connect, "refused"});
  EXPECT_FALSE(lost.wanted.has_value());
  EXPECT_THAT(lost.verdict.detail, HasSubstr("refused"));
}

TEST(ChargebeeStatement, AsksForAnInvoice) {
  const auto request = api()->encode_statement("inv & 1");
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/api/v2/usages/pdf");
  EXPECT_EQ(request.body, "disposition_type=attachment&invoice%5Bid%5D=inv+%26+1");
}

TEST(ChargebeeStatement, GivesTheLink) {
  const auto link = api()->judge_statement(response(
      200, R"({"download":{"download_url":"https://x.test/a.pdf?b=c","valid_till":1,"object":"download"}})"));
  ASSERT_TRUE(link.wanted.has_value());
  EXPECT_EQ(*link.wanted, "https://x.test/a.pdf?b=c");
}

TEST(ChargebeeStatement, WithoutALinkSaysWhy) {
  for (const auto* body : {R"({"download":{}})", R"({"download":{"download_url":7}})", "{}", "<html>",
                           R"({"download":{"download_url":"a"},"download":{"download_url":"b"}})",
                           R"({"x":{"download":{"download_url":"https://x.test/a.pdf"}}})"})
    EXPECT_FALSE(api()->judge_statement(response(200, body)).wanted.has_value()) << body;
  const auto unknown = api()->judge_statement(
      response(404, R"({"message":"There is no invoice","api_error_code":"resource_not_found"})"));
  EXPECT_EQ(unknown.verdict.outcome, Outcome::rejected);
  EXPECT_THAT(unknown.verdict.detail, HasSubstr("There is no invoice"));
}

}  // namespace
}  // namespace meterd::upstream
