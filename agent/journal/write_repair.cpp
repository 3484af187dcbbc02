// Repair: what cannot be read is moved aside and counted, and the rest goes on (invariant 9).
#include <algorithm>

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
  const std::string value(**raw);
  auto general = this->general();
  if (!general) return general.error();
  // Numbered: what comes from the same place later does not replace it.
  const std::string aside = prefix(Kind::set_aside) + number_value(general->set_aside()) + key;
  if (auto s = txn_.put(aside, wrap(aside, value)); !s) return s;
  if (auto s = txn_.erase(key); !s) return s;
  general->set_set_aside(general->set_aside() + 1);
  return put_general(*general);
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
  return {};
}

Status WriteTransaction::rebuild_balance(const meter::BucketKey& bucket, const std::string& zone) {
  if (auto s = set_aside(balance_key(bucket)); !s) return s;
  std::vector<std::uint64_t> sequences;
  auto scanned =
      txn_.scan(taken_prefix(bucket.series), "", [&](std::string_view key, std::string_view value) {
        auto payload = unwrap(key, value);
        auto sequence = payload ? parse_number(*payload) : Result<std::uint64_t>(payload.error());
        if (sequence) sequences.push_back(*sequence);
        return true;
      });
  if (!scanned) return scanned;

  Balance balance;
  balance.zone = zone;
  for (const auto sequence : sequences) {
    auto stored = usage(sequence);
    if (!stored) continue;  // unreadable too: it is set aside when its turn comes
    const auto usage = usage_of(stored->record);
    if (usage.day != bucket.day) continue;
    balance.next_revision = std::max(balance.next_revision, usage.revision + 1);
    Quantity* part = balance.part(state_of(stored->record));
    if (part == nullptr) continue;
    *part += usage.quantity;
    balance.accepted += usage.quantity;
    balance.events += usage.events;
  }
  balance.next_revision += kRevisionsSkipped;
  balance.part_from_original(lineage_);
  return put_balance(bucket, balance);
}

}  // namespace meterd::journal
