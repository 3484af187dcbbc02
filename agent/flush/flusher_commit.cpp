// The flusher's other half: what the answers mean, committed.
#include <algorithm>

#include "agent/base/limits.hpp"
#include "agent/flush/flusher.hpp"

namespace meterd::flush {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kDecidedNamed = 20;          // in one entry of the audit
constexpr Milliseconds kUntilDatable{5 * 60'000};  // and a create and a look each time

journal::Due due_in(Milliseconds wait, const journal::Moment& now) {
  if (wait <= Milliseconds(0)) return {};
  return {now.boot.boot_number, now.boot.since_boot_ms + wait.count()};
}

}  // namespace

// What the upstream said must not be forgotten: tried until it is in the journal or the daemon must end. On a
// full map one receipt fits where sixteen do not.
asio::awaitable<void> Flusher::commit_all(std::vector<Settled> settled) {
  std::size_t at_once = settled.size();
  bool complained = false;
  while (!settled.empty()) {
    at_once = std::min(at_once, settled.size());
    const auto end = settled.begin() + static_cast<std::ptrdiff_t>(at_once);
    std::vector<Settled> part(settled.begin(), end);
    const Status committed = co_await commit(std::move(part));
    if (committed) {
      settled.erase(settled.begin(), end);
      round_usages_ = SIZE_MAX;
      continue;
    }
    if (at_once > 1) {
      at_once /= 2;
      continue;
    }
    if (committed.error().code == Code::corrupt) {
      // Once repaired it may fit; what cannot be repaired is set aside and shown.
      if (settled.front().repaired)
        settled.erase(settled.begin());
      else
        co_await repair(settled.front());
      continue;
    }
    if (!complained)
      deps_.log.error("receipts_uncommitted",
                      {{"upstream", name().value()},
                       {"error", committed.error().message},
                       {"do", "free space on the journal's file system; the receipts wait in memory"}});
    complained = true;
    if (stopping_) co_return;  // a restart asks the upstream again, by key and id
    co_await journal_alarm_->wait_for(kJournalRetry);
  }
}

asio::awaitable<void> Flusher::repair(Settled& one) {
  one.repaired = true;
  deps_.log.error("outbox_record_unreadable",
                  {{"upstream", name().value()}, {"id", one.record.id()}, {"do", "run meterctl verify"}});
  journal::Operation operation = [name = deps_.target.name,
                                  sequence = one.sequence](journal::WriteTransaction& txn) {
    return txn.repair_usage(name, sequence);
  };
  const Status repaired = co_await deps_.committer.submit(std::move(operation));
  if (!repaired)
    deps_.log.error("repair_failed", {{"upstream", name().value()},
                                      {"error", repaired.error().message},
                                      {"do", "run meterctl verify; it is tried again"}});
}

asio::awaitable<Status> Flusher::commit(std::vector<Settled> settled) {
  auto shared = std::make_shared<std::vector<Settled>>(std::move(settled));
  journal::Operation operation = [this, shared, at = now()](journal::WriteTransaction& txn) -> Status {
    Decided decided;
    for (const auto& one : *shared)
      if (auto s = settle(txn, one, at, decided); !s) return s;
    if (auto s = note_decisions(txn, decided, at); !s) return s;
    return note_upstream(txn, *shared, at);
  };
  co_return co_await deps_.committer.submit(std::move(operation));
}

// Journal thread: reads only what never changes after the constructor.
Status Flusher::settle(journal::WriteTransaction& txn, const Settled& one, const journal::Moment& now,
                       Decided& decided) const {
  if (!one.sent) return txn.unsend(one.sequence);
  switch (one.decision.step) {
    case Step::settle:
      return txn.deliver(one.sequence, one.detail, now);
    case Step::retry:
      return txn.retry(one.sequence, due_in(one.decision.usage_wait, now), one.detail);
    case Step::look_again:
      return txn.look_again(one.sequence, due_in(one.decision.usage_wait, now), one.detail);
    case Step::retry_alone:
      return txn.retry_alone(one.sequence, one.detail);
    case Step::park:
      return txn.park(one.sequence, one.detail, now);
    case Step::look_up:
    case Step::hold:
      return hold(txn, one.sequence, one.record, one.detail, due_in(one.decision.usage_wait, now), now,
                  decided);
    case Step::supersede:
      break;
  }
  return supersede(txn, one, now);
}

// Nobody can tell whether the upstream has it. A declared policy decides of a usage once: an answer that is
// never understood would bill it each time, and one that was sent again may be there twice.
Status Flusher::hold(journal::WriteTransaction& txn, std::uint64_t sequence,
                     const journal::UsageRecord& record, const std::string& seen, const journal::Due& again,
                     const journal::Moment& now, Decided& decided) const {
  const auto policy = deps_.target.in_doubt;
  if (policy == InDoubt::hold || record.resent()) return txn.hold_in_doubt(sequence, seen);
  if (decided.usages++ < kDecidedNamed)
    decided.which += (decided.which.empty() ? "" : ", ") + record.id() + " (" +
                     journal::usage_of(record).quantity.text() +
                     (record.amount().empty() ? "" : ", amount " + record.amount()) + ")";
  const auto what = std::string("in_doubt = \"") + name_of(policy) + "\": " + seen;
  return policy == InDoubt::resend ? txn.resend(sequence, again, what) : txn.deliver(sequence, what, now);
}

Status Flusher::note_decisions(journal::WriteTransaction& txn, const Decided& decided,
                               const journal::Moment& now) const {
  if (decided.usages == 0) return {};
  const auto more = decided.usages > kDecidedNamed
                        ? " and " + std::to_string(decided.usages - kDecidedNamed) + " more"
                        : std::string();
  return txn.put_audit(
      {"the policy", "resolve",
       std::to_string(decided.usages) + " in doubt at " + name().value() + ": in_doubt = \"" +
           name_of(deps_.target.in_doubt) + "\": " + decided.which + more},
      now);
}

// The next revision gets a date of its own: that takes a clock that is trusted, and a day that has room.
// Either may come, so the usage waits for it; a day that is over and full is parked.
Status Flusher::supersede(journal::WriteTransaction& txn, const Settled& one,
                          const journal::Moment& now) const {
  const auto wait = [&](const std::string& why) {
    return txn.look_again(one.sequence, due_in(kUntilDatable, now), one.detail + "; " + why);
  };
  auto stored = txn.usage(one.sequence);
  if (!stored) return stored.error();
  // It is not there, and not wanted there any more.
  if (stored->record.deleted_by() != 0) return txn.withdraw(one.sequence, now);
  if (stored->record.dated_by_caller()) return txn.park(one.sequence, one.detail, now);
  if (!now.trusted) return wait("waits for a trusted clock to take another date");
  const auto old = journal::usage_of(one.record);
  const meter::BucketKey bucket{old.day, old.series};
  auto balance = txn.balance(bucket);
  if (!balance) return balance.error();
  auto zone = meter::TimeZone::load(balance->zone);
  if (!zone) return txn.park(one.sequence, zone.error().message, now);
  const auto bounds = zone->bounds(old.day);
  const NextUsage next{bucket, old.quantity, old.events, balance->next_revision, {bounds.start, bounds.end}};
  auto successor = date_usage(txn, *deps_.context, next, now.wall);
  if (successor) successor->charge = old.charge;
  if (successor)
    return txn.supersede(one.sequence, *successor, record_of(deps_.target.vendor->encode_create(*successor)),
                         now);
  if (successor.error().code != Code::rejected && successor.error().code != Code::invalid)
    return successor.error();
  if (now.wall.seconds().count() < bounds.end) return wait("no later second of the day has come yet");
  return txn.park(one.sequence, successor.error().message, now);
}

Status Flusher::note_upstream(journal::WriteTransaction& txn, const std::vector<Settled>& settled,
                              const journal::Moment& now) const {
  auto state = txn.upstream(deps_.target.name);
  if (!state) return state.error();
  const auto before = state->SerializeAsString();
  for (const auto& one : settled) {
    if (!one.sent) continue;
    const auto& decision = one.decision;
    if (decision.success) {
      state->set_failures(0);
      state->set_unauthorised(false);
      state->set_retry_after(false);
      state->set_paused_boot(0);
      state->set_paused_until_ms(0);
    }
    if (decision.step == Step::park || decision.pause) {
      state->set_last_error(one.detail);
      state->set_last_error_ms(now.wall.since_epoch.count());
    }
    if (!decision.pause) continue;
    const auto until = due_in(*decision.pause, now);
    state->set_failures(state->failures() + 1);
    state->set_paused_boot(until.boot_number);
    state->set_paused_until_ms(until.since_boot_ms);
    state->set_retry_after(decision.retry_after);
    state->set_unauthorised(decision.unauthorised);
  }
  if (state->SerializeAsString() == before) return {};
  return txn.put_upstream(deps_.target.name, *state);
}

}  // namespace meterd::flush
