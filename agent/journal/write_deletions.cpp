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
  auto to = stored->record;
  to.set_state(v0::WITHDRAWN);
  to.set_resource_version(take_version(*general, now));
  to.set_behind(0);
  if (auto s = put_general(*general); !s) return s;
  if (auto s = move(*stored, std::move(to), &now); !s) return s;
  // It waited for another one, which now has nobody behind it.
  if (const auto before = stored->record.behind(); before != 0) {
    auto other = usage(before);
    if (!other) return other.error();
    other->record.set_followed_by(0);
    if (auto s = store(txn_, usage_key(before), other->record); !s) return s;
  }
  // A deletion that was wanted has nothing left to do, and who waits for that may go.
  const auto deletion = stored->record.deleted_by();
  return deletion == 0 ? release_behind(stored->record) : withdraw(deletion, now);
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

// The upstream has deleted it: what was delivered is withdrawn.
Status WriteTransaction::finish_deletion(const StoredUsage& deletion, const Moment& now) {
  auto target = usage(deletion.record.deletes());
  if (!target) return target.error();
  if (state_of(target->record) != UsageState::delivered) return {};
  const auto gone = usage_of(target->record);
  const meter::BucketKey bucket{gone.day, gone.series};
  auto balance = this->balance(bucket);
  if (!balance) return balance.error();
  balance->delivered -= gone.quantity;
  balance->withdrawn += gone.quantity;
  if (auto s = put_balance(bucket, *balance); !s) return s;
  target->record.set_state(v0::WITHDRAWN);
  target->record.set_ended_at_ms(end_of(now));
  if (auto s = store_empty(txn_, history_key(end_of(now) / 1'000, target->sequence)); !s) return s;
  return store(txn_, usage_key(target->sequence), target->record);
}

// The usage is there as before, and is listed again.
Status WriteTransaction::refuse_deletion(const StoredUsage& deletion, const Moment& now) {
  auto target = usage(deletion.record.deletes());
  if (!target) return target.error();
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
  auto next = usage(ended.followed_by());
  if (!next) return next.error();
  if (state_of(next->record) != UsageState::waiting) return {};
  auto to = next->record;
  to.set_behind(0);
  return move(*next, std::move(to), nullptr);
}

}  // namespace meterd::journal
