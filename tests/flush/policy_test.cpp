// The two pure functions that say what follows from an outcome.
#include "agent/flush/policy.hpp"

#include <gtest/gtest.h>

#include "agent/base/limits.hpp"

namespace meterd::flush {
namespace {

using upstream::Outcome;
using upstream::ReadBack;
using upstream::Traits;
using upstream::Verdict;

const Traits kChargebee{.idempotent = true, .read_back = true, .lifetime_limit = 5'000};
const Traits kTwilio;

Verdict verdict(Outcome outcome, std::optional<Milliseconds> retry_after = std::nullopt) {
  return {outcome, retry_after, "detail", "receipt"};
}

const Verdict kTaken = verdict(Outcome::duplicate);

TEST(AfterCreate, AReceiptSettlesAndClearsTheUpstreamsFailures) {
  const auto decision = after_create(verdict(Outcome::accepted), kChargebee, {});
  EXPECT_EQ(decision.step, Step::settle);
  EXPECT_TRUE(decision.success);
  EXPECT_FALSE(decision.pause);
}

TEST(AfterCreate, ADuplicateIsLookedUpBeforeItCountsAsDelivered) {
  EXPECT_EQ(after_create(verdict(Outcome::duplicate), kChargebee, {}).step, Step::look_up);
}

TEST(AfterCreate, ADuplicateThatCannotBeLookedUpIsHeldInDoubt) {
  EXPECT_EQ(after_create(verdict(Outcome::duplicate), kTwilio, {}).step, Step::hold);
}

TEST(AfterCreate, ARefusalParksTheUsageAndPausesNothing) {
  const auto decision = after_create(verdict(Outcome::rejected), kChargebee, {});
  EXPECT_EQ(decision.step, Step::park);
  EXPECT_FALSE(decision.pause);
}

TEST(AfterCreate, UnauthorisedPausesTheUpstreamAndKeepsTheUsageWaiting) {
  const auto decision = after_create(verdict(Outcome::unauthorised), kChargebee, {});
  EXPECT_EQ(decision.step, Step::retry);
  EXPECT_TRUE(decision.unauthorised);
  ASSERT_TRUE(decision.pause);
  EXPECT_EQ(decision.usage_wait, Milliseconds(0));
}

TEST(AfterCreate, ThrottledHonoursTheUpstreamsWordExactly) {
  const auto decision = after_create(verdict(Outcome::throttled, Milliseconds(17'000)), kChargebee, {});
  EXPECT_EQ(decision.pause, Milliseconds(17'000));
  EXPECT_TRUE(decision.retry_after);
}

TEST(AfterCreate, ThrottledWithoutAWordWaitsAboutAMinute) {
  for (const std::uint64_t random : {std::uint64_t{0}, std::uint64_t{12'345'678}, UINT64_MAX}) {
    PolicyInput input;
    input.random = random;
    const auto decision = after_create(verdict(Outcome::throttled), kChargebee, input);
    ASSERT_TRUE(decision.pause);
    EXPECT_GE(*decision.pause, Milliseconds(60'000));
    EXPECT_LT(*decision.pause, Milliseconds(66'000));
  }
}

TEST(AfterCreate, ARetryAfterOfZeroIsNoTightLoop) {
  for (const auto outcome : {Outcome::throttled, Outcome::unavailable}) {
    const auto decision = after_create(verdict(outcome, Milliseconds(0)), kChargebee, {});
    EXPECT_GE(*decision.pause, Milliseconds(1'000));
  }
}

TEST(AfterLookUp, AnEarlierAttemptMayStillArriveSoAbsenceIsLookedAtAgain) {
  PolicyInput input;
  input.attempts = 2;
  for (input.absent_looks = 0; input.absent_looks < 2; ++input.absent_looks) {
    const auto decision = after_look_up({ReadBack::Found::absent, {}}, kTaken, input);
    EXPECT_EQ(decision.step, Step::look_again);
    EXPECT_GE(decision.usage_wait, Milliseconds(60'000));
    EXPECT_FALSE(decision.pause);
  }
  EXPECT_EQ(after_look_up({ReadBack::Found::absent, {}}, kTaken, input).step, Step::supersede);
}

// The key's window is over by then, and the same request a new one.
TEST(AfterLookUp, AKeyOfAnotherRequestIsWaitedForAndTheUsageKeepsItsId) {
  const auto refusal = verdict(Outcome::duplicate, Milliseconds(1'860'000));
  PolicyInput input;
  for (input.absent_looks = 0; input.absent_looks < 2; ++input.absent_looks) {
    const auto decision = after_look_up({ReadBack::Found::absent, {}}, refusal, input);
    EXPECT_EQ(decision.step, Step::look_again);
    EXPECT_EQ(decision.usage_wait, Milliseconds(1'860'000));
    EXPECT_FALSE(decision.pause);
    EXPECT_EQ(after_delete(refusal, input).step, Step::look_again);
  }
  EXPECT_EQ(after_look_up({ReadBack::Found::absent, {}}, refusal, input).step, Step::park);
  EXPECT_EQ(after_delete(refusal, input).step, Step::park);
  EXPECT_EQ(after_look_up({ReadBack::Found::same, verdict(Outcome::accepted)}, refusal, {}).step,
            Step::settle);
}

TEST(AfterCreate, UnavailableBacksOffLongerWithEachFailureUpToAQuarterOfAnHour) {
  PolicyInput input;
  input.random = UINT64_MAX;
  for (input.failures = 0; input.failures < 100; ++input.failures) {
    const auto decision = after_create(verdict(Outcome::unavailable), kChargebee, input);
    EXPECT_EQ(decision.step, Step::retry);
    ASSERT_TRUE(decision.pause);
    EXPECT_GT(*decision.pause, Milliseconds(0));
    EXPECT_LE(*decision.pause, Milliseconds(15 * 60'000));
  }
}

TEST(AfterCreate, AUsageThatFailsWaitsLongerThanTheUpstreamSoThatOthersPassIt) {
  const auto decision = after_create(verdict(Outcome::unavailable), kChargebee, {});
  EXPECT_GT(decision.usage_wait, *decision.pause);
}

TEST(AfterCreate, NoNumberOfAttemptsGivesAUsageUp) {
  PolicyInput input;
  input.attempts = UINT32_MAX;
  input.failures = UINT32_MAX - 1;
  for (const auto outcome : {Outcome::unavailable, Outcome::throttled, Outcome::unauthorised})
    EXPECT_EQ(after_create(verdict(outcome), kChargebee, input).step, Step::retry);
}

TEST(AfterCreate, AnUnknownOutcomeWithoutIdempotencyIsHeldAndNeverSentAgain) {
  const auto decision = after_create(verdict(Outcome::in_doubt), kTwilio, {});
  EXPECT_EQ(decision.step, Step::hold);
  EXPECT_TRUE(decision.pause) << "what is asked next at once would be in doubt, too";
  EXPECT_EQ(after_create(verdict(Outcome::in_doubt), kChargebee, {}).step, Step::retry);
}

TEST(AfterCreate, OfARefusedBatchEachIsTriedAlone) {
  PolicyInput input;
  input.batch = 2;
  EXPECT_EQ(after_create(verdict(Outcome::rejected), kTwilio, input).step, Step::retry_alone);
  input.batch = 1;
  EXPECT_EQ(after_create(verdict(Outcome::rejected), kTwilio, input).step, Step::park);
}

TEST(AfterCreate, WhatAnAnswerLeftOutWaitsAloneAndPausesNothing) {
  auto left_out = verdict(Outcome::unavailable);
  left_out.left_out = true;
  PolicyInput input;
  input.attempts = 3;
  const auto decision = after_create(left_out, kTwilio, input);
  EXPECT_EQ(decision.step, Step::retry);
  EXPECT_FALSE(decision.pause);
  EXPECT_TRUE(decision.success);
  EXPECT_GT(decision.usage_wait, Milliseconds(0));
}

TEST(AfterDelete, AReceiptSettlesAndARefusalParks) {
  const auto settled = after_delete(verdict(Outcome::accepted), {});
  EXPECT_EQ(settled.step, Step::settle);
  EXPECT_TRUE(settled.success);
  const auto parked = after_delete(verdict(Outcome::rejected), {});
  EXPECT_EQ(parked.step, Step::park);
  EXPECT_FALSE(parked.pause);
}

TEST(AfterDelete, WhateverElseIsAskedAgainLater) {
  for (const auto outcome : {Outcome::unavailable, Outcome::throttled, Outcome::unauthorised,
                             Outcome::in_doubt, Outcome::duplicate}) {
    const auto decision = after_delete(verdict(outcome), {});
    EXPECT_EQ(decision.step, Step::retry) << upstream::name_of(outcome);
    EXPECT_TRUE(decision.pause) << upstream::name_of(outcome);
    EXPECT_EQ(decision.unauthorised, outcome == Outcome::unauthorised);
  }
  EXPECT_EQ(after_delete(verdict(Outcome::throttled, Milliseconds(17'000)), {}).pause, Milliseconds(17'000));
}

TEST(AfterLookUp, TheSameContentIsAReceiptAndOtherContentAConflict) {
  EXPECT_EQ(after_look_up({ReadBack::Found::same, verdict(Outcome::accepted)}, kTaken, {}).step,
            Step::settle);
  EXPECT_EQ(after_look_up({ReadBack::Found::different, verdict(Outcome::rejected)}, kTaken, {}).step,
            Step::park);
}

TEST(AfterLookUp, ATakenDateSupersedesUntilTheEighthTryThenParks) {
  PolicyInput input;
  for (input.supersedes = 0; input.supersedes < limits::kSupersedeTriesMax; ++input.supersedes)
    EXPECT_EQ(after_look_up({ReadBack::Found::absent, {}}, kTaken, input).step, Step::supersede);
  EXPECT_EQ(after_look_up({ReadBack::Found::absent, {}}, kTaken, input).step, Step::park);
}

// What was in doubt and is sent again, as a declared policy wants it: the attempt before may have been
// billed.
TEST(AfterCreate, ARefusalSaysNothingOfTheAttemptBeforeIt) {
  PolicyInput input;
  input.resent = true;
  EXPECT_EQ(after_create(verdict(Outcome::rejected), kTwilio, input).step, Step::hold);
  EXPECT_FALSE(after_create(verdict(Outcome::rejected), kTwilio, input).pause);
  input.batch = 2;
  EXPECT_EQ(after_create(verdict(Outcome::rejected), kTwilio, input).step, Step::retry_alone);
}

TEST(AfterLookUp, ALookUpThatLearnsNothingIsTriedAgain) {
  const auto decision = after_look_up({ReadBack::Found::unknown, verdict(Outcome::unavailable)}, kTaken, {});
  EXPECT_EQ(decision.step, Step::retry);
  EXPECT_TRUE(decision.pause);
}

}  // namespace
}  // namespace meterd::flush
