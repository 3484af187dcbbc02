// What traits come to: every figure by hand.
#include "agent/upstream/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/upstream/chargebee/chargebee.hpp"
#include "agent/upstream/ledger/ledger.hpp"
#include "agent/upstream/twilio/twilio.hpp"

namespace meterd::upstream {
namespace {

using Kind = Deadline::Kind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Seconds kDay{86'400};

PlanInput input(const Traits& traits, std::int64_t seal_s, std::int64_t item_prices = 1) {
  return {traits, {seal_s, 300, 3'600}, Seconds(751), item_prices};
}
std::vector<std::pair<Kind, std::int64_t>> deadlines(const Plan& plan) {
  std::vector<std::pair<Kind, std::int64_t>> out;
  for (const auto& one : plan.deadlines) out.emplace_back(one.kind, one.after.count());
  return out;
}

TEST(Plan, OfChargebeeEndsWithTheUsagesOfALifetime) {
  const auto traits = chargebee::make("")->traits();
  const auto plan = plan_of(input(traits, kDay.count(), 3));
  EXPECT_EQ(plan.usages_per_day, 3);
  EXPECT_EQ(plan.requests_per_day, 3) << "one each";
  EXPECT_EQ(plan.after_interval, Seconds(300 + 751));
  EXPECT_EQ(plan.lasts, 1'666 * kDay) << "5000 / 3";
  EXPECT_EQ(plan.usages_in(1'666 * kDay), 4'998);
  EXPECT_EQ(plan.usages_in(1'666 * kDay + Seconds(1)), 5'001) << "a part of a day has a usage too";
  EXPECT_THAT(deadlines(plan), ElementsAre(std::pair(Kind::key_forgotten, 1'800),
                                           std::pair(Kind::lifetime_used, 1'666 * 86'400)));
}

TEST(Plan, OfOneThatLastsLessThanAKeyHasThatFirst) {
  const auto plan = plan_of(input(chargebee::make("")->traits(), 1, 5'000));
  EXPECT_EQ(plan.lasts, Seconds(1));
  EXPECT_THAT(deadlines(plan),
              ElementsAre(std::pair(Kind::lifetime_used, 1), std::pair(Kind::key_forgotten, 1'800)));
}

TEST(Plan, OfTwilioPutsTheItemsOfASealIntoOneRequestAndDoubtsAtOnce) {
  const auto v1 = plan_of(input(twilio::make_v1("", 100)->traits(), 900, 250));
  EXPECT_EQ(v1.usages_per_day, 96 * 250);
  EXPECT_EQ(v1.requests_per_day, 96 * 3);
  EXPECT_FALSE(v1.lasts.has_value());
  EXPECT_THAT(deadlines(v1), ElementsAre(std::pair(Kind::answer_lost, 0)));
  const auto preview = plan_of(input(twilio::make_preview("")->traits(), 900, 250));
  EXPECT_EQ(preview.requests_per_day, 96 * 250);
  EXPECT_THAT(deadlines(preview), ElementsAre(std::pair(Kind::answer_lost, 0)));
}

TEST(Plan, OfOneThatRefusesWhatIsOldSaysWhen) {
  const Traits traits{.idempotent = true, .read_back = true, .latest_age = Seconds(12 * 3'600)};
  EXPECT_THAT(deadlines(plan_of(input(traits, 900))), ElementsAre(std::pair(Kind::age_refused, 12 * 3'600)));
}

TEST(Plan, OfWhatIsNotMeteredLastsForEver) {
  const auto plan = plan_of(input(chargebee::make("")->traits(), 1, 0));
  EXPECT_EQ(plan.usages_per_day, 0);
  EXPECT_EQ(plan.requests_per_day, 0);
  EXPECT_FALSE(plan.lasts.has_value());
  EXPECT_EQ(plan.usages_in(kDay), 0);
}

TEST(Plan, OfTheLedgerHasNoDeadline) {
  EXPECT_THAT(deadlines(plan_of(input(ledger::make()->traits(), 900))), IsEmpty());
}

}  // namespace
}  // namespace meterd::upstream
