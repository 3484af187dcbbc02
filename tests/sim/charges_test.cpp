// Upstreams that have neither ids nor read-back: what a device does there, and the proof that the charge book
// sees. Each control breaks one thing around the agent, and the book must name it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/runner.hpp"

namespace meterd::sim {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Two days of one reporter with a seal each quarter of an hour, and nothing that goes wrong but what the test
// adds. Amounts leave a carry.
Plan calm_plan(Vendor vendor) {
  auto plan = plan_of(7, vendor);
  plan.length = Milliseconds(2 * 86'400'000);
  plan.faults = {};
  plan.weather = {};
  plan.has_clock_battery = true;
  plan.flush_at_end = true;
  Reporter::Habits habits;
  habits.name = "only";
  habits.interval = Milliseconds(600'000);
  plan.reporters = {habits};
  plan.charge_callers = {};
  plan.twilio = {};
  plan.twilio.api = vendor == Vendor::twilio_v1 ? TwilioModel::Api::v1 : TwilioModel::Api::preview;
  plan.the_operator = {Milliseconds(4 * 3'600'000), 0, 0, 0, Operator::Belief::invoice};
  auto& upstream = plan.config.upstreams.front();
  upstream.seal = Seconds(900);
  upstream.batch = 100;
  upstream.decimals = 2;
  upstream.in_doubt = "hold";
  for (auto& meter : plan.config.meters)
    if (meter.unit_price && meter.event != EventName("data.bytes"))
      meter.unit_price = *Quantity::parse("0.0075");
  return plan;
}

// The same, and a link that loses and spoils much.
Plan bad_plan(Vendor vendor) {
  auto plan = calm_plan(vendor);
  plan.weather.lost_answer = 10;
  plan.weather.lost_request = 5;
  plan.weather.late = 5;
  plan.weather.portal = 5;
  plan.weather.broken = 10;
  plan.weather.mangled = 10;
  plan.faults.crash_at_work_percent = 3;
  plan.faults.outage = Milliseconds(7'200'000);
  plan.faults.longest_outage = Milliseconds(7'200'000);
  plan.twilio.left_out_percent = 20;
  plan.twilio.refused_percent = 10;
  plan.the_operator.decides_percent = 50;
  plan.the_operator.retries_percent = 30;
  plan.the_operator.withdraws_percent = 50;
  return plan;
}

class Charges : public ::testing::TestWithParam<Vendor> {};
INSTANTIATE_TEST_SUITE_P(Simulation, Charges, ::testing::Values(Vendor::twilio_v1, Vendor::twilio_preview),
                         [](const auto& one) {
                           return std::string(one.param == Vendor::twilio_v1 ? "V1" : "Preview");
                         });

TEST_P(Charges, AreAllBilledInACalmRun) {
  const auto outcome = run_plan(calm_plan(GetParam()));
  EXPECT_THAT(outcome.violations, IsEmpty());
  EXPECT_GT(outcome.charges.usages_billed, 100U);
  EXPECT_EQ(outcome.charges.usages_billed, outcome.charges.usages_sent);
  EXPECT_EQ(outcome.charges.seen_in_doubt, 0U);
}

TEST_P(Charges, AreBilledOnceOrShownInDoubtWhateverIsLost) {
  const auto outcome = run_plan(bad_plan(GetParam()));
  EXPECT_THAT(outcome.violations, IsEmpty());
  EXPECT_GT(outcome.charges.seen_in_doubt, 20U);
  EXPECT_GT(outcome.resolved, 10U);
  EXPECT_EQ(outcome.charges.billed_twice, 0U);
  EXPECT_GT(outcome.charges.withdrawn, 0U);
  EXPECT_EQ(outcome.charges.sent_twice_as_declared, 0U);
  EXPECT_EQ(outcome.charges.given_up_as_declared, 0U);
}

TEST_P(Charges, StayInDoubtUntilSomebodyDecides) {
  auto plan = bad_plan(GetParam());
  plan.the_operator.decides_percent = 0;
  const auto outcome = run_plan(plan);
  EXPECT_THAT(outcome.violations, IsEmpty());
  EXPECT_GT(outcome.charges.still_in_doubt, 20U);
  EXPECT_EQ(outcome.charges.still_in_doubt, outcome.charges.seen_in_doubt);
  EXPECT_GT(outcome.charges.still_in_doubt_and_billed, 5U);
  EXPECT_LT(outcome.charges.still_in_doubt_and_billed, outcome.charges.still_in_doubt);
}

TEST_P(Charges, AreSentOnceMoreWhereTheOperatorDeclaredSo) {
  auto plan = bad_plan(GetParam());
  plan.config.upstreams.front().in_doubt = "resend";
  const auto outcome = run_plan(plan);
  EXPECT_THAT(outcome.violations, IsEmpty());
  EXPECT_GT(outcome.charges.sent_twice_as_declared, 5U);
  EXPECT_EQ(outcome.charges.billed_twice, 0U) << "more than twice";
}

TEST_P(Charges, AreGivenUpWhereTheOperatorDeclaredSo) {
  auto plan = bad_plan(GetParam());
  plan.config.upstreams.front().in_doubt = "assume-delivered";
  const auto outcome = run_plan(plan);
  EXPECT_THAT(outcome.violations, IsEmpty());
  EXPECT_GT(outcome.charges.given_up_as_declared, 5U);
  EXPECT_EQ(outcome.charges.still_in_doubt, 0U);
}

// --- negative controls

TEST_P(Charges, ThatTheWayDoublesAreFound) {
  auto plan = calm_plan(GetParam());
  plan.weather.twice = 20;
  const auto outcome = run_plan(plan);
  EXPECT_THAT(outcome.violations, Contains(HasSubstr("billed twice")));
  EXPECT_GT(outcome.verdict.doubled, 0);
}

TEST_P(Charges, ThatAnOperatorSendsAgainWithoutALookAreFound) {
  auto plan = bad_plan(GetParam());
  plan.the_operator.belief = Operator::Belief::nothing_arrived;
  EXPECT_THAT(run_plan(plan).violations, Contains(HasSubstr("billed already")));
}

TEST_P(Charges, ThatAnOperatorEndsWithoutALookAreFound) {
  auto plan = bad_plan(GetParam());
  plan.the_operator.belief = Operator::Belief::delivered;
  const auto outcome = run_plan(plan);
  EXPECT_THAT(outcome.violations, Contains(HasSubstr("ended, and not billed")));
  EXPECT_GT(outcome.verdict.lost, 0);
}

TEST_P(Charges, ThatTheUpstreamForgetsAreFound) {
  auto plan = calm_plan(GetParam());
  plan.twilio.forgets_items = true;
  const auto outcome = run_plan(plan);
  EXPECT_THAT(outcome.violations, Contains(HasSubstr("ended, and not billed")));
  EXPECT_GT(outcome.verdict.lost, 0);
}

}  // namespace
}  // namespace meterd::sim
