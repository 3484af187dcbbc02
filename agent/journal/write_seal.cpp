// Sealing: which buckets are due, which second is free, and the freeze itself.
#include <algorithm>

#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {
namespace {

// A usage is found again by these records; all are written with it.
Status index_usage(Transaction& txn, std::uint64_t sequence, const meter::Usage& usage) {
  if (auto s = store_number(txn, usage_id_key(usage.id), sequence); !s) return s;
  if (auto s = store_empty(txn, by_subscription_key(usage.series.subscription, sequence)); !s) return s;
  return store_number(txn, taken_key(usage.series, usage.usage_date, sequence), sequence);
}

UsageRecord record_of(const meter::Usage& usage, const RequestRecord& request) {
  UsageRecord record;
  record.set_id(usage.id.value());
  record.set_upstream(usage.series.upstream.value());
  record.set_subscription_id(usage.series.subscription.value());
  record.set_item_price_id(usage.series.item_price.value());
  record.set_day(usage.day.days_since_epoch());
  record.set_revision(usage.revision);
  record.set_usage_date(usage.usage_date);
  record.set_quantity(usage.quantity.text());
  record.set_events(usage.events);
  record.set_note(usage.note);
  record.set_given_quantity(usage.given_quantity);
  for (const auto& [name, value] : usage.custom_fields) {
    auto* field = record.add_custom_fields();
    field->set_name(name);
    field->set_value(value);
  }
  if (usage.charge) {
    record.set_amount(usage.charge->amount.text());
    record.set_unit_price(usage.charge->unit_price.text());
    record.set_carry_in(usage.charge->carry_in.text());
    record.set_carry_out(usage.charge->carry_out.text());
    record.set_rounding(usage.charge->rounding);
  }
  *record.mutable_request() = request;
  return record;
}

}  // namespace

namespace {

Quantity number_of(const std::string& text) {
  auto number = Quantity::parse_total(text);
  check(number.ok(), "a stored usage has readable quantities");
  return *number;
}

}  // namespace

meter::Usage usage_of(const UsageRecord& record) {
  meter::Usage usage;
  usage.id = UsageId(record.id());
  usage.series = {UpstreamName(record.upstream()), SubscriptionId(record.subscription_id()),
                  ItemPriceId(record.item_price_id())};
  usage.day = UsageDay(record.day());
  usage.revision = record.revision();
  usage.usage_date = record.usage_date();
  usage.quantity = number_of(record.quantity());
  usage.events = record.events();
  usage.note = record.note();
  usage.given_quantity = record.given_quantity();
  for (const auto& field : record.custom_fields())
    usage.custom_fields.emplace_back(field.name(), field.value());
  if (!record.amount().empty())
    usage.charge =
        meter::Charge{number_of(record.amount()), number_of(record.unit_price()),
                      number_of(record.carry_in()), number_of(record.carry_out()), record.rounding()};
  return usage;
}

UsageState state_of(const UsageRecord& record) { return static_cast<UsageState>(record.state()); }

namespace {

// Until `wanted` says no, or at_most are found.
template <class Wanted>
Result<std::vector<SealDueFields>> read_due(const Transaction& txn, const std::string& from,
                                            std::size_t at_most, Wanted&& wanted) {
  std::vector<SealDueFields> out;
  Status failed;
  auto scanned = txn.scan(prefix(Kind::seal_due), from, [&](std::string_view key, std::string_view) {
    if (key == from) return true;
    auto fields = parse_seal_due_key(key);
    if (!fields) failed = fields.error();
    if (!fields || !wanted(*fields)) return false;
    out.push_back(std::move(*fields));
    return out.size() < at_most;
  });
  if (!scanned) return scanned.error();
  if (!failed) return failed.error();
  return out;
}

}  // namespace

Result<std::vector<SealDueFields>> WriteTransaction::due_buckets(WallTime now, std::size_t at_most) const {
  return read_due(txn_, "", at_most,
                  [&](const SealDueFields& due) { return due.due_s <= now.seconds().count(); });
}

Result<std::vector<SealDueFields>> WriteTransaction::open_buckets(
    std::size_t at_most, const std::optional<SealDueFields>& after) const {
  const auto from = after ? seal_due_key(after->due_s, after->bucket) : std::string();
  return read_due(txn_, from, at_most, [](const SealDueFields&) { return true; });
}

Status WriteTransaction::postpone_seal(const SealDueFields& due, std::int64_t new_due_s) {
  if (auto s = txn_.erase(seal_due_key(due.due_s, due.bucket)); !s) return s;
  auto balance = this->balance(due.bucket);
  if (!balance) return balance.error();
  if (balance->open_events == 0 || balance->seal_due_s != due.due_s) return {};
  balance->seal_due_s = new_due_s;
  if (auto s = store_empty(txn_, seal_due_key(new_due_s, due.bucket)); !s) return s;
  return put_balance(due.bucket, *balance);
}

