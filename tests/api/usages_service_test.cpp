// The Usages API end to end on a real journal: routes, service and collection, without a socket.
#include "agent/api/request_target.hpp"
#include "agent/base/text.hpp"
#include "tests/api/routes_fixture.hpp"

namespace meterd::api {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

class UsagesService : public RoutesTest {
 protected:
  Response call(const std::string& method, const std::string& path, const std::string& body = {},
                const std::string& idempotency_key = {}) {
    Request request;
    request.method = method;
    request.path = path;
    request.body = body;
    request.content_type = "application/x-www-form-urlencoded; charset=utf-8";
    if (!idempotency_key.empty()) request.headers.emplace_back("chargebee-idempotency-key", idempotency_key);
    request.local = host_.empty();
    request.over_tcp = !host_.empty();
    request.host = host_;
    request.authorization = authorization_;
    return send(request);
  }
  Response create(const std::string& id = "u1", const std::string& date = "1601718989",
                  const std::string& idempotency_key = {}) {
    return call("POST", kUsages, "id=" + id + "&item_price_id=silver-usd&quantity=5.00&usage_date=" + date,
                idempotency_key);
  }
  static std::string code(const Response& response) {
    return std::string(json::parse(response.body).at("api_error_code").as_string());
  }
  static std::string header(const Response& response, const std::string& name) {
    for (const auto& [key, value] : response.headers)
      if (key == name) return value;
    return {};
  }
  static constexpr const char* kUsages = "/api/v2/subscriptions/sub_1/usages";
  static constexpr const char* kDelete = "/api/v2/subscriptions/sub_1/delete_usage";
};

TEST_F(UsagesService, CreatesAndAnswersAfterTheCommit) {
  const auto answer = create();
  ASSERT_EQ(answer.status, 200U) << answer.body;
  const auto usage = json::parse(answer.body).at("usage");
  EXPECT_EQ(usage.at("id"), "u1");
  EXPECT_EQ(usage.at("quantity"), "5.00");
  EXPECT_EQ(usage.at("subscription_id"), "sub_1");
  EXPECT_EQ(usage.at("usage_date"), 1601718989);
  EXPECT_EQ(bench_.accepted(), test::q("5"));
  bench_.expect_sound();
}

TEST_F(UsagesService, GivesARepeatTheSameAnswerAndSaysSo) {
  const auto first = create("u1", "1601718989", "key");
  EXPECT_EQ(header(first, "chargebee-idempotency-replayed"), "");
  const auto again = create("u1", "1601718989", "key");
  EXPECT_EQ(again.status, 200U);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(header(again, "chargebee-idempotency-replayed"), "true");
  const auto other = create("u2", "1601718990", "key");
  EXPECT_EQ(other.status, 422U);
  EXPECT_EQ(code(other), "unable_to_process_request");
  EXPECT_EQ(bench_.accepted(), test::q("5"));
}

TEST_F(UsagesService, DeletesWhatItCreated) {
  create();
  const auto deleted = call("POST", kDelete, "id=u1");
  EXPECT_EQ(deleted.status, 200U) << deleted.body;
  EXPECT_EQ(json::parse(deleted.body).at("usage").at("id"), "u1");
  const auto again = call("POST", kDelete, "id=u1");
  EXPECT_EQ(again.status, 404U);
  EXPECT_EQ(code(again), "resource_not_found");
  EXPECT_TRUE(json::parse(call("GET", "/api/v2/usages").body).at("list").as_array().empty());
  bench_.expect_sound();
}

TEST_F(UsagesService, FillsAPageHoweverFewUsagesFit) {
  {
    journal::WriteTransaction write(test::must(bench_.journal().begin_write()),
                                    &bench_.journal().remembered_ids(), bench_.journal().lineage());
    for (int i = 0; i < 10'501; ++i) {
      journal::WriteTransaction::CallerUsage created;
      const bool is_rare = i % 5'200 == 100;  // three of them
      created.usage.id = UsageId((is_rare ? "rare" : "u") + std::to_string(i));
      created.usage.series = {UpstreamName("ledger"), SubscriptionId("sub_1"), ItemPriceId("silver-usd")};
      created.usage.usage_date = 1'601'718'989 + i;
      created.usage.day = UsageDay(static_cast<std::int32_t>(created.usage.usage_date / 86'400));
      created.usage.quantity = test::q("1");
      created.request.set_method("LEDGER");
      created.zone = "UTC";
      test::must(write.create_usage(created, {bench_.clock().wall().time, {}}));
    }
    test::must(write.commit());
  }
  const std::string rare = "/api/v2/usages?id[starts_with]=rare&limit=";
  const auto list = [&](const std::string& query) {
    Request request;
    request.method = "GET";
    EXPECT_TRUE(read_target(query, request));
    request.local = true;
    const auto answer = json::parse(send(request).body).as_object();
    std::string out;
    for (const auto& one : answer.at("list").as_array())
      out += std::string(one.at("usage").at("id").as_string()) + " ";
    const auto* next = answer.if_contains("next_offset");
    return std::pair(out, next == nullptr ? std::string() : std::string(next->as_string()));
  };
  for (const char* order : {"", "&sort_by[asc]=usage_date"}) {
    EXPECT_EQ(list(rare + "10" + order), std::pair(std::string("rare100 rare5300 rare10500 "), std::string()))
        << "no further page, although the last one stands behind thousands of others";
    const auto [first, next] = list(rare + "2" + order);
    EXPECT_EQ(first, "rare100 rare5300 ");
    ASSERT_NE(next, "");
    EXPECT_EQ(list(rare + "2" + order + "&offset=" + percent_encode(next)),
              std::pair(std::string("rare10500 "), std::string()));
    EXPECT_EQ(list(rare + "3" + order).second, "") << "a full page is not promised another one";
  }
}

TEST_F(UsagesService, RefusesASecondUsageOfOneSecond) {
  create();
  const auto second = create("u2");
  EXPECT_EQ(second.status, 400U);
  EXPECT_EQ(code(second), "duplicate_entry");
  EXPECT_EQ(json::parse(second.body).at("param"), "usage_date");
}

TEST_F(UsagesService, OverTcpNeedsTheKeyInTheVendorsShape) {
  host_ = "localhost:8480";
  key_.set_key("key");
  const auto refused = create();
  EXPECT_EQ(refused.status, 401U);
  EXPECT_FALSE(code(refused).empty());
  authorization_ = "Basic a2V5Og==";
  EXPECT_EQ(create().status, 200U);
}

TEST_F(UsagesService, AnswersWrongPathsAndMethodsInTheVendorsShape) {
  const auto unknown = call("GET", "/api/v2/nothing");
  EXPECT_EQ(unknown.status, 404U);
  EXPECT_EQ(code(unknown), "resource_not_found");
  const auto method = call("DELETE", kUsages);
  EXPECT_EQ(method.status, 405U);
  EXPECT_EQ(code(method), "http_method_not_supported");
}

TEST_F(UsagesService, AFullJournalIs503WithATimeToComeBack) {
  has_room_ = false;
  const auto full = create();
  EXPECT_EQ(full.status, 503U);
  EXPECT_NE(header(full, "Retry-After"), "");
  EXPECT_EQ(code(full), "internal_temporary_error");
  EXPECT_EQ(bench_.accepted(), test::q("0"));
  has_room_ = true;
  EXPECT_EQ(create().status, 200U);
  has_room_ = false;
  EXPECT_EQ(call("POST", kDelete, "id=u1").status, 200U) << "what makes room is always taken";
}

}  // namespace
}  // namespace meterd::api
