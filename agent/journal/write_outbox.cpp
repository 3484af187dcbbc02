// Delivery: intents, outcomes, and the one function that moves a usage from state to state.
#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {

bool is_due(const OutboxEntry& entry, const Due& now) {
  return entry.lane == Lane::ready || entry.due.boot_number != now.boot_number ||
         entry.due.since_boot_ms <= now.since_boot_ms;
}

OutboxEntry outbox_entry(std::uint64_t sequence, const UsageRecord& record) {
  switch (state_of(record)) {
    case UsageState::in_doubt:
      return {Lane::in_doubt, {}, sequence};
    case UsageState::parked:
      return {Lane::parked, {}, sequence};
    default:
      break;
  }
  if (record.behind() != 0) return {Lane::behind, {}, sequence};
  if (record.due_boot() == 0) return {Lane::ready, {}, sequence};
  return {Lane::delayed, {record.due_boot(), record.due_ms()}, sequence};
}

std::string invoiced_key(const UsageRecord& record, std::uint64_t sequence) {
  return invoiced_key(UpstreamName(record.upstream()), record.invoice_id(), sequence);
}

bool is_in_history(const UsageRecord& record) {
  const auto state = state_of(record);
  return has_ended(state) && !(state == UsageState::delivered && record.deleted_by() != 0);
}

Result<StoredUsage> WriteTransaction::usage(std::uint64_t sequence) const {
  auto stored = usage_if_kept(sequence);
  if (!stored) return stored.error();
  if (!stored->has_value()) return Error{Code::corrupt, "an indexed usage is missing"};
  return std::move(**stored);
}

Result<std::optional<StoredUsage>> WriteTransaction::usage_if_kept(std::uint64_t sequence) const {
  auto record = load<UsageRecord>(txn_, usage_key(sequence));
  if (!record) return record.error();
  if (!record->has_value()) return std::optional<StoredUsage>{};
  return std::optional(StoredUsage{sequence, std::move(**record)});
}

Result<std::vector<StoredUsage>> WriteTransaction::usages_of(
    const std::vector<std::uint64_t>& sequences) const {
  std::vector<StoredUsage> out;
  for (const auto sequence : sequences) {
    auto stored = usage(sequence);
    if (!stored) return stored.error();
    out.push_back(std::move(*stored));
  }
  return out;
}

Result<std::optional<StoredUsage>> WriteTransaction::find_usage(const UsageId& id) const {
  auto sequence = load_number(txn_, usage_id_key(id));
  if (!sequence) return sequence.error();
  if (!sequence->has_value()) return std::optional<StoredUsage>{};
  auto found = usage(**sequence);
  if (!found) return found.error();
  return std::optional<StoredUsage>(std::move(*found));
}

