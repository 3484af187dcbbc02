// POST /operator/credit, and what the operators' list shows of usages at other upstreams than the
// collection's.
#include "agent/upstream/twilio/twilio.hpp"
#include "tests/api/routes_fixture.hpp"

namespace meterd::api {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;
using Query = std::vector<std::pair<std::string, std::string>>;

class OperatorCredits : public RoutesTest {
 protected:
  OperatorCredits() {
    const UpstreamName preview("preview"), v1("v1");
    auto context = std::make_shared<flush::SealContext>(*rules()->context);
    context->targets[preview] = {preview, upstream::twilio::make_preview(""), {}};
    context->targets[v1] = {v1, upstream::twilio::make_v1("", 100), {}};
    auto own = std::make_shared<usages::Rules>(*rules());
    own->hidden = {preview, v1};
    own->context = std::move(context);
    collection_->adopt(std::move(own));
  }
  // A delivered usage of today.
  void charged(const char* id, const char* upstream, std::optional<meter::Charge> charge = {}) {
    journal::WriteTransaction::CallerUsage created;
    const auto wall = bench_.clock().wall().time;
    created.usage.id = UsageId(id);
    created.usage.series = {UpstreamName(upstream), SubscriptionId("XE1"), ItemPriceId("sms")};
    created.usage.day = test::must(meter::TimeZone::load("UTC")).day_of(wall);
    created.usage.usage_date = wall.seconds().count() - ++seconds_;
    created.usage.quantity = test::q("400");
    created.usage.charge = std::move(charge);
    created.zone = "UTC";
    const auto now = journal::moment_of(bench_.clock(), bench_.journal().boot_number());
    auto write = [&](journal::WriteTransaction& txn) -> meterd::Status {
      auto stored = txn.create_usage(created, now);
      if (!stored) return stored.error();
      return txn.deliver(stored->sequence, "202", now);
    };
    bench_.committer().submit(write, [](meterd::Status done) { EXPECT_TRUE(done.ok()); });
    bench_.settle();
  }
  Response credit(const Query& query, bool local = true) {
    return ask("POST", "/operator/credit", "", local, query);
  }
  static std::string refusal(const Response& response) {
    const auto error = json::parse(response.body).at("error");
    return std::to_string(response.status) + " " + std::string(error.at("code").as_string());
  }
  json::array usages() { return json::parse(ask("GET", "/operator/usages").body).at("usages").as_array(); }

