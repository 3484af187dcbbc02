// The client against the billing sandbox: every fault it knows, what the client says about it, what the
// sandbox really charged, and that a retry of the same bytes heals it without charging twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "agent/upstream/chargebee/chargebee.hpp"
#include "tests/upstream/client_run.hpp"

namespace meterd::upstream {
namespace {

using test::ClientRun;
using test::loss_of;
using test::plain_options;
using test::response_of;
using test::Sandbox;
using test::text_of;
using Stage = TransportError::Stage;

meter::Usage usage_named(const std::string& id, std::int64_t second) {
  meter::Usage usage;
  usage.id = UsageId("u-" + id);
  usage.series.subscription = SubscriptionId("sub_1");
  usage.series.item_price = ItemPriceId("sms-usd");
  usage.usage_date = 1'601'718'989 + second;
  usage.quantity = *Quantity::parse("3.5");
  usage.note = "räksmörgås & co";
  return usage;
}

struct FaultCase {
  const char* kind;
  std::optional<Stage> lost;  // no answer came, and this is how far it got
  Outcome outcome;
  bool applied;
  Outcome retried = Outcome::accepted;
  std::int64_t retry_after_seconds = 0;
};

constexpr std::optional<Stage> kAnswered = std::nullopt;

const FaultCase kFaults[] = {
    {"ok", kAnswered, Outcome::accepted, true},  // the control
    {"drop_before", Stage::receive, Outcome::unavailable, false},
    {"reset_before", Stage::receive, Outcome::unavailable, false},
    {"drop_after", Stage::receive, Outcome::unavailable, true},
    {"reset_after", Stage::receive, Outcome::unavailable, true},
    {"stall_before", Stage::receive, Outcome::unavailable, false},
    {"stall_after", Stage::receive, Outcome::unavailable, true},
    {"delay", kAnswered, Outcome::accepted, true},
    {"slow", kAnswered, Outcome::accepted, true},
    {"truncate", Stage::receive, Outcome::unavailable, true},
    {"garbage", Stage::receive, Outcome::unavailable, true},
    {"garbage_json", kAnswered, Outcome::unavailable, true},
    {"oversized", Stage::receive, Outcome::unavailable, true},
    {"oversized_header", Stage::receive, Outcome::unavailable, true},
    {"error_400", kAnswered, Outcome::rejected, false},
    {"error_401", kAnswered, Outcome::unauthorised, false},
    {"error_403", kAnswered, Outcome::unauthorised, false},
    {"error_404", kAnswered, Outcome::rejected, false},
    {"error_405", kAnswered, Outcome::unauthorised, false},
    {"error_409", kAnswered, Outcome::rejected, false},
    {"error_422", kAnswered, Outcome::duplicate, false, Outcome::accepted, 1'860},
    {"error_429", kAnswered, Outcome::throttled, false, Outcome::accepted, 3},
    {"error_429_date", kAnswered, Outcome::throttled, false, Outcome::accepted, 3},
    {"error_429_bare", kAnswered, Outcome::throttled, false},
    {"lock_timeout", kAnswered, Outcome::throttled, false},
    {"error_500", kAnswered, Outcome::unavailable, false},
    {"error_500_after", kAnswered, Outcome::unavailable, true, Outcome::duplicate},
    {"error_503", kAnswered, Outcome::unavailable, false},
    {"error_503_maintenance", kAnswered, Outcome::unavailable, false},
    {"error_502_html", kAnswered, Outcome::unavailable, false},
    {"captive_portal", kAnswered, Outcome::unavailable, false},
    {"captive_redirect", kAnswered, Outcome::unavailable, false},
    {"duplicate_late", kAnswered, Outcome::duplicate, true, Outcome::duplicate},
};

class HttpClientFaults : public ::testing::TestWithParam<FaultCase> {
 protected:
  static void SetUpTestSuite() { sandbox_ = std::make_unique<Sandbox>(); }
  static void TearDownTestSuite() { sandbox_.reset(); }

  // What the sandbox was asked for this usage.
  std::vector<boost::json::object> requests_for(const std::string& id) {
    std::vector<boost::json::object> out;
    for (const auto& request : sandbox_->requests())
      if (request.at("method") == "POST" && request.at("idempotency_key") == boost::json::string(id))
        out.push_back(request.as_object());
    return out;
  }

  static std::unique_ptr<Sandbox> sandbox_;
  static int second_;  // one usage per usage_date
};

std::unique_ptr<Sandbox> HttpClientFaults::sandbox_;
int HttpClientFaults::second_ = 0;

TEST_P(HttpClientFaults, IsToldTrulyAndHealedByTheSameBytes) {
  const FaultCase& fault = GetParam();
  const auto api = chargebee::make("/api/v2");
  const auto usage = usage_named(fault.kind, ++second_);
  const HttpRequest request = api->encode_create(usage);
  sandbox_->set_faults(std::string(R"({"script":[")") + fault.kind +
                       R"("],"delay_seconds":0.02,"retry_after":3})");

