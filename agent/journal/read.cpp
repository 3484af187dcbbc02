#include "agent/journal/read.hpp"

#include <algorithm>
#include <map>

#include "agent/journal/records.hpp"

namespace meterd::journal {
namespace {

// Runs `visit` over a kind's records; `visit` returns false to stop and sets `failed` to fail.
Status each(const Transaction& txn, const std::string& prefix, const Transaction::Visit& visit) {
  return txn.scan(prefix, "", visit);
}

Result<std::int64_t> oldest_waiting(const Transaction& txn, const UpstreamName& upstream) {
  std::int64_t oldest = 0;
  for (const Lane lane : {Lane::delayed, Lane::ready, Lane::behind}) {
    std::optional<std::uint64_t> first;
    auto s = each(txn, outbox_prefix(upstream, lane), [&](std::string_view key, std::string_view) {
      if (auto fields = parse_outbox_key(key)) first = fields->entry.sequence;
      return false;
    });
    if (!s) return s.error();
    if (!first) continue;
    auto record = load<UsageRecord>(txn, usage_key(*first));
    if (!record) return record.error();
    if (!record->has_value()) continue;
    const auto created = (*record)->created_at_ms();
    if (oldest == 0 || created < oldest) oldest = created;
  }
  return oldest;
}

}  // namespace

Result<Overview> read_overview(const Journal& journal) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  Overview out;
  auto s = each(*txn, prefix(Kind::seal_due), [&](std::string_view key, std::string_view) {
    ++out.open_buckets;
    const auto fields = parse_seal_due_key(key);
    if (!fields) return true;
    if (out.open_buckets == 1) out.next_seal_s = fields->due_s;
    ++out.open_by_upstream[fields->bucket.series.upstream];
    ++out.open_by_item_price[{fields->bucket.series.upstream, fields->bucket.series.item_price}];
    return true;
  });
  if (!s) return s.error();
  s = each(*txn, prefix(Kind::slice), [&](auto, auto) {
    ++out.undated_slices;
    return true;
  });
  if (!s) return s.error();
  Status failed;
  s = each(*txn, prefix(Kind::upstream), [&](std::string_view key, std::string_view value) {
    auto payload = unwrap(key, value);
    UpstreamRow row;
    if (!payload || !row.state.ParseFromArray(payload->data(), static_cast<int>(payload->size()))) {
      failed = Error{Code::corrupt, "an upstream's record does not parse"};
      return false;
    }
    row.name = UpstreamName(key.substr(2));  // kind, length, text
    out.upstreams.push_back(std::move(row));
    return true;
  });
  if (!s) return s.error();
  if (!failed) return failed.error();
  for (auto& row : out.upstreams) {
    auto oldest = oldest_waiting(*txn, row.name);
    if (!oldest) return oldest.error();
    row.oldest_waiting_ms = *oldest;
  }
  auto general = load<v0::General>(*txn, general_key());
  if (!general) return general.error();
  const auto known = general->value_or(v0::General{});
  out.set_aside = known.set_aside();
  out.holds_new = is_held(known, UpstreamState{});
  for (auto& row : out.upstreams) row.held = is_held(known, row.state);
  return out;
}

Result<std::vector<BalanceRow>> read_balances(const Journal& journal, std::size_t at_most) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  std::vector<BalanceRow> out;
  Status failed;
  auto s = each(*txn, prefix(Kind::balance), [&](std::string_view key, std::string_view value) {
    auto bucket = parse_balance_key(key);
    auto payload = unwrap(key, value);
    auto balance = payload ? decode_balance(*payload) : Result<Balance>(payload.error());
    if (!bucket || !balance) {
      failed = Error{Code::corrupt, "a balance record cannot be read"};
      return false;
    }
    out.push_back({std::move(*bucket), std::move(*balance)});
    return out.size() < at_most;
  });
  if (!s) return s.error();
  if (!failed) return failed.error();
  return out;
}

Result<std::vector<UndatedRow>> read_undated(const Journal& journal, std::size_t at_most) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  std::map<std::pair<std::uint32_t, meter::SeriesKey>, UndatedRow> rows;
  auto s = each(*txn, prefix(Kind::slice), [&](std::string_view key, std::string_view value) {
    auto fields = parse_slice_key(key);
    auto payload = unwrap(key, value);
    v0::Slice slice;
    if (!fields || !payload || !slice.ParseFromArray(payload->data(), static_cast<int>(payload->size())))
      return true;  // set aside when its turn comes
    auto quantity = Quantity::parse_total(slice.quantity());
    if (!quantity) return true;
    auto& row = rows[{fields->boot_number, fields->series}];
    row.tally += {*quantity, slice.events()};
    row.seconds = fields->second + kSliceSeconds;
    return rows.size() < at_most;
  });
  if (!s) return s.error();
  std::vector<UndatedRow> out;
  for (auto& [key, row] : rows) out.push_back({key.first, key.second, row.tally, row.seconds});
  return out;
}

Result<std::vector<AuditRecord>> read_audit(const Journal& journal, std::size_t at_most) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  auto general = load<v0::General>(*txn, general_key());
  if (!general) return general.error();
  std::vector<AuditRecord> out;
  for (auto number = general->value_or(v0::General{}).audited(); number > 0 && out.size() < at_most;
       --number) {
    auto record = load<AuditRecord>(*txn, audit_key(number - 1));
    if (!record && record.error().code != Code::corrupt) return record.error();
    if (record && record->has_value()) out.push_back(std::move(**record));
  }
  return out;
}

