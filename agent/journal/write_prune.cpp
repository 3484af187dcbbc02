// Forgetting: delivered history beyond its time. Sums stay.
#include <algorithm>

#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {

std::int64_t end_of(const Moment& now) { return now.trusted ? now.wall.since_epoch.count() : 0; }

Result<std::size_t> WriteTransaction::date_history(const Moment& now, std::size_t at_most) {
  check(now.trusted, "history is dated by a trusted clock");
  std::vector<std::pair<std::string, std::uint64_t>> undated;
  auto scanned = txn_.scan(prefix(Kind::history), "", [&](std::string_view key, std::string_view) {
    auto fields = parse_history_key(key);
    if (!fields || fields->ended_s > 0) return false;
    undated.emplace_back(key, fields->sequence);
    return undated.size() < at_most;
  });
  if (!scanned) return scanned.error();
  for (const auto& [key, sequence] : undated) {
    if (auto s = txn_.erase(key); !s) return s.error();
    if (auto s = store_empty(txn_, history_key(end_of(now) / 1'000, sequence)); !s) return s.error();
    auto stored = usage(sequence);
    if (!stored && stored.error().code == Code::corrupt) continue;  // pruning sets it aside
    if (!stored) return stored.error();
    stored->record.set_ended_at_ms(end_of(now));
    if (auto s = store(txn_, usage_key(sequence), stored->record); !s) return s.error();
  }
  return undated.size();
}

Result<std::size_t> WriteTransaction::prune_usages(std::int64_t before_s, std::size_t at_most) {
  std::vector<std::pair<std::string, std::uint64_t>> ended;
  auto scanned = txn_.scan(prefix(Kind::history), "", [&](std::string_view key, std::string_view) {
    auto fields = parse_history_key(key);
    if (!fields || fields->ended_s >= before_s) return false;
    ended.emplace_back(key, fields->sequence);
    return ended.size() < at_most;
  });
  if (!scanned) return scanned.error();

  for (const auto& [key, sequence] : ended) {
    auto stored = usage(sequence);
    if (!stored && stored.error().code == Code::corrupt) {  // must not end pruning for ever
      if (auto s = set_aside(usage_key(sequence)); !s) return s.error();
      if (auto s = txn_.erase(key); !s) return s.error();
      if (auto s = settle_balance_of(sequence); !s) return s.error();
      continue;
    }
    if (!stored) return stored.error();
    if (stored->record.deletes() != 0) {  // has no quantity, and only itself
      if (auto s = txn_.erase(usage_key(sequence)); !s) return s.error();
      if (auto s = txn_.erase(key); !s) return s.error();
      continue;
    }
    const auto usage = usage_of(stored->record);
    const meter::BucketKey bucket{usage.day, usage.series};
    auto balance = this->balance(bucket);
    if (!balance && balance.error().code == Code::corrupt) {
      if (auto s = rebuild_balance(bucket, kZoneOfALostBalance); !s) return s.error();
      balance = this->balance(bucket);
    }
    if (!balance) return balance.error();
    if (state_of(stored->record) != UsageState::superseded) balance->pruned += usage.quantity;
    balance->pruned_date = std::max(balance->pruned_date, usage.usage_date);
    if (auto s = put_balance(bucket, *balance); !s) return s.error();
    if (auto s = forget(*stored); !s) return s.error();
    if (auto s = txn_.erase(key); !s) return s.error();
  }
  return ended.size();
}

Status WriteTransaction::forget(const StoredUsage& stored) {
  const auto usage = usage_of(stored.record);
  const auto sequence = stored.sequence;
  if (!stored.record.invoice_id().empty())
    if (auto s = txn_.erase(invoiced_key(stored.record, sequence)); !s) return s;
  for (const auto& gone :
       {usage_key(sequence), usage_id_key(usage.id), taken_key(usage.series, usage.usage_date, sequence),
        by_subscription_key(usage.series.subscription, sequence)})
    if (auto s = txn_.erase(gone); !s) return s;
  return {};
}

}  // namespace meterd::journal