Result<std::optional<std::int64_t>> WriteTransaction::free_date(const meter::SeriesKey& series,
                                                                const DateRange& range) const {
  // Walks the taken seconds from `start`; the first gap is free.
  const auto first_gap = [&](std::int64_t start, std::int64_t last) -> Result<std::optional<std::int64_t>> {
    std::int64_t candidate = start;
    Status failed;
    auto scanned = txn_.scan(taken_prefix(series), taken_prefix(series, start),
                             [&](std::string_view key, std::string_view) {
                               auto date = parse_taken_date(key);
                               if (!date) {
                                 failed = date.error();
                                 return false;
                               }
                               if (*date > candidate) return false;
                               if (*date == candidate) ++candidate;
                               return candidate <= last;
                             });
    if (!scanned) return scanned.error();
    if (!failed) return failed.error();
    if (candidate > last) return std::optional<std::int64_t>{};
    return std::optional<std::int64_t>{candidate};
  };
  auto later = first_gap(range.preferred, range.last);
  if (!later || later->has_value()) return later;
  return first_gap(range.first, std::min(range.preferred - 1, range.last));
}

Result<std::uint64_t> WriteTransaction::insert_usage(const meter::Usage& usage, const RequestRecord& request,
                                                     const Moment& now, const Origin& origin) {
  auto general = this->general();
  if (!general) return general.error();
  const auto sequence = general->next_sequence();
  general->set_next_sequence(sequence + 1);
  const auto version = take_version(*general, now);
  if (auto s = put_general(*general); !s) return s.error();
  if (auto s = count_for_life(usage.series); !s) return s.error();
  // A successor is charged as the one that it supersedes was: what that left is the carry already.
  if (usage.charge && origin.supersedes == 0)
    if (auto s = put_carry(usage.series, *usage.charge); !s) return s.error();

  auto record = record_of(usage, request);
  record.set_state(v0::WAITING);
  record.set_created_at_ms(now.trusted ? now.wall.since_epoch.count() : version);
  record.set_resource_version(version);
  record.set_supersedes(origin.supersedes);
  record.set_copied(origin.copied);
  record.set_source(origin.source);
  record.set_dated_by_caller(origin.dated_by_caller);
  record.set_behind(origin.behind);
  record.set_credit_of(origin.credit_of);
  if (auto s = store(txn_, usage_key(sequence), record); !s) return s.error();
  if (auto s = index_usage(txn_, sequence, usage); !s) return s.error();
  if (auto s = store_empty(txn_, outbox_key(usage.series.upstream, outbox_entry(sequence, record))); !s)
    return s.error();
  if (auto s = count_states(usage.series.upstream, std::nullopt, UsageState::waiting); !s) return s.error();
  return sequence;
}

Result<std::uint64_t> WriteTransaction::seal(const meter::Usage& usage, const RequestRecord& request,
                                             const Moment& now) {
  const meter::BucketKey bucket{usage.day, usage.series};
  auto balance = this->balance(bucket);
  if (!balance) return balance.error();
  check(balance->open == usage.quantity && balance->open_events == usage.events,
        "a seal freezes the whole bucket, to the last unit");
  check(balance->copied.empty(), "what came with a copy is sealed first");
  check(balance->next_revision == usage.revision, "a revision is used once");
  // Read before anything is written, so that a caller may repair what cannot be read and go on.
  if (auto state = upstream(usage.series.upstream); !state) return state.error();
  if (auto s = txn_.erase(seal_due_key(balance->seal_due_s, bucket)); !s) return s.error();
  balance->waiting += balance->open;
  balance->open = Quantity();
  balance->open_events = 0;
  balance->opened_at_ms = 0;
  balance->seal_due_s = 0;
  balance->next_revision = usage.revision + 1;
  if (auto s = put_balance(bucket, *balance); !s) return s.error();
  return insert_usage(usage, request, now, {});
}

Result<std::uint64_t> WriteTransaction::seal_copied(const meter::Usage& usage, const RequestRecord& request,
                                                    const Moment& now) {
  const meter::BucketKey bucket{usage.day, usage.series};
  auto balance = this->balance(bucket);
  if (!balance) return balance.error();
  check(!balance->copied.empty(), "there is a copied part");
  const auto& part = balance->copied.front();
  check(part.quantity == usage.quantity && part.events == usage.events && part.revision == usage.revision,
        "a seal freezes the whole part, as the revision that it came with");
  if (auto state = upstream(usage.series.upstream); !state) return state.error();
  balance->waiting += part.quantity;
  balance->open -= part.quantity;
  balance->open_events -= part.events;
  balance->copied.erase(balance->copied.begin());
  if (balance->open_events == 0) {
    if (auto s = txn_.erase(seal_due_key(balance->seal_due_s, bucket)); !s) return s.error();
    balance->opened_at_ms = 0;
    balance->seal_due_s = 0;
  }
  if (auto s = put_balance(bucket, *balance); !s) return s.error();
  return insert_usage(usage, request, now, {.copied = true});
}

}  // namespace meterd::journal