Result<std::vector<BucketRow>> read_buckets(const Journal& journal, std::size_t at_most) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  std::vector<BucketRow> out;
  Status failed;
  auto s = each(*txn, prefix(Kind::seal_due), [&](std::string_view key, std::string_view) {
    auto due = parse_seal_due_key(key);
    if (!due) return true;
    const auto at = balance_key(due->bucket);
    auto raw = txn->get(at);
    if (!raw || !raw->has_value()) return true;
    auto payload = unwrap(at, **raw);
    auto balance = payload ? decode_balance(*payload) : Result<Balance>(payload.error());
    if (!balance) {
      failed = balance.error();
      return false;
    }
    out.push_back({due->bucket, balance->open, balance->open_events, balance->seal_due_s});
    return out.size() < at_most;
  });
  if (!s) return s.error();
  if (!failed) return failed.error();
  return out;
}

Result<std::vector<StoredUsage>> read_outbox(const Journal& journal, std::size_t at_most,
                                             std::optional<Lane> only) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  std::vector<UpstreamName> upstreams;
  auto s = each(*txn, prefix(Kind::upstream), [&](std::string_view key, std::string_view) {
    upstreams.emplace_back(key.substr(2));  // kind, length, text
    return true;
  });
  if (!s) return s.error();
  std::vector<std::uint64_t> sequences;
  for (const Lane lane : {Lane::parked, Lane::in_doubt, Lane::delayed, Lane::ready, Lane::behind}) {
    if (only && lane != *only) continue;
    for (const auto& upstream : upstreams) {
      s = each(*txn, outbox_prefix(upstream, lane), [&](std::string_view key, std::string_view) {
        if (auto fields = parse_outbox_key(key)) sequences.push_back(fields->entry.sequence);
        return sequences.size() < at_most;
      });
      if (!s) return s.error();
      if (sequences.size() >= at_most) break;
    }
  }
  sequences.resize(std::min(sequences.size(), at_most));
  std::vector<StoredUsage> out;
  for (const auto sequence : sequences) {
    auto record = load<UsageRecord>(*txn, usage_key(sequence));
    if (!record) return record.error();
    if (record->has_value()) out.push_back({sequence, std::move(**record)});
  }
  return out;
}

Result<std::vector<StoredUsage>> read_unreconciled(const Journal& journal, const UpstreamName& upstream,
                                                   std::uint64_t after, std::size_t at_most) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  return WriteTransaction(std::move(*txn), nullptr, journal.lineage()).unreconciled(upstream, after, at_most);
}

Result<std::vector<StoredUsage>> read_unreconciled(const Journal& journal, const meter::BucketKey& bucket) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  return WriteTransaction(std::move(*txn), nullptr, journal.lineage()).unreconciled(bucket);
}

Result<std::vector<UpstreamName>> read_held(const Journal& journal) {
  std::vector<UpstreamName> out;
  if (journal.lineage().copies == 0) return out;
  auto overview = read_overview(journal);
  if (!overview) return overview.error();
  for (const auto& row : overview->upstreams)
    if (row.held) out.push_back(row.name);
  return out;
}

Result<std::optional<StoredUsage>> read_usage(const Journal& journal, const UsageId& id) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  return WriteTransaction(std::move(*txn)).find_usage(id);
}

Result<ProducerCursor> read_producer(const Journal& journal, std::string_view producer) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  auto cursor = load<ProducerCursor>(*txn, producer_key(producer));
  if (!cursor) return cursor.error();
  return cursor->value_or(ProducerCursor{});
}

Result<std::optional<CounterCursor>> read_counter(const Journal& journal, std::string_view source) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  return load<CounterCursor>(*txn, counter_key(source));
}

Result<std::optional<std::int64_t>> read_next_seal(const Journal& journal) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  std::optional<std::int64_t> next;
  auto s = each(*txn, prefix(Kind::seal_due), [&](std::string_view key, std::string_view) {
    if (auto fields = parse_seal_due_key(key)) next = fields->due_s;
    return false;
  });
  if (!s) return s.error();
  return next;
}

Result<SendPlan> read_send_plan(const Journal& journal, const UpstreamName& upstream,
                                std::int64_t since_boot_ms) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  SendPlan plan;
  auto state = load<UpstreamState>(*txn, upstream_key(upstream));
  if (!state) return state.error();
  plan.state = state->value_or(UpstreamState{});
  auto general = load<v0::General>(*txn, general_key());
  if (!general) return general.error();
  plan.held = is_held(general->value_or(v0::General{}), plan.state);
  auto s = each(*txn, outbox_prefix(upstream, Lane::ready), [&](auto, auto) {
    plan.ready = true;
    return false;
  });
  if (!s) return s.error();
  if (plan.ready) return plan;
  s = each(*txn, outbox_prefix(upstream, Lane::delayed), [&](std::string_view key, std::string_view) {
    auto fields = parse_outbox_key(key);
    if (!fields) return true;
    const auto& due = fields->entry.due;
    plan.ready = due.boot_number != journal.boot_number() || due.since_boot_ms <= since_boot_ms;
    if (!plan.ready) plan.next_due_ms = due.since_boot_ms;
    return false;
  });
  if (!s) return s.error();
  return plan;
}

}  // namespace meterd::journal
