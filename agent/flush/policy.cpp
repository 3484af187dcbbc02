#include "agent/flush/policy.hpp"

#include <algorithm>

#include "agent/base/limits.hpp"

namespace meterd::flush {

using Found = upstream::ReadBack::Found;
namespace {

using upstream::Outcome;

constexpr BackoffLimits kUnavailable{Milliseconds(1'000), Milliseconds(15 * 60'000)};
constexpr BackoffLimits kUnauthorised{Milliseconds(30'000), Milliseconds(60 * 60'000)};
// The vendor: "no more requests are served until the limit resets (in approximately a minute)".
constexpr Milliseconds kThrottledWithoutWord{60'000};
constexpr Milliseconds kAskedAgain{2'000};
constexpr std::int64_t kThrottledSpread = 6'000;
constexpr Milliseconds kLeastPause{
    1'000};  // "Retry-After: 0" must not become a tight loop of requests and commits
// A request whose answer was lost may still be at work at the upstream: not found is believed after so many
// looks. Nor is a refusal for the idempotency key final before that.
constexpr std::uint32_t kLooksBeforeAbsent = 3;
constexpr Milliseconds kBetweenLooks{60'000};

Decision failed(const PolicyInput& input, const std::optional<Milliseconds>& said) {
  Decision decision;
  decision.step = Step::retry;
  decision.pause =
      said ? std::max(*said, kLeastPause) : full_jitter(kUnavailable, input.failures + 1, input.random);
  decision.retry_after = said.has_value();
  // One usage that always fails must not keep the others back: it waits longer than the upstream's pause.
  decision.usage_wait = *decision.pause + full_jitter(kUnavailable, input.attempts, input.random);
  return decision;
}

Decision refused_credentials(const PolicyInput& input) {
  Decision decision;
  decision.step = Step::retry;
  decision.pause = full_jitter(kUnauthorised, input.failures + 1, input.random);
  decision.unauthorised = true;
  return decision;
}

Decision throttled(const std::optional<Milliseconds>& said, const PolicyInput& input) {
  Decision decision;
  decision.step = Step::retry;
  // Spread, so that a fleet that was stopped together does not come back together.
  decision.pause =
      said ? std::max(*said, kLeastPause)
           : kThrottledWithoutWord + Milliseconds(static_cast<std::int64_t>(
                                         input.random % static_cast<std::uint64_t>(kThrottledSpread)));
  decision.retry_after = true;
  return decision;
}

Decision ended(Step step) {
  Decision decision;
  decision.step = step;
  decision.success = true;
  return decision;
}

Decision look_again(Milliseconds wait) {
  Decision decision = ended(Step::look_again);
  decision.usage_wait = wait;
  return decision;
}

// The idempotency key is another request's, for that long. A proxy that changes a header does that, or a new
// version of meterd between two tries: after the window the same request is a new one.
Decision key_taken(Milliseconds window, const PolicyInput& input) {
  return input.absent_looks + 1 < kLooksBeforeAbsent ? look_again(window) : ended(Step::park);
}

// Refused as taken, and not there under our id. At the first attempt the date is another's. Later an attempt
// of our own may be the one that is in the way and not visible yet; a new id would then be billed beside it.
Decision absent(const PolicyInput& input) {
  if (input.attempts > 1 && input.absent_looks + 1 < kLooksBeforeAbsent) return look_again(kBetweenLooks);
  return ended(input.supersedes < limits::kSupersedeTriesMax ? Step::supersede : Step::park);
}

// Nothing was learnt about the usage itself: what the verdict says about the upstream decides.
Decision upstream_trouble(const upstream::Verdict& verdict, const PolicyInput& input) {
  switch (verdict.outcome) {
    case Outcome::throttled:
      return throttled(verdict.retry_after, input);
    case Outcome::unauthorised:
      return refused_credentials(input);
    default:
      return failed(input, verdict.retry_after);
  }
}

// The link or the upstream is in trouble: what is asked next is asked later, or it would be in doubt too.
Decision held_in_doubt(const upstream::Verdict& verdict, const PolicyInput& input) {
  Decision decision = failed(input, verdict.retry_after);
  decision.step = Step::hold;
  return decision;
}

Decision left_out(const PolicyInput& input) {
  Decision decision = ended(Step::retry);
  decision.usage_wait = full_jitter(kUnavailable, input.attempts, input.random);
  return decision;
}

}  // namespace

Decision after_create(const upstream::Verdict& verdict, const upstream::Traits& traits,
                      const PolicyInput& input) {
  switch (verdict.outcome) {
    case Outcome::accepted:
      return ended(Step::settle);
    case Outcome::duplicate:
      return ended(traits.read_back ? Step::look_up : Step::hold);
    case Outcome::rejected:
      if (input.batch > 1) return ended(Step::retry_alone);
      return ended(input.resent ? Step::hold : Step::park);  // of the attempt before it says nothing
    case Outcome::in_doubt:
      return traits.idempotent ? ended(Step::retry) : held_in_doubt(verdict, input);
    case Outcome::throttled:
    case Outcome::unauthorised:
      return upstream_trouble(verdict, input);
    case Outcome::unavailable:
      return verdict.left_out ? left_out(input) : upstream_trouble(verdict, input);
  }
  return upstream_trouble(verdict, input);
}

Decision after_delete(const upstream::Verdict& verdict, const PolicyInput& input) {
  if (verdict.outcome == Outcome::accepted) return ended(Step::settle);
  if (verdict.outcome == Outcome::rejected) return ended(Step::park);
  if (verdict.outcome == Outcome::duplicate && verdict.retry_after)
    return key_taken(*verdict.retry_after, input);
  return upstream_trouble(verdict, input);
}

Decision after_look_up(const upstream::ReadBack& answer, const upstream::Verdict& refusal,
                       const PolicyInput& input) {
  switch (answer.found) {
    case Found::same:
      return ended(Step::settle);
    case Found::different:
      return ended(Step::park);
    case Found::absent:
      return refusal.retry_after ? key_taken(*refusal.retry_after, input) : absent(input);
    case Found::unknown:
      break;
  }
  return upstream_trouble(answer.verdict, input);
}

Milliseconds until_asked_again(const upstream::Verdict& verdict) {
  if (verdict.outcome == upstream::Outcome::throttled)
    return verdict.retry_after.value_or(kThrottledWithoutWord);
  if (verdict.outcome == upstream::Outcome::unavailable) return verdict.retry_after.value_or(kAskedAgain);
  return Milliseconds(0);
}

}  // namespace meterd::flush