Status WriteTransaction::move(StoredUsage& stored, const Moment* ended, const Edit& edit) {
  auto& record = stored.record;
  const auto before = state_of(record);
  const UpstreamName upstream(record.upstream());
  if (has_ended(before)) return Error{Code::corrupt, "a usage that has ended stands in the outbox"};

  if (auto s = txn_.erase(outbox_key(upstream, outbox_entry(stored.sequence, record))); !s) return s;
  edit(record);
  const auto after = state_of(record);
  if (has_ended(after)) {
    check(ended != nullptr, "an end has a time");
    record.set_ended_at_ms(end_of(*ended));
    record.clear_request();
    if (is_in_history(record))
      if (auto s = store_empty(txn_, history_key(record.ended_at_ms() / 1'000, stored.sequence)); !s)
        return s;
  } else if (auto s = store_empty(txn_, outbox_key(upstream, outbox_entry(stored.sequence, record))); !s) {
    return s;
  }
  if (auto s = store(txn_, usage_key(stored.sequence), record); !s) return s;
  if (before == after) return {};

  if (after != UsageState::superseded && record.deletes() == 0) {
    const auto usage = usage_of(record);
    const meter::BucketKey bucket{usage.day, usage.series};
    auto balance = this->balance(bucket);
    if (!balance) return balance.error();
    *balance->part(before) -= usage.quantity;
    *balance->part(after) += usage.quantity;
    if (auto s = put_balance(bucket, *balance); !s) return s;
  }
  const bool is_receipt = record.deletes() != 0 && after == UsageState::delivered;  // and no usage
  return count_states(upstream, before, is_receipt ? std::nullopt : std::optional(after));
}

Status WriteTransaction::count_states(const UpstreamName& upstream, std::optional<UsageState> from,
                                      std::optional<UsageState> to) {
  auto state = this->upstream(upstream);
  if (!state) return state.error();
  // Counts of a record that was lost began anew: they do not fall below none.
  const auto counted = [](std::uint64_t count, bool more) {
    return more ? count + 1 : count - (count > 0 ? 1 : 0);
  };
  const auto adjust = [&](std::optional<UsageState> which, bool more) {
    if (which == UsageState::waiting) state->set_waiting(counted(state->waiting(), more));
    if (which == UsageState::in_doubt) state->set_in_doubt(counted(state->in_doubt(), more));
    if (which == UsageState::parked) state->set_parked(counted(state->parked(), more));
    if (which == UsageState::delivered) state->set_delivered(counted(state->delivered(), more));
  };
  adjust(from, false);
  adjust(to, true);
  return put_upstream(upstream, *state);
}

Result<std::vector<StoredUsage>> WriteTransaction::due_usages(const UpstreamName& upstream, const Moment& now,
                                                              std::size_t at_most, Lane first) {
  std::vector<OutboxEntry> due;
  Status failed;
  auto held = is_held(upstream);
  if (!held) return held.error();
  if (*held) return std::vector<StoredUsage>{};
  // Delayed ones first: they are older than what is ready, and a lane in order of time stops at the first not
  // due.
  const Lane second = first == Lane::delayed ? Lane::ready : Lane::delayed;
  for (const Lane lane : {first, second}) {
    auto scanned = txn_.scan(outbox_prefix(upstream, lane), "", [&](std::string_view key, std::string_view) {
      auto fields = parse_outbox_key(key);
      if (!fields) {
        failed = fields.error();
        return false;
      }
      if (!is_due(fields->entry, now.boot)) return false;
      due.push_back(fields->entry);
      return due.size() < at_most;
    });
    if (!scanned) return scanned.error();
    if (!failed) return failed.error();
    if (due.size() >= at_most) break;
  }
  std::vector<StoredUsage> out;
  for (const auto& entry : due) {
    auto stored = usage(entry.sequence);
    if (!stored && stored.error().code == Code::corrupt) {
      if (auto s = lose_usage(upstream, entry); !s) return s.error();
      continue;
    }
    if (!stored) return stored.error();
    // An entry that its usage has outlived (damage elsewhere put it back) is only taken away.
    if (state_of(stored->record) != UsageState::waiting) {
      if (auto s = txn_.erase(outbox_key(upstream, entry)); !s) return s.error();
      continue;
    }
    out.push_back(std::move(*stored));
  }
  return out;
}

Result<std::vector<StoredUsage>> WriteTransaction::begin_attempts(const UpstreamName& upstream,
                                                                  const Moment& now, std::size_t at_most,
                                                                  Lane first) {
  auto due = due_usages(upstream, now, at_most, first);
  if (!due) return due;
  for (auto& stored : *due) {
    stored.record.set_attempts(stored.record.attempts() + 1);
    stored.record.set_last_attempt_ms(now.wall.since_epoch.count());
    if (auto s = store(txn_, usage_key(stored.sequence), stored.record); !s) return s.error();
  }
  return due;
}

Status WriteTransaction::unsend(std::uint64_t sequence) {
  auto stored = usage(sequence);
  if (!stored) return stored.error();
  return move(*stored, nullptr, [](UsageRecord& to) {
    to.set_state(v0::WAITING);
    if (to.attempts() > 0) to.set_attempts(to.attempts() - 1);
  });
}

Status WriteTransaction::deliver(std::uint64_t sequence, const std::string& receipt, const Moment& now) {
  auto stored = usage(sequence);
  if (!stored) return stored.error();
  const auto delivered = [&](UsageRecord& to) {
    to.set_state(v0::DELIVERED);
    to.set_receipt(receipt);
    to.clear_last_error();
  };
  if (auto s = move(*stored, &now, delivered); !s) return s;
  if (stored->record.deletes() != 0)
    if (auto s = finish_deletion(*stored, now); !s) return s;
  if (auto s = release_behind(stored->record); !s) return s;
  const UpstreamName name(stored->record.upstream());
  auto state = upstream(name);
  if (!state) return state.error();
  state->set_last_delivery_ms(now.wall.since_epoch.count());
  return put_upstream(name, *state);
}

Status WriteTransaction::retry(std::uint64_t sequence, const Due& due, const std::string& error) {
  return wait(sequence, due, error, [](UsageRecord&) {});
}

Status WriteTransaction::look_again(std::uint64_t sequence, const Due& due, const std::string& error) {
  return wait(sequence, due, error, [](UsageRecord& to) { to.set_absent_looks(to.absent_looks() + 1); });
}

Status WriteTransaction::wait(std::uint64_t sequence, const Due& due, const std::string& error,
                              const Edit& also) {
  auto stored = usage(sequence);
  if (!stored) return stored.error();
  return move(*stored, nullptr, [&](UsageRecord& to) {
    to.set_state(v0::WAITING);
    to.set_due_boot(due.boot_number);
    to.set_due_ms(due.since_boot_ms);
    to.set_last_error(error);
    also(to);
  });
}

Status WriteTransaction::park(std::uint64_t sequence, const std::string& error, const Moment& now) {
  if (auto s = hold_back(sequence, v0::PARKED, error); !s) return s;
  auto stored = usage(sequence);
  if (!stored) return stored.error();
  if (stored->record.deletes() != 0) {
    if (auto s = refuse_deletion(*stored, now); !s) return s;
    return release_behind(stored->record);
  }
  // The upstream does not have it, so there is nothing to delete there.
  return stored->record.deleted_by() != 0 ? withdraw(sequence, now) : Status();
}

Status WriteTransaction::hold_in_doubt(std::uint64_t sequence, const std::string& error) {
  return hold_back(sequence, v0::IN_DOUBT, error);
}

Status WriteTransaction::hold_back(std::uint64_t sequence, v0::UsageState state, const std::string& error) {
  auto stored = usage(sequence);
  if (!stored) return stored.error();
  return move(*stored, nullptr, [&](UsageRecord& to) {
    to.set_state(state);
    to.set_last_error(error);
  });
}

Status WriteTransaction::supersede(std::uint64_t sequence, const meter::Usage& successor,
                                   const RequestRecord& request, const Moment& now) {
  auto stored = usage(sequence);
  if (!stored) return stored.error();
  const auto old = usage_of(stored->record);
  const meter::BucketKey bucket{old.day, old.series};
  check(old.day == successor.day && old.series == successor.series && old.quantity == successor.quantity,
        "a successor carries the same quantity of the same bucket");
  check(!has_ended(state_of(stored->record)), "a usage that has ended does not change");
  auto balance = this->balance(bucket);
  if (!balance) return balance.error();
  check(balance->next_revision == successor.revision, "a revision is used once");
  balance->next_revision = successor.revision + 1;
  *balance->part(state_of(stored->record)) -= old.quantity;  // where the old one was; the successor waits
  balance->waiting += old.quantity;
  if (auto s = put_balance(bucket, *balance); !s) return s;

  const auto superseded = [](UsageRecord& to) { to.set_state(v0::SUPERSEDED); };
  if (auto s = move(*stored, &now, superseded); !s) return s;
  const auto inserted =
      insert_usage(successor, request, now, {.supersedes = stored->record.supersedes() + 1});
  return inserted ? Status() : inserted.error();
}

Result<UpstreamState> WriteTransaction::upstream(const UpstreamName& name) const {
  auto state = load<UpstreamState>(txn_, upstream_key(name));
  if (!state) return state.error();
  return state->value_or(UpstreamState{});
}

Status WriteTransaction::put_upstream(const UpstreamName& name, const UpstreamState& state) {
  return store(txn_, upstream_key(name), state);
}

Result<std::size_t> WriteTransaction::clear_backoff(const UpstreamName& name, std::size_t at_most) {
  auto state = upstream(name);
  if (!state) return state.error();
  if (!state->retry_after()) {
    state->set_failures(0);
    state->set_paused_boot(0);
    state->set_paused_until_ms(0);
    if (auto s = put_upstream(name, *state); !s) return s.error();
  }

  std::vector<std::uint64_t> delayed;
  auto scanned =
      txn_.scan(outbox_prefix(name, Lane::delayed), "", [&](std::string_view key, std::string_view) {
        if (auto fields = parse_outbox_key(key)) delayed.push_back(fields->entry.sequence);
        return delayed.size() < at_most;
      });
  if (!scanned) return scanned.error();
  for (const auto sequence : delayed) {
    auto stored = usage(sequence);
    if (!stored) return stored.error();
    if (auto s = retry(sequence, Due{}, stored->record.last_error()); !s) return s.error();
  }
  return delayed.size();
}

}  // namespace meterd::journal
