// Counting: buckets, slices, cursors, remembered ids.
#include "agent/base/limits.hpp"
#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {

Result<Balance> WriteTransaction::balance(const meter::BucketKey& bucket) const {
  const auto key = balance_key(bucket);
  auto raw = txn_.get(key);
  if (!raw) return raw.error();
  Balance out;
  if (raw->has_value()) {
    auto payload = unwrap(key, **raw);
    auto stored = payload ? decode_balance(*payload) : Result<Balance>(payload.error());
    if (!stored) return stored;
    out = std::move(*stored);
  }
  out.part_from_original(lineage_);
  return out;
}

Status WriteTransaction::put_balance(const meter::BucketKey& bucket, const Balance& balance) {
  if (!balance.holds()) ++conservation_errors_;
  const auto key = balance_key(bucket);
  return txn_.put(key, wrap(key, encode(balance)));
}

Result<bool> WriteTransaction::add(const meter::BucketKey& bucket, const meter::Tally& tally,
                                   const Opening& opening) {
  auto balance = this->balance(bucket);
  if (!balance) return balance.error();
  const Quantity grown = balance->open + tally.quantity;
  if (!grown.fits_usage()) {
    if (balance->open_events > 0) return false;
    return Error{Code::invalid, "a tally has more than 40 characters: no usage can hold it; add it in parts"};
  }
  balance->accepted += tally.quantity;
  balance->events += tally.events;
  if (balance->open_events == 0) {
    balance->opened_at_ms = opening.at.since_epoch.count();
    balance->seal_due_s = opening.seal_due_s;
    balance->zone = opening.zone;
    if (auto s = store_empty(txn_, seal_due_key(opening.seal_due_s, bucket)); !s) return s.error();
  }
  balance->open = grown;
  balance->open_events += tally.events;
  if (auto s = put_balance(bucket, *balance); !s) return s.error();
  return true;
}

Status WriteTransaction::add_to_slice(const SliceFields& slice, const meter::Tally& tally,
                                      const std::string& zone) {
  const auto key = slice_key(slice.boot_number, slice.second, slice.series);
  auto stored = load<v0::Slice>(txn_, key);
  if (!stored) return stored.error();
  v0::Slice value = stored->value_or(v0::Slice{});
  Quantity quantity = tally.quantity;
  if (!value.quantity().empty()) {
    auto before = Quantity::parse_total(value.quantity());
    if (!before) return Error{Code::corrupt, "a slice's quantity does not parse"};
    quantity += *before;
  }
  value.set_quantity(quantity.text());
  value.set_events(value.events() + tally.events);
  value.set_zone(zone);
  return store(txn_, key, value);
}

Result<std::vector<WriteTransaction::SliceRecord>> WriteTransaction::slices(std::uint32_t boot_number,
                                                                            std::size_t at_most) {
  std::vector<SliceRecord> out;
  std::vector<std::string> unreadable;
  auto scanned = txn_.scan(slice_prefix(boot_number), "", [&](std::string_view key, std::string_view value) {
    auto fields = parse_slice_key(key);
    auto payload = unwrap(key, value);
    SliceRecord record;
    if (!fields || !payload ||
        !record.value.ParseFromArray(payload->data(), static_cast<int>(payload->size()))) {
      unreadable.emplace_back(key);
      return true;
    }
    record.key = std::move(*fields);
    out.push_back(std::move(record));
    return out.size() < at_most;
  });
  if (!scanned) return scanned.error();
  for (const auto& key : unreadable)
    if (auto s = set_aside(key); !s) return s.error();
  return out;
}

Status WriteTransaction::erase_slice(const SliceFields& slice) {
  return txn_.erase(slice_key(slice.boot_number, slice.second, slice.series));
}

Result<std::vector<WriteTransaction::UndatedBoot>> WriteTransaction::undated_boots(
    std::uint32_t before) const {
  std::vector<UndatedBoot> out;
  auto scanned = txn_.scan(prefix(Kind::slice), "", [&](std::string_view key, std::string_view) {
    const auto fields = parse_slice_key(key);
    if (!fields) return true;  // set aside when its boot's turn comes
    if (fields->boot_number >= before) return false;
    if (fields->boot_number < lineage_.first_own_boot) return true;
    if (out.empty() || out.back().number != fields->boot_number) out.push_back({fields->boot_number, 0});
    out.back().seconds = fields->second + kSliceSeconds;
    return true;
  });
  if (!scanned) return scanned.error();
  return out;
}

Status WriteTransaction::put_counter(std::string_view source, const CounterCursor& cursor) {
  return store(txn_, counter_key(source), cursor);
}

Status WriteTransaction::forget_counter(std::string_view source) { return txn_.erase(counter_key(source)); }

Status WriteTransaction::put_source_gaps(std::string_view source, const SourceGaps& gaps) {
  return store(txn_, source_gaps_key(source), gaps);
}

Status WriteTransaction::put_producer(std::string_view producer, const ProducerCursor& cursor) {
  return store(txn_, producer_key(producer), cursor);
}

Result<v0::General> WriteTransaction::general() const {
  auto general = load<v0::General>(txn_, general_key());
  if (!general) return general.error();
  return general->value_or(v0::General{});
}

Status WriteTransaction::put_general(const v0::General& general) {
  return store(txn_, general_key(), general);
}

Status WriteTransaction::put_audit(const Act& act, const Moment& now) {
  auto general = this->general();
  if (!general) return general.error();
  AuditRecord record;
  record.set_at_ms(now.wall.since_epoch.count());
  record.set_trusted(now.trusted);
  record.set_boot(now.boot.boot_number);
  record.set_since_boot_ms(now.boot.since_boot_ms);
  record.set_by(act.by);
  record.set_act(act.act);
  record.set_detail(act.detail);
  if (auto s = store(txn_, audit_key(general->audited()), record); !s) return s;
  general->set_audited(general->audited() + 1);
  return put_general(*general);
}

Status WriteTransaction::put_last_trusted(const Moment& now) {
  auto general = this->general();
  if (!general) return general.error();
  general->set_last_trusted_ms(now.wall.since_epoch.count());
  general->set_trusted_boot(now.boot.boot_number);
  general->set_trusted_offset_ms(now.wall.since_epoch.count() - now.boot.since_boot_ms);
  return put_general(*general);
}

}  // namespace meterd::journal