  auto options = plain_options(sandbox_->port());
  if (std::string_view(fault.kind).starts_with("stall")) options.exchange_deadline = Milliseconds(200);
  ClientRun run(options);
  const Exchange first = run.exchange(request);
  const Verdict verdict = api->judge_create(usage, first);
  EXPECT_EQ(loss_of(first) != nullptr, fault.lost.has_value()) << text_of(first);
  if (loss_of(first) != nullptr && fault.lost) {
    EXPECT_EQ(name_of(loss_of(first)->stage), name_of(*fault.lost)) << text_of(first);
  }
  EXPECT_EQ(name_of(verdict.outcome), name_of(fault.outcome)) << verdict.detail;
  EXPECT_EQ(verdict.retry_after.value_or(Milliseconds(0)), Seconds(fault.retry_after_seconds))
      << text_of(first);
  EXPECT_EQ(sandbox_->has_usage(usage.id.value()), fault.applied);
  EXPECT_EQ(requests_for(usage.id.value()).size(), 1U) << "a fresh connection is never retried by the client";

  ClientRun later(plain_options(sandbox_->port()));
  const Verdict retried = api->judge_create(usage, later.exchange(request));
  EXPECT_EQ(name_of(retried.outcome), name_of(fault.retried)) << retried.detail;
  const ReadBack look = api->judge_retrieve(usage, later.exchange(api->encode_retrieve(usage)));
  EXPECT_EQ(look.found, ReadBack::Found::same) << look.verdict.detail;
  const auto requests = requests_for(usage.id.value());
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].at("fingerprint"), requests[1].at("fingerprint"));
  EXPECT_EQ(requests[0].at("headers"), requests[1].at("headers"));
  EXPECT_EQ(requests[0].at("body"), requests[1].at("body"));
  const bool charged_by_retry = requests[1].at("applied").as_bool();
  EXPECT_NE(charged_by_retry, fault.applied) << "charged once, by the first or by the second";
}

INSTANTIATE_TEST_SUITE_P(EachKind, HttpClientFaults, ::testing::ValuesIn(kFaults),
                         [](const auto& test) { return std::string(test.param.kind); });

class HttpClientSandbox : public ::testing::Test {
 protected:
  Exchange create(ClientRun& run, const meter::Usage& usage, bool repeatable = true) {
    return run.exchange(api_->encode_create(usage), repeatable);
  }

  std::unique_ptr<Upstream> api_ = chargebee::make("/api/v2");
  Sandbox sandbox_;
};

TEST_F(HttpClientSandbox, KeepsItsConnection) {
  ClientRun run(plain_options(sandbox_.port()));
  for (int i = 0; i < 3; ++i) {
    const Exchange exchange = create(run, usage_named(std::to_string(i), i));
    ASSERT_NE(response_of(exchange), nullptr) << text_of(exchange);
    EXPECT_EQ(response_of(exchange)->status, 200U);
  }
  run.client().close();
  create(run, usage_named("3", 3));
  const auto requests = sandbox_.requests();
  EXPECT_EQ(requests.at(0).at("connection"), requests.at(1).at("connection"));
  EXPECT_EQ(requests.at(0).at("connection"), requests.at(2).at("connection"));
  EXPECT_NE(requests.at(0).at("connection"), requests.at(3).at("connection")) << "close() did not close";
}

