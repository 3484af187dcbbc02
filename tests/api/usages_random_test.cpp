// Requests to the Usages API, broken at random: each is a call or a refusal, and each refusal is well formed.
#include <boost/json.hpp>
#include <random>

#include "tests/api/usages_fixture.hpp"
#include "tests/base/seed.hpp"
#include "tests/support/rounds.hpp"

namespace meterd::api::chargebee {
namespace {

using Generator = std::mt19937_64;

std::size_t below(Generator& random, std::size_t end) { return static_cast<std::size_t>(random() % end); }

constexpr const char* kPieces[] = {"&",      "=",           "[",     "]",       "%",       "%00",     "%FF",
                                   "%C3%BC", "+",           ",",     "\"",      "null",    "-",       "0",
                                   "1",      ".",           "cf_",   "[is]",    "id",      "[after]", "\xC3",
                                   "%5B%5D", "99999999999", "&id=a", "offset=", "&limit=1"};

std::string mutated(std::string text, Generator& random) {
  for (auto changes = below(random, 4); changes > 0; --changes) {
    const auto at = below(random, text.size() + 1);
    switch (below(random, 4)) {
      case 0:
        text.insert(at, kPieces[below(random, std::size(kPieces))]);
        break;
      case 1:
        text.erase(at, 1 + below(random, 5));
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(random() & 255U);
        break;
      default:
        text.insert(at, text.substr(below(random, text.size() + 1), below(random, 30)));
    }
  }
  return text;
}

struct Counts {
  std::size_t calls = 0, refused = 0;
};

void judge(const Request& request, Counts& counts) {
  const auto call = parse_call(request);
  const auto* error = std::get_if<ApiError>(&call);
  if (error == nullptr) {
    ++counts.calls;
    return;
  }
  ++counts.refused;
  ASSERT_GE(error->status, 400U);
  ASSERT_LE(error->status, 499U);
  boost::json::error_code ec;
  const auto value = boost::json::parse(to_response(*error).body, ec);
  ASSERT_FALSE(ec) << "the refusal is no JSON: " << to_response(*error).body;
  ASSERT_FALSE(value.at("message").as_string().empty());
}

TEST(UsagesRandom, EveryFormIsACallOrARefusal) {
  Generator random(testing::announced_seed("usages_api_test", 20'261'122));
  constexpr const char* kTargets[] = {"/api/v2/subscriptions/sub_1/usages",
                                      "/api/v2/subscriptions/sub_1/delete_usage", "/api/v2/usages/pdf"};
  constexpr const char* kForms[] = {
      "id=u1&item_price_id=silver-usd&usage_date=1601718989&quantity=0.1&note=Day+1+%26+%C3%BCn&cf_a=1",
      "id=u1", "disposition_type=inline&invoice%5Bid%5D=inv+1"};
  Counts counts;
  for (int i = 0; i < meterd::testing::rounds(50'000) && !::testing::Test::HasFatalFailure(); ++i) {
    const auto which = below(random, std::size(kForms));
    judge(request_of("POST", kTargets[which], mutated(kForms[which], random)), counts);
  }
  EXPECT_GT(counts.calls, meterd::testing::rounds(1'000U));
  EXPECT_GT(counts.refused, 1'000U);
}

TEST(UsagesRandom, EveryTargetIsACallOrARefusal) {
  Generator random(testing::announced_seed("usages_api_test", 7));
  constexpr const char* kTargets[] = {
      "/api/v2/usages?limit=2&offset=%5B%220%22%2C%2212%22%5D&subscription_id%5Bis%5D=sub_1",
      "/api/v2/usages?usage_date%5Bbetween%5D=%5B1601718000%2C1601719000%5D&invoice_id%5Bis_present%5D=false",
      "/api/v2/usages?source%5Bin%5D=%5B%22api%22%2C%22bulk_operation%22%5D&sort_by%5Basc%5D=usage_date",
      "/api/v2/usages?usage_date[after]=1&usage_date[after][before]=2&invoice_id[is]=null",
      "/api/v2/subscriptions/a/b/usages?id=u1"};
  Counts counts;
  std::size_t no_target = 0;
  for (int i = 0; i < meterd::testing::rounds(50'000) && !::testing::Test::HasFatalFailure(); ++i) {
    Request request;
    request.method = "GET";
    if (read_target(mutated(kTargets[below(random, std::size(kTargets))], random), request))
      judge(request, counts);
    else
      ++no_target;
  }
  EXPECT_GT(counts.calls, meterd::testing::rounds(1'000U));
  EXPECT_GT(counts.refused, 1'000U);
  EXPECT_GT(no_target, 0U);
}

}  // namespace
}  // namespace meterd::api::chargebee
