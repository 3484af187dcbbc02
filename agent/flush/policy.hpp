// What follows from an outcome: one pure function per question, no clock, no state, no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/base/backoff.hpp"
#include "agent/upstream/upstream.hpp"

namespace meterd::flush {

struct PolicyInput {
  std::uint32_t attempts = 0;      // of this usage, this one included
  std::uint32_t failures = 0;      // of the upstream, in a row, before this one
  std::uint32_t absent_looks = 0;  // `look_again`s of it, so far
  std::uint32_t supersedes = 0;    // revisions in a row that were superseded before this usage
  std::uint64_t random = 0;        // uniform
  std::size_t batch = 1;           // usages in the request
  bool resent = false;             // the attempt before was in doubt, and may have been billed
};

// What to do with the usage.
enum class Step : std::uint8_t {
  settle,       // delivered
  retry,        // after `usage_wait`
  park,         // an operator decides
  look_up,      // read it back by our id, then decide again
  retry_alone,  // at once, in a request of its own: one of a batch was refused, and which one is not said
  look_again,   // after `usage_wait`, and counted: what it was refused for may pass
  supersede,    // its date is taken by another: the quantity becomes the next revision
  hold,         // in doubt
};

struct Decision {
  Step step = Step::retry;
  Milliseconds usage_wait{};
  std::optional<Milliseconds> pause;  // and the whole upstream waits that long
  bool retry_after = false;           // the pause is the upstream's own word
  bool unauthorised = false;          // the pause is for credentials: an operator must act
  bool success = false;               // the upstream answered as it should: failures start from 0
};

Decision after_create(const upstream::Verdict& verdict, const upstream::Traits& traits,
                      const PolicyInput& input);
Decision after_delete(const upstream::Verdict& verdict, const PolicyInput& input);
// `refusal`: the duplicate for which it was looked up.
Decision after_look_up(const upstream::ReadBack& found, const upstream::Verdict& refusal,
                       const PolicyInput& input);

// An operator's question that taught nothing: when to ask again. Zero: not before an operator has done
// something.
Milliseconds until_asked_again(const upstream::Verdict& verdict);

}  // namespace meterd::flush