TEST_F(HttpClientSandbox, ReopensAKeptConnectionThatDiesBeforeAnAnswer) {
  for (const std::string kind : {"drop_before", "reset_before", "drop_after", "reset_after"}) {
    ClientRun run(plain_options(sandbox_.port()));
    create(run, usage_named(kind + "-warm", 1 + static_cast<int>(kind.size())));
    sandbox_.set_faults(R"({"script":[")" + kind + "\"]}");
    const auto usage = usage_named(kind, 100 + static_cast<int>(kind.size()) * 2 + (kind[0] == 'r' ? 1 : 0));
    const Verdict verdict = api_->judge_create(usage, create(run, usage));
    EXPECT_EQ(verdict.outcome, Outcome::accepted) << kind << " " << verdict.detail;
    const bool applied_before = kind.ends_with("after");
    EXPECT_THAT(verdict.receipt, ::testing::HasSubstr(applied_before ? "replayed=true" : "replayed=false"));
    const auto requests = sandbox_.requests();
    ASSERT_GE(requests.size(), 2U);
    EXPECT_EQ(requests.at(requests.size() - 1).at("fingerprint"),
              requests.at(requests.size() - 2).at("fingerprint"));
  }
}

TEST_F(HttpClientSandbox, SendsWhatIsNotRepeatableOnceAndOnAFreshConnection) {
  ClientRun run(plain_options(sandbox_.port()));
  create(run, usage_named("warm", 1));
  sandbox_.set_faults(R"({"script":["drop_before"]})");
  const Exchange exchange = create(run, usage_named("once", 2), false);
  ASSERT_NE(loss_of(exchange), nullptr) << text_of(exchange);
  EXPECT_TRUE(loss_of(exchange)->may_have_arrived());
  const auto requests = sandbox_.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_NE(requests.at(0).at("connection"), requests.at(1).at("connection"));
}

TEST_F(HttpClientSandbox, AnAnswerThatDripsBeyondTheDeadlineIsLost) {
  sandbox_.set_faults(R"({"script":["slow"],"delay_seconds":30})");
  auto options = plain_options(sandbox_.port());
  options.exchange_deadline = Milliseconds(200);
  ClientRun run(options);
  const Exchange exchange = create(run, usage_named("slow", 1));
  ASSERT_NE(loss_of(exchange), nullptr) << text_of(exchange);
  EXPECT_EQ(loss_of(exchange)->stage, Stage::receive);
  EXPECT_EQ(loss_of(exchange)->detail, "no answer within the deadline");
  EXPECT_TRUE(sandbox_.has_usage("u-slow"));
}

TEST_F(HttpClientSandbox, AWrongKeyIsUnauthorised) {
  auto options = plain_options(sandbox_.port());
  options.authorization = "Basic d3Jvbmc6";
  ClientRun run(options);
  const auto usage = usage_named("key", 1);
  const Verdict verdict = api_->judge_create(usage, create(run, usage));
  EXPECT_EQ(verdict.outcome, Outcome::unauthorised) << verdict.detail;
  EXPECT_FALSE(sandbox_.has_usage("u-key"));
}

TEST_F(HttpClientSandbox, AnotherUsageUnderOurIdIsAConflict) {
  ClientRun run(plain_options(sandbox_.port()));
  auto usage = usage_named("same", 1);
  create(run, usage);
  EXPECT_EQ(api_->judge_retrieve(usage, run.exchange(api_->encode_retrieve(usage))).found,
            ReadBack::Found::same);
  usage.quantity += Quantity::of(1);
  EXPECT_EQ(api_->judge_create(usage, create(run, usage)).outcome, Outcome::duplicate);  // 422: the key
  EXPECT_EQ(api_->judge_retrieve(usage, run.exchange(api_->encode_retrieve(usage))).found,
            ReadBack::Found::different);
  const auto absent = usage_named("absent", 2);
  EXPECT_EQ(api_->judge_retrieve(absent, run.exchange(api_->encode_retrieve(absent))).found,
            ReadBack::Found::absent);
}

}  // namespace
}  // namespace meterd::upstream
