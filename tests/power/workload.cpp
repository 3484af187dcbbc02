#include "tests/power/workload.hpp"

#include <algorithm>

#include "agent/meter/identity.hpp"
#include "tests/power/calls.hpp"

namespace meterd::power {

using journal::Journal;
using journal::Moment;
using journal::StoredUsage;
using journal::UsageState;
using journal::WriteTransaction;

namespace {

constexpr std::int64_t kDaySeconds = 86'400;
constexpr const char* kProducer = "producer";
constexpr const char* kCounter = "counter";
constexpr const char* kMarketplace = "marketplace";
constexpr std::uint32_t kDaysOfIds = 2;

Quantity quantity(std::string_view text) { return *Quantity::parse(text); }

// Sealed first where it would outgrow a usage: quantities here are too small for that.
Status count(WriteTransaction& write, const meter::BucketKey& bucket, const meter::Tally& tally,
             const WriteTransaction::Opening& opening) {
  auto added = write.add(bucket, tally, opening);
  if (!added) return added.error();
  check(*added, "the workload's quantities fit a usage");
  return {};
}

// The next revision of a bucket with a free second, as the sealer makes it.
Result<meter::Usage> next_usage(const WriteTransaction& write, const std::string& epoch,
                                const meter::BucketKey& key) {
  auto balance = write.balance(key);
  if (!balance) return balance.error();
  const auto first = std::int64_t{key.day.days_since_epoch()} * kDaySeconds;
  auto date = write.free_date(key.series, {first, first + kDaySeconds - 1, first + 1'000});
  if (!date) return date.error();
  static const DeviceId kDevice("gw-0042");
  meter::Usage usage;
  usage.id = meter::usage_id({kDevice, epoch, key, balance->next_revision});
  usage.series = key.series;
  usage.day = key.day;
  usage.revision = balance->next_revision;
  usage.usage_date = date->value();
  usage.quantity = balance->open;
  usage.events = balance->open_events;
  return usage;
}

Status supersede(const std::string& epoch, WriteTransaction& write, const StoredUsage& stored,
                 const Moment& at) {
  const auto old = journal::usage_of(stored.record);
  auto successor = next_usage(write, epoch, {old.day, old.series});
  if (!successor) return successor.error();
  successor->quantity = old.quantity;
  successor->events = old.events;
  return write.supersede(stored.sequence, *successor, request(*successor), at);
}

// `what` of several outcomes, of which most are receipts.
Status end_attempt(const std::string& epoch, WriteTransaction& write, const StoredUsage& stored,
                   std::size_t what, const Moment& at, Marketplace marketplace) {
  const auto sequence = stored.sequence;
  const auto& record = stored.record;
  if (record.behind() != 0) return {};  // has not left
  if (record.deletes() != 0 && journal::state_of(record) == UsageState::parked) return {};
  if (record.deletes() != 0 && (what == 3 || what == 4)) what = 2;
  // Has its answer, or the process has ended: there it is never taken back.
  const bool once = marketplace == Marketplace::asked_once && record.upstream() == kMarketplace;
  if (once && (what == 4 || what == 5)) what = 2;
  const journal::Due later{at.boot.boot_number, at.boot.since_boot_ms + 30'000};
  switch (what) {
    case 0:
      return write.retry(sequence, later, "503");
    case 1:
      return write.look_again(sequence, later, "not found");
    case 2:
      return write.park(sequence, "400", at);
    case 3:
      return write.hold_in_doubt(sequence, "connection lost");
    case 4:
      if (record.deleted_by() != 0) return write.withdraw(sequence, at);
      if (record.dated_by_caller()) return write.park(sequence, "400", at);
      return supersede(epoch, write, stored, at);
    case 5:
      return write.unsend(sequence);
    default:
      return write.deliver(sequence, "receipt of " + stored.record.id(), at);
  }
}

// As the sealer does where money is billed.
Status put_charge(WriteTransaction& write, meter::Usage& usage) {
  auto carry = write.carry(usage.series);
  if (!carry) return carry.error();
  usage.charge = meter::charge_for(usage.quantity, {quantity("0.0075"), 2}, carry->amount);
  check(usage.charge.has_value(), "the workload's quantities have few places");
  return {};
}

Status seal_some(const Journal& journal, WriteTransaction& write, std::size_t at_most, const Moment& at,
                 Marketplace marketplace) {
  auto open = write.open_buckets(at_most);
  if (!open) return open.error();
  for (const auto& due : *open) {
    auto usage = next_usage(write, journal.epoch(), due.bucket);
    if (!usage) return usage.error();
    if (marketplace == Marketplace::asked_once && due.bucket.series.upstream.value() == kMarketplace)
      if (auto s = put_charge(write, *usage); !s) return s;
    if (auto s = write.seal(*usage, request(*usage), at); !s) return s.error();
  }
  return {};
}

}  // namespace

Status seal_all(const Journal& journal, WriteTransaction& write) {
  return seal_some(journal, write, 10'000,
                   {WallTime::from_seconds(1'800'000'000), {journal.boot_number(), 1}},
                   Marketplace::idempotent);
}

std::vector<Act> Workload::next(const Journal& now) {
  boot_number_ = now.boot_number();
  since_boot_ms_ += 100 + static_cast<std::int64_t>(below(random_, 20'000));
  if (below(random_, 25) == 0) ++today_;
  std::vector<Act> acts(1, draw(now));
  while (acts.size() < 4 && below(random_, 3) == 0) acts.push_back(draw(now));
  return acts;
}

Act Workload::draw(const Journal& now) {
  switch (below(random_, 18)) {
    case 0:
    case 1:
      return report_with_ids();
    case 2:
    case 3:
      return report_with_a_sequence();
    case 4:
      return read_a_counter();
    case 5:
      return report_without_a_day(now.boot_number());
    case 6:
      return date(now.boot_number());
    case 7:
    case 8:
      return seal();
    case 9:
    case 10:
      return send();
    case 11:
      return pause_an_upstream();
    case 12:
      return forget();
    case 13:
      return create_by_a_caller(now);
    case 14:
      return delete_by_a_caller(now);
    default:
      return settle(now);
  }
}

Workload::Report Workload::some_report(bool dated) {
  Report report;
  report.window = {today_ - kDaysOfIds, today_, dated};
  const auto size = below(random_, 20) == 0 ? 300 : 1 + below(random_, 8);
  for (std::size_t i = 0; i < size; ++i) {
    const auto given = days_of_ids_.size();
    const auto last = given - std::min<std::size_t>(given, 1 + below(random_, 5));
    const bool again = last < given && days_of_ids_[last] + kDaysOfIds > today_ && below(random_, 4) == 0;
    const auto number = again ? last : given;
    static meter::EventHasher hasher;
    report.ids.push_back(hasher(kProducer, std::to_string(number)));
    report.buckets.push_back(some_bucket());
    report.quantities.push_back(some_quantity());
    if (again) continue;
    days_of_ids_.push_back(today_);
    given_ += report.quantities.back();
  }
  return report;
}

Act Workload::report_with_ids() {
  return {
      [report = some_report(true), opening = opening()](const Journal&, WriteTransaction& write) -> Status {
        auto known = write.remember_ids(report.ids, report.window);
        if (!known) return known.error();
        for (std::size_t i = 0; i < known->size(); ++i)
          if (!(*known)[i])
            if (auto s = count(write, report.buckets[i], {report.quantities[i], 1}, opening); !s) return s;
        return {};
      },
      true};
}

Act Workload::report_without_a_day(std::uint32_t boot_number) {
  const auto second = static_cast<std::uint32_t>(since_boot_ms_ / 60'000 * 60);
  return {
      [report = some_report(false), boot_number, second](const Journal&, WriteTransaction& write) -> Status {
        auto known = write.remember_ids(report.ids, report.window);
        if (!known) return known.error();
        for (std::size_t i = 0; i < known->size(); ++i)
          if (!(*known)[i])
            if (auto s = write.add_to_slice({boot_number, second, report.buckets[i].series},
                                            {report.quantities[i], 1}, "UTC");
                !s)
              return s;
        return {};
      },
      true};
}

Act Workload::report_with_a_sequence() {
  ++sequence_;
  const auto amount = some_quantity();
  given_ += amount;
  return {[=, sequence = sequence_, bucket = some_bucket(), opening = opening()](
              const Journal& journal, WriteTransaction& write) -> Status {
            auto counted = journal::read_producer(journal, kProducer);
            if (!counted) return counted.error();
            if (counted->sequence() >= sequence) return {};
            if (auto s = count(write, bucket, {amount, 1}, opening); !s) return s;
            journal::v0::ProducerCursor reached;
            reached.set_sequence(sequence);
            return write.put_producer(kProducer, reached);
          },
          true};
}

Act Workload::read_a_counter() {
  const auto grown = 1 + below(random_, 100'000);
  counter_ += grown;
  given_ += quantity(std::to_string(grown));
  return {[=, reading = counter_, bucket = some_bucket(), opening = opening()](
              const Journal& journal, WriteTransaction& write) -> Status {
            auto cursor = journal::read_counter(journal, kCounter);
            if (!cursor) return cursor.error();
            if (cursor->has_value() && (*cursor)->rx_bytes() >= reading) return {};
            if (auto s = count(write, bucket, {quantity(std::to_string(grown)), 1}, opening); !s) return s;
            journal::CounterCursor next;
            next.set_rx_bytes(reading);
            return write.put_counter(kCounter, next);
          },
          true};
}

Act Workload::date(std::uint32_t boot_number) {
  clock_trusted_ = true;
  return {[=, this_day = UsageDay(static_cast<std::int32_t>(today_)), opening = opening(),
           window = WriteTransaction::IdWindow{today_ - kDaysOfIds, today_, true}](
              const Journal&, WriteTransaction& write) -> Status {
    auto slices = write.slices(boot_number, 1'000);
    if (!slices) return slices.error();
    for (const auto& slice : *slices) {
      auto amount = Quantity::parse_total(slice.value.quantity());
      if (!amount) return amount.error();
      if (auto s = count(write, {this_day, slice.key.series}, {*amount, slice.value.events()}, opening); !s)
        return s;
      if (auto s = write.erase_slice(slice.key); !s) return s;
    }
    auto dated = write.date_ids(window, 1'000);
    if (!dated) return dated.error();
    return write.put_last_trusted({opening.at, {boot_number, 0}});
  }};
}

Act Workload::seal() {
  return {[at_most = 1 + below(random_, 6), at = moment(boot_number_), marketplace = marketplace_](
              const Journal& journal, WriteTransaction& write) {
    return seal_some(journal, write, at_most, at, marketplace);
  }};
}

bool Workload::is_asked_once(const UpstreamName& upstream) const {
  return marketplace_ == Marketplace::asked_once && upstream.value() == kMarketplace;
}

Act Workload::send() {
  const auto upstream = some_series().upstream;
  return {[=, once = is_asked_once(upstream), at_most = 1 + below(random_, 8), at = moment(boot_number_)](
              const Journal&, WriteTransaction& write) -> Status {
    auto begun = once ? write.begin_unrepeatable(upstream, at, at_most, journal::Lane::delayed)
                      : write.begin_attempts(upstream, at, at_most);
    if (!begun) return begun.error();
    return {};
  }};
}

// One usage or all: LMDB then frees and reuses many pages in one commit.
Act Workload::settle(const Journal& now) {
  std::vector<std::uint64_t> chosen;
  auto outbox = journal::read_outbox(now, 1'000);
  check(outbox.ok(), "the outbox can be read");
  const bool all = below(random_, 3) == 0;
  for (const auto& stored : *outbox)
    if (all || below(random_, outbox->size()) == 0) chosen.push_back(stored.sequence);
  return {[chosen, what = below(random_, 12), at = moment(boot_number_), marketplace = marketplace_](
              const Journal& journal, WriteTransaction& write) -> Status {
    for (const auto sequence : chosen) {
      auto stored = write.usage(sequence);
      if (!stored) return stored.error();
      if (journal::has_ended(journal::state_of(stored->record))) continue;
      if (auto s = end_attempt(journal.epoch(), write, *stored, what, at, marketplace); !s) return s;
    }
    return {};
  }};
}

Act Workload::pause_an_upstream() {
  const bool clear = below(random_, 2) == 0;
  return {[=, name = some_series().upstream, until = since_boot_ms_ + 5'000, boot = boot_number_](
              const Journal&, WriteTransaction& write) -> Status {
    if (clear) {
      auto cleared = write.clear_backoff(name, 1'000);
      if (!cleared) return cleared.error();
      return {};
    }
    auto state = write.upstream(name);
    if (!state) return state.error();
    state->set_failures(3);
    state->set_paused_boot(boot);
    state->set_paused_until_ms(until);
    return write.put_upstream(name, *state);
  }};
}

// History by a trusted clock only: another act of the commit may still hold what ended in it, which is not
// old.
Act Workload::forget() {
  return {[at = moment(boot_number_), oldest = today_ - kDaysOfIds](const Journal&,
                                                                    WriteTransaction& write) -> Status {
    if (at.trusted) {
      auto dated = write.date_history(at, 1'000);
      if (!dated) return dated.error();
      auto pruned = write.prune_usages(at.wall.seconds().count() - 600, 1'000);
      if (!pruned) return pruned.error();
    }
    auto forgotten = write.forget_ids(oldest, 1'000);
    if (!forgotten) return forgotten.error();
    return {};
  }};
}

meter::SeriesKey Workload::some_series() {
  static constexpr const char* kUpstreams[] = {"billing", kMarketplace};
  static constexpr const char* kItems[] = {"sms-usd", "data-usd"};
  return {UpstreamName(kUpstreams[below(random_, 2)]), SubscriptionId("sub_1"),
          ItemPriceId(kItems[below(random_, 2)])};
}

meter::BucketKey Workload::some_bucket() {
  return {UsageDay(static_cast<std::int32_t>(today_ - below(random_, 2))), some_series()};
}

Moment Workload::moment(std::uint32_t boot_number) const {
  return {WallTime::from_seconds(std::int64_t{today_} * kDaySeconds + since_boot_ms_ / 1'000),
          {boot_number, since_boot_ms_},
          clock_trusted_};
}

WriteTransaction::Opening Workload::opening() {
  return {WallTime::from_seconds(std::int64_t{today_} * kDaySeconds),
          std::int64_t{today_} * kDaySeconds + static_cast<std::int64_t>(below(random_, 5'000)), "UTC"};
}

Quantity Workload::some_quantity() {
  static constexpr const char* kQuantities[] = {"1", "0.1", "12.355", "1000000000000000000000.000001"};
  return quantity(kQuantities[below(random_, 4)]);
}

}  // namespace meterd::power
