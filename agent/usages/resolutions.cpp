// What an operator decides of usages that wait for a decision.
#include "agent/usages/changes.hpp"

namespace meterd::usages {

constexpr Milliseconds kBeforeItIsSentAgain{60'000};

using journal::UsageState;

Result<Change> resolve(journal::WriteTransaction& txn, const Resolution& resolution, const Act& act,
                       const Surroundings& around) {
  auto found = txn.find_usage(resolution.id);
  if (!found) return found.error();
  const auto id = resolution.id.value();
  if (!found->has_value()) return Change{Refusal{Why::not_found, "id", "there is no usage " + id}, {}, false};
  const auto state = journal::state_of((*found)->record);
  const bool retries = resolution.verdict == Resolution::Verdict::retry;
  const auto wanted = retries ? UsageState::parked : UsageState::in_doubt;
  if (state != wanted)
    return Change{Refusal{Why::not_changeable, "id",
                          "the usage " + id + " is " + std::string(name_of(state)) + ", not " +
                              (retries ? "parked" : "in doubt")},
                  {},
                  false};
  if ((*found)->record.attempts() != resolution.attempts)
    return Change{
        Refusal{Why::not_changeable, "id", "the usage " + id + " was sent again meanwhile; look again"},
        {},
        false};
  const auto sequence = (*found)->sequence;
  // Time to withdraw it instead.
  const journal::Due again{around.now.boot.boot_number,
                           around.now.boot.since_boot_ms + (retries ? 0 : kBeforeItIsSentAgain.count())};
  const bool delivered = resolution.verdict == Resolution::Verdict::delivered;
  const std::string what = retries     ? "retry"
                           : delivered ? "resolve as delivered"
                                       : "resolve as not delivered";
  const auto note = what + " (" + act.by + "): " + act.reason + "; before: " + (*found)->record.last_error();
  const Status moved = delivered ? txn.deliver(sequence, note, around.now) : txn.send_anew(sequence, again, note);
  if (!moved) return moved.error();
  auto audited = txn.put_audit({act.by, what, "usage " + id + ": " + act.reason}, around.now);
  if (!audited) return audited.error();
  auto now = txn.usage(sequence);
  if (!now) return now.error();
  return Change{std::nullopt, around.render(now->record), false};
}

}  // namespace meterd::usages