  std::int64_t seconds_ = 0;
};

TEST_F(OperatorCredits, AreTakenWithTheirStateAndTheAuditOfThePeer) {
  charged("u1", "preview");
  const auto answer = credit({{"of", "u1"}, {"quantity", "2.5"}, {"reason", "counted twice"}, {"id", "c1"}});
  ASSERT_EQ(answer.status, 200U) << answer.body;
  const auto given = json::parse(answer.body);
  EXPECT_EQ(given.at("state"), "waiting");
  EXPECT_EQ(given.at("usage").at("id"), "c1");
  EXPECT_EQ(given.at("usage").at("quantity"), "-2.5");
  EXPECT_EQ(given.at("usage").at("source"), "admin_console");
  EXPECT_EQ(given.at("usage").at("note"), "credit of u1: counted twice");
  EXPECT_EQ(credit({{"of", "u1"}, {"quantity", "2.50"}, {"reason", "again"}, {"id", "c1"}}).body,
            answer.body);
  const auto audit = json::parse(ask("GET", "/operator/audit").body).at("audit").as_array();
  ASSERT_EQ(audit.size(), 1U);
  EXPECT_EQ(audit[0].at("by"), "user 7");
  EXPECT_EQ(audit[0].at("act"), "credit");
  EXPECT_EQ(audit[0].at("detail"), "usage u1, 2.5 of it, as c1: counted twice");
  bench_.expect_sound();
}

TEST_F(OperatorCredits, AreRefusedAsMalformedUnknownOrAgainstTheRules) {
  charged("u1", "preview");
  charged("at_v1", "v1");
  for (const char* quantity :
       {"", "0", "0.0", "-1", "+1", "1e3", "one", "1.0000000000000000000000000000000000000001"})
    EXPECT_EQ(refusal(credit({{"of", "u1"}, {"quantity", quantity}, {"reason", "r"}})), "400 malformed")
        << quantity;
  EXPECT_EQ(refusal(credit({{"quantity", "1"}, {"reason", "r"}})), "400 malformed");
  EXPECT_EQ(refusal(credit({{"of", "u1"}, {"reason", "r"}})), "400 malformed");
  EXPECT_EQ(refusal(credit({{"of", "u1"}, {"quantity", "1"}})), "400 malformed");
  for (const auto& reason : {std::string(201, 'r'), std::string("two\nlines")})
    EXPECT_EQ(refusal(credit({{"of", "u1"}, {"quantity", "1"}, {"reason", reason}})), "400 malformed");
  for (const auto& id : {std::string(), std::string(101, 'i'), std::string("i\x1b")})
    EXPECT_EQ(refusal(credit({{"of", "u1"}, {"quantity", "1"}, {"reason", "r"}, {"id", id}})),
              "400 malformed");
  EXPECT_EQ(refusal(credit({{"of", "u2"}, {"quantity", "1"}, {"reason", "r"}})), "404 not_found");
  EXPECT_EQ(refusal(credit({{"of", "u1"}, {"quantity", "401"}, {"reason", "r"}})), "409 rejected");
  EXPECT_EQ(refusal(credit({{"of", "at_v1"}, {"quantity", "1"}, {"reason", "r"}})), "409 rejected");
  EXPECT_EQ(refusal(credit({{"of", "u1"}, {"quantity", "1"}, {"reason", "r"}}, false)), "401 unauthorised");
  EXPECT_EQ(ask("GET", "/operator/credit").status, 405U);
  EXPECT_EQ(usages().size(), 2U) << "none was given";
}

TEST_F(OperatorCredits, WaitForATrustedClockAndForRoom) {
  charged("u1", "preview");
  const Query query{{"of", "u1"}, {"quantity", "1"}, {"reason", "r"}};
  has_room_ = false;
  EXPECT_EQ(refusal(credit(query)), "503 full");
  has_room_ = true;
  bench_.clock().set_trusted(false);
  EXPECT_EQ(refusal(credit(query)), "503 retry");
  bench_.clock().set_trusted(true);
  EXPECT_EQ(credit(query).status, 200U);
}

TEST_F(OperatorCredits, AndMoneyAreShownInTheOperatorsListOfEveryUpstream) {
  charged("u1", "preview");
  charged("u2", "v1", meter::charge_for(test::q("400"), {test::q("0.0075"), 0}, test::q("0.125")));
  ASSERT_EQ(credit({{"of", "u1"}, {"quantity", "3"}, {"reason", "r"}}).status, 200U);
  const auto rows = usages();
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].at("credited"), "3");
  EXPECT_TRUE(rows[0].at("amount").is_null() && rows[0].at("carry_out").is_null());
  EXPECT_EQ(rows[0].at("billing"), "on arrival");
  EXPECT_EQ(rows[1].at("amount"), "3");
  EXPECT_EQ(rows[1].at("unit_price"), "0.0075");
  EXPECT_EQ(rows[1].at("carry_in"), "0.125");
  EXPECT_EQ(rows[1].at("carry_out"), "0.125");
  EXPECT_TRUE(rows[1].at("credited").is_null());
  EXPECT_EQ(rows[2].at("usage").at("quantity"), "-3");
  const auto listed = ask("GET", "/api/v2/usages").body;
  EXPECT_THAT(listed, HasSubstr("\"list\":[]")) << "they are no part of the Usages API";
}

TEST_F(OperatorCredits, AreWaitingWhileTheyAreOnTheirWay) {
  charged("u1", "preview");
  ASSERT_EQ(credit({{"of", "u1"}, {"quantity", "3"}, {"reason", "r"}}).status, 200U);
  const auto now = journal::moment_of(bench_.clock(), bench_.journal().boot_number());
  auto begin = [&](journal::WriteTransaction& txn) -> meterd::Status {
    auto begun = txn.begin_unrepeatable(UpstreamName("preview"), now, 1);
    if (!begun) return begun.error();
    sending_ = begun->at(0).sequence;
    return {};
  };
  bench_.committer().submit(begin, [](meterd::Status done) { EXPECT_TRUE(done.ok()); });
  bench_.settle();
  EXPECT_EQ(usages()[1].at("state"), "waiting");
  sending_ = 0;
  EXPECT_EQ(usages()[1].at("state"), "in_doubt");
}

}  // namespace
}  // namespace meterd::api
