// Repair: what cannot be read is moved aside and counted, and the rest goes on (invariant 9).
#include <algorithm>

#include "agent/journal/audit.hpp"
#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {

namespace {
// A lost balance may have sealed revisions whose usages are pruned: their ids must not come again.
constexpr std::uint32_t kRevisionsSkipped = 1'000;
}  // namespace

Status WriteTransaction::set_aside(const std::string& key) {
  auto raw = txn_.get(key);
  if (!raw) return raw.error();
  if (!raw->has_value()) return {};
  if (auto s = keep_aside(key, std::string(**raw)); !s) return s;
  return txn_.erase(key);
}

Status WriteTransaction::keep_aside(const std::string& key, const std::string& value) {
  auto general = this->general();
  if (!general) return general.error();
  // Numbered: what comes from the same place later does not replace it.
  const std::string aside = set_aside_key(general->set_aside(), key);
  if (auto s = txn_.put(aside, wrap(aside, value)); !s) return s;
  general->set_set_aside(general->set_aside() + 1);
  return put_general(*general);
}

Status WriteTransaction::settle_balance(const meter::BucketKey& bucket) {
  auto balance = this->balance(bucket);
  if (!balance) return balance.error();
  auto sums = sum_usages(txn_, bucket);
  if (!sums) return sums.error();
  if (auto raw = txn_.get(balance_key(bucket)); raw && !raw->has_value())
    return sums->usages == 0 ? Status() : rebuild_balance(bucket, kZoneOfALostBalance);
  const auto missing = missing_from(*balance, *sums);
  if (!missing.any()) return {};
  balance->waiting -= missing.waiting;
  balance->in_doubt -= missing.in_doubt;
  balance->parked -= missing.parked;
  // What was pruned is in either of the two, so which of them is short is not always known: delivered, as far
  // as it goes.
  const auto delivered = std::min(missing.ended, balance->delivered - sums->parts.delivered);
  balance->delivered -= delivered;
  balance->withdrawn -= missing.ended - delivered;
  balance->set_aside += missing.waiting + missing.in_doubt + missing.parked + missing.ended;
  return put_balance(bucket, *balance);
}

Status WriteTransaction::lose_usage(const UpstreamName& upstream, const OutboxEntry& entry) {
  if (auto s = set_aside(usage_key(entry.sequence)); !s) return s;
  if (auto s = txn_.erase(outbox_key(upstream, entry)); !s) return s;
  const auto was = entry.lane == Lane::parked     ? UsageState::parked
                   : entry.lane == Lane::in_doubt ? UsageState::in_doubt
                                                  : UsageState::waiting;
  if (auto s = count_states(upstream, was, std::nullopt); !s) return s;
  if (auto s = settle_balance_of(entry.sequence); !s) return s;
  return let_go_of(entry.sequence);
}

// Who waited for it waits for nothing, and what it was to delete is there as before.
Status WriteTransaction::let_go_of(std::uint64_t lost) {
  std::vector<StoredUsage> named_it;
  auto scanned = txn_.scan(prefix(Kind::usage), "", [&](std::string_view key, std::string_view value) {
    const auto payload = unwrap(key, value);
    const auto sequence = parse_usage_key(key);
    UsageRecord record;
    if (!payload || !sequence || !record.ParseFromArray(payload->data(), static_cast<int>(payload->size())))
      return true;
    if (record.behind() == lost || record.deleted_by() == lost)
      named_it.push_back({*sequence, std::move(record)});
    return true;
  });
  if (!scanned) return scanned;
  for (auto& [sequence, record] : named_it) {
    auto restored = restore_order(sequence, std::move(record));
    if (!restored) return restored.error();
    if (auto s = restore_place(sequence, *restored); !s) return s;
  }
  return {};
}

// Of those that it names, the ones that cannot be read: what becomes of it could not be written to them.
Status WriteTransaction::lose_neighbours(const UpstreamName& upstream, const UsageRecord& record) {
  for (const auto other : {record.behind(), record.followed_by(), record.deletes(), record.deleted_by()}) {
    if (other == 0) continue;
    const auto stored = usage_if_kept(other);
    if (stored) continue;
    if (stored.error().code != Code::corrupt) return stored.error();
    std::optional<OutboxEntry> entry;
    auto scanned = txn_.scan(outbox_prefix(upstream), "", [&](std::string_view key, std::string_view) {
      const auto fields = parse_outbox_key(key);
      if (fields && fields->entry.sequence == other) entry = fields->entry;
      return !entry;
    });
    if (!scanned) return scanned;
    if (entry) {
      if (auto s = lose_usage(upstream, *entry); !s) return s;
      continue;
    }
    if (auto s = set_aside(usage_key(other)); !s) return s;
    if (auto s = settle_balance_of(other); !s) return s;
    if (auto s = let_go_of(other); !s) return s;
  }
  return {};
}

// Its record is lost, but the second that it holds names its series, and nearly its day.
Status WriteTransaction::settle_balance_of(std::uint64_t sequence) {
  std::optional<TakenFields> taken;
  auto scanned = txn_.scan(prefix(Kind::taken_date), "", [&](std::string_view key, std::string_view value) {
    const auto payload = unwrap(key, value);
    const auto number = payload ? parse_number(*payload) : Result<std::uint64_t>(payload.error());
    auto fields = parse_taken_key(key);
    if (!number || *number != sequence || !fields) return true;
    taken = std::move(*fields);
    return false;
  });
  if (!scanned || !taken) return scanned;
  const auto utc_day = static_cast<std::int32_t>(taken->usage_date / 86'400);
  for (const std::int32_t day : {utc_day - 1, utc_day, utc_day + 1}) {
    const meter::BucketKey bucket{UsageDay(day), taken->series};
    auto settled = settle_balance(bucket);
    if (!settled && settled.error().code == Code::corrupt)
      settled = rebuild_balance(bucket, kZoneOfALostBalance);
    if (!settled) return settled;
  }
  return {};
}

Status WriteTransaction::repair_usage(const UpstreamName& name, std::uint64_t sequence) {
  if (auto state = upstream(name); !state && state.error().code == Code::corrupt)
    if (auto s = set_aside(upstream_key(name)); !s) return s;
  auto stored = usage(sequence);
  if (!stored && stored.error().code == Code::corrupt) return set_aside(usage_key(sequence));
  if (!stored) return stored.error();
  const auto usage = usage_of(stored->record);
  const meter::BucketKey bucket{usage.day, usage.series};
  auto balance = this->balance(bucket);
  if (!balance && balance.error().code == Code::corrupt) return rebuild_balance(bucket, kZoneOfALostBalance);
  if (!balance) return balance.error();
  return lose_neighbours(name, stored->record);
}

Status WriteTransaction::rebuild_balance(const meter::BucketKey& bucket, const std::string& zone) {
  if (auto s = set_aside(balance_key(bucket)); !s) return s;
  auto sums = sum_usages(txn_, bucket);
  if (!sums) return sums.error();
  Balance balance = sums->parts;
  balance.zone = zone;
  balance.accepted =
      balance.waiting + balance.in_doubt + balance.parked + balance.delivered + balance.withdrawn;
  balance.events = sums->events;
  balance.next_revision = sums->next_revision + kRevisionsSkipped;
  balance.part_from_original(lineage_);
  return put_balance(bucket, balance);
}

}  // namespace meterd::journal
