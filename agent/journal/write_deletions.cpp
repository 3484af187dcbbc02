// Giving usages up: those that never left are withdrawn; of others the upstream is asked to delete them, by a
// record that goes through the outbox as a usage does. What concerns one usage_date leaves in journal order:
// who must wait stands in a lane of its own, behind the one that names it in followed_by.
#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {

Status WriteTransaction::withdraw(std::uint64_t sequence, const Moment& now) {
  auto stored = usage(sequence);
  if (!stored) return stored.error();
  auto general = this->general();
  if (!general) return general.error();
  const auto version = take_version(*general, now);
  if (auto s = put_general(*general); !s) return s;
  const auto behind = stored->record.behind();
  const auto withdrawn = [&](UsageRecord& to) {
    to.set_state(v0::WITHDRAWN);
    to.set_resource_version(version);
    to.set_behind(0);
  };
  if (auto s = move(*stored, &now, withdrawn); !s) return s;
  if (auto s = count_credit(stored->record, false); !s) return s;
  // A deletion that was wanted has nothing left to do, and who waits for that may go.
  if (const auto deletion = stored->record.deleted_by(); deletion != 0)
    if (auto s = withdraw(deletion, now); !s) return s;
  return leave_line(sequence, behind);
}

// Who waits behind one that leaves waits for the one before that instead, if it too waited: `behind`.
Status WriteTransaction::leave_line(std::uint64_t sequence, std::uint64_t behind) {
  auto left =
      usage(sequence);  // as it now is: its own deletion has left before it, and handed over who waited
  if (!left) return left.error();
  if (behind == 0) return release_behind(left->record);
  const auto next = left->record.followed_by();
  auto before = usage(behind);
  if (!before) return before.error();
  before->record.set_followed_by(next);
  if (auto s = store(txn_, usage_key(behind), before->record); !s) return s;
  if (next == 0) return {};
  auto follower = usage(next);
  if (!follower) return follower.error();
  follower->record.set_behind(behind);  // the same lane: its place in the outbox stays
  return store(txn_, usage_key(next), follower->record);
}

Result<StoredUsage> WriteTransaction::request_deletion(std::uint64_t sequence, const RequestRecord& request,
                                                       const Moment& now) {
  auto stored = usage(sequence);
  if (!stored) return stored.error();
  const UpstreamName name(stored->record.upstream());
  auto general = this->general();
  if (!general) return general.error();
  const auto number = general->next_sequence();
  general->set_next_sequence(number + 1);
  const auto version = take_version(*general, now);
  if (auto s = put_general(*general); !s) return s.error();

  if (auto s = end_refused_deletions(name, sequence, now); !s) return s.error();

  const bool sent = state_of(stored->record) == UsageState::delivered;
  UsageRecord deletion;
  deletion.set_id(stored->record.id());
  deletion.set_upstream(name.value());
  deletion.set_subscription_id(stored->record.subscription_id());
  deletion.set_item_price_id(stored->record.item_price_id());
  deletion.set_day(stored->record.day());
  deletion.set_usage_date(stored->record.usage_date());
  deletion.set_quantity("0");
  deletion.set_state(v0::WAITING);
  deletion.set_created_at_ms(version);
  deletion.set_deletes(sequence);
  deletion.set_behind(sent ? 0 : sequence);
  *deletion.mutable_request() = request;
  if (auto s = store(txn_, usage_key(number), deletion); !s) return s.error();
  if (auto s = store_empty(txn_, outbox_key(name, outbox_entry(number, deletion))); !s) return s.error();
  if (auto s = count_states(name, std::nullopt, UsageState::waiting); !s) return s.error();

  // Out of the history meanwhile, so that it is not forgotten before its deletion has ended.
  if (sent)
    if (auto s = txn_.erase(history_key(stored->record.ended_at_ms() / 1'000, sequence)); !s)
      return s.error();
  stored->record.set_deleted_by(number);
  if (!sent) stored->record.set_followed_by(number);
  stored->record.set_resource_version(version);
  if (auto s = store(txn_, usage_key(sequence), stored->record); !s) return s.error();
  return stored;
}

// Of the usage, earlier ones that the upstream refused: the next one takes their place before the operator.
Status WriteTransaction::end_refused_deletions(const UpstreamName& name, std::uint64_t sequence,
                                               const Moment& now) {
  std::vector<std::uint64_t> refused;
  auto scanned =
      txn_.scan(outbox_prefix(name, Lane::parked), "", [&](std::string_view key, std::string_view) {
        const auto fields = parse_outbox_key(key);
        if (!fields) return true;
        const auto stored = usage(fields->entry.sequence);
        if (stored && stored->record.deletes() == sequence) refused.push_back(stored->sequence);
        return true;
      });
  if (!scanned) return scanned;
  for (const auto one : refused)
    if (auto s = withdraw(one, now); !s) return s;
  return {};
}

// The upstream has deleted it: what was delivered is withdrawn. One whose record was lost has no part of the
// balance sheet any more but what was set aside.
Status WriteTransaction::finish_deletion(const StoredUsage& deletion, const Moment& now) {
  auto kept = usage_if_kept(deletion.record.deletes());
  if (!kept) return kept.error();
  if (!kept->has_value() || state_of((*kept)->record) != UsageState::delivered) return {};
  auto* const target = &**kept;
  const auto gone = usage_of(target->record);
  const meter::BucketKey bucket{gone.day, gone.series};
  auto balance = this->balance(bucket);
  if (!balance) return balance.error();
  balance->delivered -= gone.quantity;
  balance->withdrawn += gone.quantity;
  if (auto s = put_balance(bucket, *balance); !s) return s;
  if (is_in_history(target->record))
    if (auto s = txn_.erase(history_key(target->record.ended_at_ms() / 1'000, target->sequence)); !s)
      return s;
  target->record.set_state(v0::WITHDRAWN);
  target->record.set_ended_at_ms(end_of(now));
  if (auto s = store_empty(txn_, history_key(end_of(now) / 1'000, target->sequence)); !s) return s;
  return store(txn_, usage_key(target->sequence), target->record);
}

// The usage is there as before, and is listed again.
Status WriteTransaction::refuse_deletion(const StoredUsage& deletion, const Moment& now) {
  auto kept = usage_if_kept(deletion.record.deletes());
  if (!kept) return kept.error();
  if (!kept->has_value()) return {};
  auto* const target = &**kept;
  auto general = this->general();
  if (!general) return general.error();
  target->record.set_deleted_by(0);
  target->record.set_resource_version(take_version(*general, now));
  if (auto s = put_general(*general); !s) return s;
  if (has_ended(state_of(target->record)))
    if (auto s = store_empty(txn_, history_key(target->record.ended_at_ms() / 1'000, target->sequence)); !s)
      return s;
  return store(txn_, usage_key(target->sequence), target->record);
}

Status WriteTransaction::release_behind(const UsageRecord& ended) {
  if (ended.followed_by() == 0) return {};
  auto next = usage_if_kept(ended.followed_by());
  if (!next) return next.error();
  if (!next->has_value() || (*next)->record.behind() == 0) return {};
  return move(**next, nullptr, [](UsageRecord& to) { to.set_behind(0); });
}

}  // namespace meterd::journal
