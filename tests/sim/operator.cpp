#include "tests/sim/operator.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <functional>

#include "agent/journal/read.hpp"

namespace meterd::sim {

namespace asio = boost::asio;
using journal::UsageState;
using usages::Change;
using usages::Resolution;
using Verdict = Resolution::Verdict;

namespace {

constexpr std::size_t kRowsMax = 100'000;
// A request may arrive two hours after it was given up: before that no invoice is the last word.
constexpr Milliseconds kPatience{3 * 3'600'000};

using Decided = std::function<void(const Result<Change>&)>;

asio::awaitable<void> resolve(usages::Collection& collection, Resolution resolution, Decided decided) {
  usages::Act act{"user 0", "as the vendor's invoice says"};
  usages::Render render = [](const journal::UsageRecord& record) { return record.id(); };
  const auto change = co_await collection.resolve(std::move(resolution), std::move(act), std::move(render));
  decided(change);
}

asio::awaitable<void> give_up(usages::Collection& collection, UsageId id, Decided decided) {
  usages::Act act{"user 0", "refused, and nobody knows why"};
  usages::Render render = [](const journal::UsageRecord& record) { return record.id(); };
  const auto change = co_await collection.withdraw(std::move(id), std::move(act), std::move(render));
  decided(change);
}

const char* name_of(Verdict verdict) {
  static constexpr const char* kNames[] = {"delivered", "not delivered", "to be tried again"};
  return kNames[static_cast<int>(verdict)];
}

}  // namespace

void Operator::begin() {
  const auto planned = deps_.world.now() + draws_.span(Milliseconds(1'000), 2 * habits_.interval);
  deps_.world.at(planned, [this, planned] {
    look(planned);
    begin();
  });
}

// While the device sleeps the world stands still: what was planned before this look has happened, and no
// more.
void Operator::look(WallTime planned) {
  if (!deps_.machine.running()) return;
  auto outbox = journal::read_outbox(deps_.machine.journal(), kRowsMax);
  if (!outbox) return;
  for (const auto& stored : *outbox) look_at(stored, planned);
}

void Operator::look_at(const journal::StoredUsage& stored, WallTime planned) {
  const auto state = journal::state_of(stored.record);
  const auto& id = stored.record.id();
  if (state == UsageState::parked && draws_.percent(habits_.retries_percent))
    return decide(id, Verdict::retry);
  if (state == UsageState::parked && draws_.percent(habits_.withdraws_percent)) return withdraw(id);
  if (state != UsageState::in_doubt) return;
  const auto now = deps_.world.now();
  const auto seen = first_seen_.try_emplace({id, stored.record.attempts()}, now).first->second;
  if (planned - seen < kPatience || !draws_.percent(habits_.decides_percent)) return;
  const bool there = habits_.belief == Belief::invoice ? deps_.book.is_billed(UsageId(id))
                                                       : habits_.belief == Belief::delivered;
  decide(id, there ? Verdict::delivered : Verdict::not_delivered);
}

void Operator::decide(const std::string& id, Verdict verdict) {
  Resolution resolution;
  resolution.id = UsageId(id);
  resolution.verdict = verdict;
  deps_.book.decided(resolution.id);
  Decided decided = [this, verdict, id](const Result<Change>& change) {
    const bool done = change && !change->refusal;
    deps_.world.note("the operator decided: " + id + " is " + name_of(verdict) + (done ? "" : ", in vain"));
    resolved_ += done && verdict != Verdict::retry ? 1 : 0;
  };
  auto asked = resolve(deps_.machine.core().collection(), std::move(resolution), std::move(decided));
  asio::co_spawn(deps_.machine.loop(), std::move(asked), asio::detached);
}

void Operator::withdraw(const std::string& id) {
  Decided decided = [this, id](const Result<Change>& change) {
    const bool done = change && !change->refusal;
    deps_.world.note("the operator withdrew " + id + (done ? "" : ", in vain"));
  };
  auto asked = give_up(deps_.machine.core().collection(), UsageId(id), std::move(decided));
  asio::co_spawn(deps_.machine.loop(), std::move(asked), asio::detached);
}

}  // namespace meterd::sim
