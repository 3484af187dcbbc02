// A journal that is a copy of another one: what holds its upstreams, and what ends that (lineage.hpp).
#include <algorithm>
#include <map>
#include <set>

#include "agent/journal/records.hpp"
#include "agent/journal/source_records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {

Result<bool> WriteTransaction::is_held(const UpstreamName& name) const {
  if (lineage_.copies == 0) return false;
  auto general = this->general();
  if (!general) return general.error();
  auto state = upstream(name);
  if (!state) return state.error();
  return journal::is_held(*general, *state);
}

Result<std::vector<StoredUsage>> WriteTransaction::unreconciled(const UpstreamName& name, std::uint64_t after,
                                                                std::size_t at_most) const {
  std::vector<std::uint64_t> sequences;
  auto scanned = txn_.scan(outbox_prefix(name), "", [&](std::string_view key, std::string_view) {
    if (auto fields = parse_outbox_key(key); fields && fields->entry.sequence > after)
      sequences.push_back(fields->entry.sequence);
    return true;
  });
  if (!scanned) return scanned.error();
  std::sort(sequences.begin(), sequences.end());
  std::vector<StoredUsage> out;
  for (const auto sequence : sequences) {
    auto stored = usage(sequence);
    if (!stored && stored.error().code == Code::corrupt) continue;  // set aside when it would be sent
    if (!stored) return stored.error();
    if (!needs_reconciling(*stored)) continue;
    out.push_back(std::move(*stored));
    if (out.size() >= at_most) break;
  }
  return out;
}

bool WriteTransaction::needs_reconciling(const StoredUsage& stored) const {
  const auto& record = stored.record;
  if (record.deletes() != 0) return false;  // asking again to delete what is gone changes nothing
  if (has_ended(state_of(record)) || record.reconciled_copies() >= lineage_.copies) return false;
  return stored.sequence < lineage_.first_own_sequence || record.copied();
}

Result<std::vector<StoredUsage>> WriteTransaction::unreconciled(const meter::BucketKey& bucket) const {
  // Wherever its zone puts the day, its usages are dated within a day of the day's date.
  constexpr std::int64_t kDay = 86'400;
  const std::int64_t start = std::int64_t{bucket.day.days_since_epoch()} * kDay;
  std::vector<std::uint64_t> sequences;
  auto scanned = txn_.scan(taken_prefix(bucket.series), taken_prefix(bucket.series, start - kDay),
                           [&](std::string_view key, std::string_view value) {
                             auto date = parse_taken_date(key);
                             if (date && *date > start + 2 * kDay) return false;
                             auto payload = unwrap(key, value);
                             auto sequence =
                                 payload ? parse_number(*payload) : Result<std::uint64_t>(payload.error());
                             if (sequence) sequences.push_back(*sequence);
                             return true;
                           });
  if (!scanned) return scanned.error();
  std::vector<StoredUsage> out;
  for (const auto sequence : sequences) {
    auto stored = usage(sequence);
    if (!stored && stored.error().code == Code::corrupt) continue;
    if (!stored) return stored.error();
    if (stored->record.day() == bucket.day.days_since_epoch() && needs_reconciling(*stored))
      out.push_back(std::move(*stored));
  }
  return out;
}

Result<std::vector<meter::BucketKey>> WriteTransaction::copied_buckets(const UpstreamName& name,
                                                                       std::size_t at_most) const {
  std::vector<meter::BucketKey> out;
  Status failed;
  auto scanned = txn_.scan(prefix(Kind::seal_due), "", [&](std::string_view key, std::string_view) {
    auto due = parse_seal_due_key(key);
    if (!due || due->bucket.series.upstream != name) return true;
    auto balance = this->balance(due->bucket);
    if (!balance && balance.error().code == Code::corrupt) return true;  // made anew when it is to be sealed
    if (!balance) {
      failed = balance.error();
      return false;
    }
    if (!balance->copied.empty()) out.push_back(due->bucket);
    return out.size() < at_most;
  });
  if (!scanned) return scanned.error();
  if (!failed) return failed.error();
  return out;
}

Status WriteTransaction::mark_reconciled(std::uint64_t sequence) {
  auto stored = usage(sequence);
  if (!stored) return stored.error();
  stored->record.set_reconciled_copies(lineage_.copies);
  return store(txn_, usage_key(sequence), stored->record);
}

Status WriteTransaction::release(const UpstreamName& name, std::span<const UpstreamName> configured) {
  auto general = this->general();
  if (!general) return general.error();
  auto state = upstream(name);
  if (!state) return state.error();
  state->set_reconciled_copies(lineage_.copies);
  state->set_unreconciled(false);
  if (auto s = put_upstream(name, *state); !s) return s;
  for (const auto& one : configured) {
    auto held = is_held(one);
    if (!held) return held.error();
    if (*held) return {};
  }
  std::set<UpstreamName> known;
  auto scanned = txn_.scan(prefix(Kind::upstream), "", [&](std::string_view key, std::string_view) {
    known.emplace(key.substr(2));  // kind, length, text
    return true;
  });
  if (!scanned) return scanned;
  scanned = txn_.scan(prefix(Kind::seal_due), "", [&](std::string_view key, std::string_view) {
    if (auto due = parse_seal_due_key(key)) known.insert(due->bucket.series.upstream);
    return true;
  });
  if (!scanned) return scanned;
  for (const auto& one : known) {
    auto left = upstream(one);
    if (!left) return left.error();
    if (!journal::is_held(*general, *left)) continue;
    left->set_unreconciled(true);
    if (auto s = put_upstream(one, *left); !s) return s;
  }
  general->set_all_reconciled_copies(lineage_.copies);
  return put_general(*general);
}

Status WriteTransaction::mark_counters_copied(WallTime now) {
  std::vector<std::string> keys;
  auto scanned = txn_.scan(prefix(Kind::counter), "", [&](std::string_view key, std::string_view) {
    keys.emplace_back(key);
    return true;
  });
  if (!scanned) return scanned;
  std::map<std::string, std::int64_t> forgotten;  // when each source was read last
  for (const auto& key : keys) {
    auto cursor = load<CounterCursor>(txn_, key);
    if (!cursor) return cursor.error();
    if (!(*cursor)->has_shared()) {
      mark_copied(**cursor);
      if (auto s = store(txn_, key, **cursor); !s) return s;
      continue;
    }
    // Memory that is still there is shown by its source; of the rest nobody else would tell.
    const auto name = parse_source_key(key);
    if (!name) return name.error();
    auto& read_ms = forgotten[name->substr(0, name->find('/'))];
    read_ms = std::max(read_ms, (*cursor)->read_ms());
    if (auto s = txn_.erase(key); !s) return s;
  }
  for (const auto& [source, read_ms] : forgotten) {
    auto gaps = load<SourceGaps>(txn_, source_gaps_key(source));
    if (!gaps) return gaps.error();
    auto all = gaps->value_or(SourceGaps{});
    Gap gap;
    gap.set_from_ms(read_ms);
    gap.set_until_ms(now.since_epoch.count());
    gap.set_reason(kPutBack);
    append(all, std::move(gap));
    if (auto s = put_source_gaps(source, all); !s) return s;
  }
  return {};
}

}  // namespace meterd::journal
