// After damage: what follows from records that can be read is made again from them. Each pass visits one kind
// of record and looks at no more than its neighbours, so that it can go on in another transaction.
#include <algorithm>
#include <array>
#include <map>

#include "agent/journal/audit.hpp"
#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {
namespace {

// What was given out since the last record that can be read is not known: numbers are not used twice.
constexpr std::uint64_t kNumbersSkipped = 1'000;

// The highest numbers and the latest times that any record names.
struct Highest {
  std::uint64_t sequence = 0;
  std::uint32_t boot_number = 0;
  std::uint64_t set_aside = 0;  // and one
  std::int64_t wall_ms = 0;
  std::uint64_t acts = 0;
  std::uint32_t copies = 0;
  std::uint32_t revision = 0;
  std::int64_t version = 0;

  void see(std::string_view key, std::string_view payload) {
    if (const auto number = parse_usage_key(key)) see_usage(*number, payload);
    if (const auto outbox = parse_outbox_key(key)) {
      sequence = std::max(sequence, outbox->entry.sequence);
      boot_number = std::max(boot_number, outbox->entry.due.boot_number);
    }
    if (const auto history = parse_history_key(key)) sequence = std::max(sequence, history->sequence);
    if (const auto slice = parse_slice_key(key)) boot_number = std::max(boot_number, slice->boot_number);
    if (const auto aside = parse_set_aside_key(key)) set_aside = std::max(set_aside, aside->number + 1);
    const auto kind = static_cast<Kind>(key.front());
    if (kind == Kind::upstream) see_upstream(payload);
    if (kind == Kind::balance) see_balance(payload);
    if (const auto act = parse_number(key.substr(1)); kind == Kind::audit && act)
      acts = std::max(acts, *act + 1);
    if (kind != Kind::taken_date && kind != Kind::usage_id) return;
    if (const auto number = parse_number(payload)) sequence = std::max(sequence, *number);
  }
  void see_usage(std::uint64_t number, std::string_view payload) {
    sequence = std::max(sequence, number);
    UsageRecord record;
    if (!record.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return;
    boot_number = std::max(boot_number, record.due_boot());
    copies = std::max(copies, record.reconciled_copies());
    version = std::max(version, record.resource_version());
    wall_ms = std::max({wall_ms, record.created_at_ms(), record.ended_at_ms(), record.last_attempt_ms()});
  }
  void see_upstream(std::string_view payload) {
    UpstreamState state;
    if (!state.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return;
    boot_number = std::max(boot_number, state.paused_boot());
    copies = std::max(copies, state.reconciled_copies());
  }
  void see_balance(std::string_view payload) {
    const auto balance = decode_balance(payload);
    if (!balance) return;
    copies = std::max(copies, balance->copies);
    revision = std::max(revision, balance->next_revision);
  }
};

bool is_readable(std::string_view key, std::string_view value) {
  const auto payload = unwrap(key, value);
  if (!payload) return false;
  const auto parses = [&](auto message) {
    return message.ParseFromArray(payload->data(), static_cast<int>(payload->size()));
  };
  if (key.empty()) return false;
  switch (static_cast<Kind>(key.front())) {
    case Kind::balance:
      return parse_balance_key(key).ok() && decode_balance(*payload).ok();
    case Kind::usage:
      return parse_usage_key(key).ok() && parses(UsageRecord{});
    default:
      return true;
  }
}

// Whether a balance whose checksum fails reads as one all the same: then it is its key that was damaged.
bool reads_as_balance(std::string_view value) {
  if (value.size() < 4) return false;
  const auto balance = decode_balance(value.substr(4));
  return balance && balance->holds() && !balance->accepted.is_zero();
}

}  // namespace

Result<WriteTransaction::Taken> WriteTransaction::take_unreadable() {
  Taken taken;
  const auto unreadable = [](std::string_view key, std::string_view value) {
    return !is_readable(key, value);
  };
  if (auto s = txn_.take(unreadable, taken); !s) return s.error();
  return taken;
}

Result<Migrated> WriteTransaction::migrate() {
  auto migrated = journal::migrate(txn_);
  if (!migrated) return migrated.error();
  if (!migrated->has_value())
    return Error{Code::corrupt,
                 "its stamp is missing or cannot be read: it is damaged, or not a journal of meterd"};
  return std::move(**migrated);
}

Status WriteTransaction::set_taken_aside(const Taken& taken) {
  auto general = load<v0::General>(txn_, general_key());
  if (!general) return general.error();
  if (!general->has_value())
    if (auto s = rebuild_general(); !s) return s;
  auto known = this->general();
  if (!known) return known.error();
  lineage_ = lineage_of(*known);
  for (const auto& [key, value] : taken) {
    auto right = right_key_of(value);
    if (!right) return right.error();
    if (!right->empty()) {
      ++healed_;
      if (auto s = txn_.put(*right, value); !s) return s;
      continue;
    }
    if (auto s = keep_aside(key, value); !s) return s;
    const auto bucket = parse_balance_key(key);
    if (!bucket || reads_as_balance(value)) continue;
    // Its revisions must not come again. A damaged key may be another record's: that one stays.
    auto there = txn_.get(key);
    if (!there) return there.error();
    if (there->has_value()) continue;
    if (auto s = rebuild_balance(*bucket, kZoneOfALostBalance); !s) return s;
  }
  return {};
}

// The checksum covers the key: where an index names the record that is missing, and the value's checksum
// holds under that key, only the key was damaged, and the record is whole. Empty: none is found.
Result<std::string> WriteTransaction::right_key_of(std::string_view value) const {
  if (value.size() < 4) return std::string();
  const auto fits = [&](const std::string& key) {
    const auto there = txn_.get(key);
    return there && !there->has_value() && unwrap(key, value).ok();
  };
  const auto payload = value.substr(4);
  UsageRecord record;
  if (record.ParseFromArray(payload.data(), static_cast<int>(payload.size())) && !record.id().empty() &&
      record.id().size() <= UINT8_MAX) {
    const auto number = load_number(txn_, usage_id_key(UsageId(record.id())));
    if (number && number->has_value() && fits(usage_key(**number))) return usage_key(**number);
  }
  std::string found;
  if (!reads_as_balance(value)) return found;
  auto scanned = txn_.scan(prefix(Kind::seal_due), "", [&](std::string_view key, std::string_view) {
    const auto due = parse_seal_due_key(key);
    if (due && fits(balance_key(due->bucket))) found = balance_key(due->bucket);
    return found.empty();
  });
  if (!scanned) return scanned.error();
  scanned = txn_.scan(prefix(Kind::usage), "", [&](std::string_view, std::string_view usage_value) {
    UsageRecord each;
    const auto bytes = usage_value.substr(4);
    if (!found.empty() || !each.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      return found.empty();
    const auto usage = usage_of(each);
    if (const auto key = balance_key({usage.day, usage.series}); fits(key)) found = key;
    return found.empty();
  });
  if (!scanned) return scanned.error();
  return found;
}

Status WriteTransaction::rebuild_general() {
  Highest highest;
  auto scanned = txn_.scan("", "", [&](std::string_view key, std::string_view value) {
    if (const auto payload = unwrap(key, value)) highest.see(key, *payload);
    return true;
  });
  if (!scanned) return scanned;
  v0::General general;
  general.set_next_sequence(highest.sequence + kNumbersSkipped);
  general.set_boot_number(highest.boot_number + static_cast<std::uint32_t>(kNumbersSkipped));
  general.set_set_aside(highest.set_aside);
  general.set_last_trusted_ms(highest.wall_ms);
  general.set_audited(highest.acts);
  general.set_last_version(highest.version);
  if (highest.copies > 0) {  // which upstreams are still held is not known: all of them
    general.set_copies(highest.copies);
    general.set_first_revision(highest.revision);
    begin_restored(general, 0);
  }
  return put_general(general);
}

Result<bool> WriteTransaction::restore_some(RestorePlace& from, std::size_t at_most) {
  using Restore = Status (WriteTransaction::*)(const std::string&);
  struct Pass {
    Kind kind;
    Restore restore;
  };
  // In this order: sums are made from the usages that hold a second, entries from the sums.
  static constexpr std::array<Pass, 5> kPasses{{{Kind::usage, &WriteTransaction::restore_usage},
                                                {Kind::usage, &WriteTransaction::restore_balance_of},
                                                {Kind::seal_due, &WriteTransaction::restore_seal},
                                                {Kind::balance, &WriteTransaction::restore_balance},
                                                {Kind::outbox, &WriteTransaction::restore_outbox_entry}}};
  if (from.pass == static_cast<int>(kPasses.size())) {
    if (auto s = restore_counts(); !s) return s.error();
    ++from.pass;
    return false;
  }
  const auto& pass = kPasses.at(static_cast<std::size_t>(from.pass));
  std::vector<std::string> keys;
  auto scanned = txn_.scan(prefix(pass.kind), from.after, [&](std::string_view key, std::string_view) {
    if (key != from.after) keys.emplace_back(key);
    return keys.size() < at_most;
  });
  if (!scanned) return scanned.error();
  for (const auto& key : keys)
    if (auto s = (this->*pass.restore)(key); !s) return s.error();
  if (keys.size() < at_most)
    from = {from.pass + 1, {}};
  else
    from.after = keys.back();
  return true;
}

Status WriteTransaction::restore_usage(const std::string& key) {
  auto record = load<UsageRecord>(txn_, key);
  if (!record) return record.error();
  const auto sequence = parse_usage_key(key);
  if (!sequence) return sequence.error();
  auto restored = restore_order(*sequence, **record);
  if (!restored) return restored.error();
  *record = std::move(*restored);
  if ((*record)->deletes() != 0) return restore_place(*sequence, **record);
  const auto usage = usage_of(**record);
  auto by_id = load_number(txn_, usage_id_key(usage.id));
  if (!by_id) return by_id.error();
  if (*by_id != *sequence)
    if (auto s = store_number(txn_, usage_id_key(usage.id), *sequence); !s) return s;
  const auto taken = taken_key(usage.series, usage.usage_date, *sequence);
  auto by_date = load_number(txn_, taken);
  if (!by_date) return by_date.error();
  if (!by_date->has_value())
    if (auto s = store_number(txn_, taken, *sequence); !s) return s;
  const auto listed = by_subscription_key(usage.series.subscription, *sequence);
  auto there = txn_.get(listed);
  if (!there) return there.error();
  if (!there->has_value())
    if (auto s = store_empty(txn_, listed); !s) return s;
  if (!(*record)->invoice_id().empty()) {
    const auto invoiced = invoiced_key(**record, *sequence);
    auto entry = txn_.get(invoiced);
    if (!entry) return entry.error();
    if (!entry->has_value())
      if (auto s = store_empty(txn_, invoiced); !s) return s;
  }
  return restore_place(*sequence, **record);
}

Status WriteTransaction::restore_place(std::uint64_t sequence, const UsageRecord& record) {
  const bool ended = has_ended(state_of(record));
  const auto place = ended ? history_key(record.ended_at_ms() / 1'000, sequence)
                           : outbox_key(UpstreamName(record.upstream()), outbox_entry(sequence, record));
  if (ended && !is_in_history(record)) return txn_.erase(place);
  auto entry = txn_.get(place);
  if (!entry) return entry.error();
  return entry->has_value() ? Status() : store_empty(txn_, place);
}

// What it waits for, or is to be deleted by, may be lost: then it waits for nothing.
Result<UsageRecord> WriteTransaction::restore_order(std::uint64_t sequence, UsageRecord record) {
  const auto is_open = [&](std::uint64_t other, auto&& names_it) -> Result<bool> {
    auto stored = usage_if_kept(other);
    if (!stored && stored.error().code == Code::corrupt) return true;  // let go of when that is set aside
    if (!stored) return stored.error();
    return stored->has_value() && !has_ended(state_of((*stored)->record)) && names_it((*stored)->record);
  };
  bool changed = false;
  if (record.behind() != 0) {
    auto open = is_open(record.behind(), [&](const auto& other) { return other.followed_by() == sequence; });
    if (!open) return open.error();
    if (!*open) {
      if (auto s = txn_.erase(outbox_key(UpstreamName(record.upstream()), outbox_entry(sequence, record)));
          !s)
        return s.error();
      record.set_behind(0);
      changed = true;
    }
  }
  if (record.deleted_by() != 0 && state_of(record) != UsageState::withdrawn) {
    auto open = is_open(record.deleted_by(), [&](const auto& other) { return other.deletes() == sequence; });
    if (!open) return open.error();
    if (!*open) {
      record.set_deleted_by(0);
      changed = true;
    }
  }
  if (changed)
    if (auto s = store(txn_, usage_key(sequence), record); !s) return s.error();
  return record;
}

Status WriteTransaction::restore_balance_of(const std::string& usage_key) {
  auto record = load<UsageRecord>(txn_, usage_key);
  if (!record) return record.error();
  if ((*record)->deletes() != 0) return {};
  const auto usage = usage_of(**record);
  const meter::BucketKey bucket{usage.day, usage.series};
  auto raw = txn_.get(balance_key(bucket));
  if (!raw) return raw.error();
  return raw->has_value() ? Status() : rebuild_balance(bucket, kZoneOfALostBalance);
}

// An entry without its balance is what is left of a bucket that was open.
Status WriteTransaction::restore_seal(const std::string& key) {
  const auto due = parse_seal_due_key(key);
  if (!due) return due.error();
  auto raw = txn_.get(balance_key(due->bucket));
  if (!raw) return raw.error();
  if (!raw->has_value())
    if (auto s = rebuild_balance(due->bucket, kZoneOfALostBalance); !s) return s;
  auto balance = this->balance(due->bucket);
  if (!balance) return balance.error();
  return balance->open_events > 0 && balance->seal_due_s == due->due_s ? Status() : txn_.erase(key);
}

Status WriteTransaction::restore_balance(const std::string& key) {
  const auto bucket = parse_balance_key(key);
  if (!bucket) return bucket.error();
  if (auto s = settle_balance(*bucket); !s) return s;
  auto balance = this->balance(*bucket);
  if (!balance) return balance.error();
  if (balance->open_events == 0) return {};
  const auto due = seal_due_key(balance->seal_due_s, *bucket);
  auto entry = txn_.get(due);
  if (!entry) return entry.error();
  return entry->has_value() ? Status() : store_empty(txn_, due);
}

Status WriteTransaction::restore_outbox_entry(const std::string& key) {
  const auto fields = parse_outbox_key(key);
  if (!fields) return fields.error();
  auto stored = usage(fields->entry.sequence);
  if (!stored && stored.error().code != Code::corrupt) return stored.error();
  const bool right = stored && !has_ended(state_of(stored->record)) &&
                     outbox_key(fields->upstream, outbox_entry(stored->sequence, stored->record)) == key;
  return right ? Status() : txn_.erase(key);
}

Status WriteTransaction::restore_counts() {
  struct Counts {
    std::uint64_t waiting = 0, in_doubt = 0, parked = 0;
  };
  std::map<UpstreamName, Counts> counts;
  auto scanned = txn_.scan(prefix(Kind::upstream), "", [&](std::string_view key, std::string_view) {
    counts[UpstreamName(key.substr(2))];  // kind, length, text
    return true;
  });
  if (!scanned) return scanned;
  scanned = txn_.scan(prefix(Kind::outbox), "", [&](std::string_view key, std::string_view) {
    const auto fields = parse_outbox_key(key);
    if (!fields) return true;
    auto& of = counts[fields->upstream];
    const auto lane = fields->entry.lane;
    ++(lane == Lane::parked ? of.parked : lane == Lane::in_doubt ? of.in_doubt : of.waiting);
    return true;
  });
  if (!scanned) return scanned;
  for (const auto& [name, of] : counts) {
    auto state = upstream(name);
    if (!state) return state.error();
    if (state->waiting() == of.waiting && state->in_doubt() == of.in_doubt && state->parked() == of.parked)
      continue;
    state->set_waiting(of.waiting);
    state->set_in_doubt(of.in_doubt);
    state->set_parked(of.parked);
    if (auto s = put_upstream(name, *state); !s) return s;
  }
  return {};
}

}  // namespace meterd::journal
