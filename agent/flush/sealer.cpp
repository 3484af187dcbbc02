#include "agent/flush/sealer.hpp"

#include <algorithm>
#include <utility>

#include "agent/journal/audit.hpp"
#include "agent/meter/identity.hpp"
#include "agent/meter/rounding.hpp"
#include "platform/run_on.hpp"

namespace meterd::flush {

namespace asio = boost::asio;

namespace {
// Small transactions: LMDB keeps the pages that a transaction freed for good, in a list whose two ends every
// later commit writes. Sealing 256 at once made each commit after it 40 % larger (measured).
constexpr std::size_t kSealsPerCommit = 32;
constexpr std::size_t kPrunesPerCommit = 32;
constexpr int kPruneCommitsForRoom = 8;
constexpr Milliseconds kLongestSleep{60'000};  // a stepped wall clock is noticed within a minute
constexpr Milliseconds kRetryAfterFailure{5'000};
constexpr Milliseconds kPruneInterval{3'600'000};
constexpr Milliseconds kIdlePruneInterval{24 * 3'600'000};
constexpr Milliseconds kNothingLeftFor{10'000};
constexpr std::int64_t kPostponedSeconds = 3'600;  // a bucket whose upstream has gone from the configuration

}  // namespace

const char* name_of(InDoubt policy) {
  if (policy == InDoubt::hold) return "hold";
  return policy == InDoubt::resend ? "resend" : "assume-delivered";
}

journal::RequestRecord record_of(const upstream::HttpRequest& request) {
  journal::RequestRecord record;
  record.set_method(request.method);
  record.set_target(request.target);
  for (const auto& [name, value] : request.headers) {
    auto* header = record.add_headers();
    header->set_name(name);
    header->set_value(value);
  }
  record.set_body(request.body);
  return record;
}

upstream::HttpRequest request_of(const journal::RequestRecord& record) {
  upstream::HttpRequest request{record.method(), record.target(), {}, record.body()};
  for (const auto& header : record.headers()) request.headers.emplace_back(header.name(), header.value());
  return request;
}

Result<meter::Usage> date_usage(const journal::WriteTransaction& txn, const SealContext& context,
                                const NextUsage& next, WallTime now) {
  // Inside the day, and not after the instant of the seal (a day that has not begun for us has only its
  // start).
  const auto balance = txn.balance(next.bucket);
  if (!balance) return balance.error();
  auto zone = meter::TimeZone::load(balance->zone);
  if (!zone) return zone.error();
  // Of pruned usages only the last date is known: behind it nothing is taken by us.
  const auto preferred =
      std::max(meter::preferred_date(context.device, next.cover, now), balance->pruned_date + 1);
  const auto bounds = zone->bounds(next.bucket.day);
  const auto last = std::max(bounds.start, std::min(bounds.end - 1, now.seconds().count()));
  auto date = txn.free_date(next.bucket.series, {bounds.start, last, std::min(preferred, last)});
  if (!date) return date.error();
  if (!date->has_value())
    return Error{Code::rejected, "every second of " + next.bucket.day.iso() + " is taken"};
  meter::Usage usage;
  usage.series = next.bucket.series;
  usage.day = next.bucket.day;
  usage.revision = next.revision;
  usage.usage_date = **date;
  usage.quantity = next.quantity;
  usage.events = next.events;
  usage.id = meter::usage_id({context.device, context.epoch, next.bucket, next.revision});
  return usage;
}

namespace {

Status end_carry(journal::WriteTransaction& txn, const meter::SeriesKey& series, const meter::Carried& left,
                 const journal::Moment& now) {
  if (auto s = txn.put_carry(series, meter::Charge{}); !s) return s;
  return txn.put_audit({"the configuration", "rounding",
                        journal::place_of(series) + ": " + meter::describe(left) +
                            " was left and is not billed, since the meter's rounding was changed"},
                       now);
}

}  // namespace

Status put_charge(journal::WriteTransaction& txn, const Target& target, meter::Usage& usage,
                  const journal::Moment& now) {
  const auto price = target.prices.find(usage.series.item_price);
  const bool is_priced = price != target.prices.end();
  if (!is_priced && target.vendor->traits().bills_money)
    return Error{Code::rejected, "no [[meter]] has a unit_price for the item price " +
                                     usage.series.item_price.value() + " of upstream " + target.name.value()};
  auto left = txn.carry(usage.series);
  if (!left) return left.error();
  const auto carry = is_priced ? meter::carry_over(*left, price->second) : std::nullopt;
  if (is_priced) {
    usage.charge = meter::charge_for(usage.quantity, price->second, carry.value_or(Quantity()));
    if (!usage.charge)
      return Error{Code::rejected, "the quantity " + usage.quantity.text() +
                                       " has too many places for its unit_price or rounding"};
  }
  if (carry || left->amount.is_zero()) return {};
  return end_carry(txn, usage.series, *left, now);
}

Status settle_odd_amount(journal::WriteTransaction& txn, std::uint64_t sequence, const meter::Usage& usage,
                         const journal::Moment& now) {
  if (!usage.charge) return {};
  const auto amount = usage.charge->amount.text();
  if (usage.charge->amount.is_zero())
    return txn.deliver(sequence,
                       "amount 0: " + usage.charge->carry_out.text() + " is carried to the next usage", now);
  if (usage.charge->rounding.empty() && !meter::fits_a_double(usage.charge->amount))
    return txn.park(sequence,
                    "the amount " + amount + " has more than 15 digits, which the upstream would round", now);
  return {};
}

namespace {

struct SealPlan {
  const Target* target;
  meter::SealCover cover;
};
Result<SealPlan> plan_seal(const SealContext& context, const meter::BucketKey& bucket,
                           const journal::Balance& balance) {
  const auto target = context.targets.find(bucket.series.upstream);
  if (target == context.targets.end())
    return Error{Code::rejected, "upstream " + bucket.series.upstream.value() + " is not configured"};
  auto zone = meter::TimeZone::load(balance.zone);
  if (!zone) return zone.error();
  const WallTime opened{Milliseconds(balance.opened_at_ms)};
  return SealPlan{&target->second, meter::seal_cover(*zone, target->second.seal, bucket.day, opened)};
}

}  // namespace

Status seal_copied_parts(journal::WriteTransaction& txn, const SealContext& context,
                         const meter::BucketKey& bucket, const journal::Moment& now) {
  for (;;) {
    auto balance = txn.balance(bucket);
    if (!balance) return balance.error();
    if (balance->copied.empty()) return {};
    auto plan = plan_seal(context, bucket, *balance);
    if (!plan) return plan.error();
    const auto& part = balance->copied.front();
    auto usage =
        date_usage(txn, context, {bucket, part.quantity, part.events, part.revision, plan->cover}, now.wall);
    if (!usage) return usage.error();
    if (auto priced = put_charge(txn, *plan->target, *usage, now); !priced) return priced;
    const auto request = record_of(plan->target->vendor->encode_create(*usage));
    auto sealed = txn.seal_copied(*usage, request, now);
    if (!sealed) return sealed.error();
    if (auto s = settle_odd_amount(txn, *sealed, *usage, now); !s) return s;
  }
}

Result<bool> seal_bucket(journal::WriteTransaction& txn, const SealContext& context,
                         const meter::BucketKey& bucket, const journal::Moment& now) {
  auto balance = txn.balance(bucket);
  if (!balance) return balance.error();
  if (balance->open_events == 0) return false;
  if (!balance->copied.empty()) {
    if (auto sealed = seal_copied_parts(txn, context, bucket, now); !sealed) return sealed.error();
    balance = txn.balance(bucket);
    if (!balance) return balance.error();
    if (balance->open_events == 0) return true;
  }
  auto plan = plan_seal(context, bucket, *balance);
  if (!plan) return plan.error();
  auto usage = date_usage(txn, context,
                          {bucket, balance->open, balance->open_events, balance->next_revision, plan->cover},
                          now.wall);
  if (!usage) return usage.error();
  if (auto priced = put_charge(txn, *plan->target, *usage, now); !priced) return priced.error();
  auto sealed = txn.seal(*usage, record_of(plan->target->vendor->encode_create(*usage)), now);
  if (!sealed) return sealed.error();
  if (auto s = settle_odd_amount(txn, *sealed, *usage, now); !s) return s.error();
  return true;
}

Sealer::Sealer(Dependencies dependencies, Settings settings)
    : deps_(std::move(dependencies)),
      settings_(std::move(settings)),
      alarm_(deps_.clock.make_alarm()),
      pruned_at_(deps_.clock.boot()) {}

void Sealer::adopt(Settings settings) {
  settings_ = std::move(settings);
  wake();  // a bucket may have got its upstream
}

void Sealer::stop() {
  stopping_ = true;
  alarm_->notify();
}

asio::awaitable<void> Sealer::run() {
  while (!stopping_) {
    Milliseconds wait = kLongestSleep;
    const auto now = deps_.clock.wall();
    co_await read_next_seal();
    if (next_seal_s_ && now.trusted) {
      const auto until = WallTime::from_seconds(*next_seal_s_) - now.time;
      if (until <= Milliseconds(0)) {
        const auto sealed = co_await seal(Which::due, {});
        if (sealed) {
          complained_ = false;
          continue;
        }
        if (!complained_)
          deps_.log.error(
              "seal_failed",
              {{"error", sealed.error().message},
               {"do", "see meterctl status; what is counted is kept, and sealing goes on trying"}});
        complained_ = true;
        wait = kRetryAfterFailure;
      } else {
        wait = std::min(wait, until);
      }
    }
    if (settings_.prunes && room_wanted_) {
      room_wanted_ = false;
      co_await prune(INT64_MAX, Extent::some);
    } else if (settings_.prunes && now.trusted && prune_is_due()) {
      co_await prune((now.time - settings_.retain_delivered).seconds().count(), Extent::all);
      pruned_at_ = deps_.clock.boot();
      commits_seen_ = deps_.committer.stats().commits;
    }
    co_await alarm_->wait_for(wait);
  }
}

// Only a commit that says so changes it; a wall clock that was stepped is noticed without reading.
asio::awaitable<void> Sealer::read_next_seal() {
  if (!stale_) co_return;
  stale_ = false;
  const auto read = [&journal = deps_.journal] { return journal::read_next_seal(journal); };
  auto next = co_await platform::run_on(deps_.reader, read);
  if (next)
    next_seal_s_ = *next;
  else
    stale_ = true;
}

asio::awaitable<Status> Sealer::seal_now(Wanted wanted) {
  if (!deps_.clock.wall().trusted)
    co_return Error{Code::retry,
                    "the clock is not trusted yet, so no usage can be dated; sealing waits for it"};
  co_return co_await seal(Which::all, std::move(wanted));
}

// One bucket that cannot be sealed (its upstream has gone from the configuration) does not keep the others.
asio::awaitable<Status> Sealer::seal(Which which, Wanted wanted) {
  std::optional<journal::SealDueFields> after;
  std::optional<Error> refused;
  std::size_t at_most = kSealsPerCommit;
  for (;;) {
    auto step = std::make_shared<SealStep>();
    const auto now = journal::moment_of(deps_.clock, deps_.journal.boot_number());
    journal::Operation operation = [step, now, which, wanted, at_most, after,
                                    context = settings_.context](journal::WriteTransaction& txn) -> Status {
      *step = {};
      auto due = which == Which::all ? txn.open_buckets(at_most, after) : txn.due_buckets(now.wall, at_most);
      if (!due) return due.error();
      step->due = std::move(*due);
      for (const auto& one : step->due) {
        if (wanted && !wanted(one.bucket)) continue;
        if (auto s = seal_one(txn, *context, one, now, which, *step); !s) return s;
      }
      return {};
    };
    const Status committed = co_await deps_.committer.submit(std::move(operation));
    if (!committed && committed.error().code == Code::full && at_most > 1) {
      at_most /= 2;  // on a full map a large transaction may not fit where a small one does
      continue;
    }
    if (!committed) co_return committed.error();
    sealed_ += step->sealed;
    if (step->refused) refused = step->refused;
    if (step->due.size() < at_most) break;
    after = step->due.back();
  }
  if (refused) co_return *refused;
  co_return Status();
}

Status Sealer::seal_one(journal::WriteTransaction& txn, const SealContext& context,
                        const journal::SealDueFields& due, const journal::Moment& now, Which which,
                        SealStep& step) {
  auto sealed = seal_bucket(txn, context, due.bucket, now);
  if (sealed && *sealed) {
    ++step.sealed;
    return {};
  }
  if (!sealed && sealed.error().code == Code::corrupt) {
    if (auto rebuilt = txn.rebuild_balance(due.bucket, journal::kZoneOfALostBalance); !rebuilt)
      return rebuilt;
  } else if (!sealed) {
    const bool of_its_own = sealed.error().code == Code::rejected || sealed.error().code == Code::invalid;
    if (!of_its_own) return sealed.error();
    step.refused = sealed.error();
    if (which == Which::all) return {};  // it stays where it is, and the walk goes on behind it
  }
  // Later again, if it is open at all; otherwise its entry goes.
  return txn.postpone_seal(due, now.wall.seconds().count() + kPostponedSeconds);
}

// While nothing is committed once a day is enough: even a transaction that changes nothing marks LMDB's lock
// page, which the kernel then writes.
bool Sealer::prune_is_due() {
  const bool idle =
      std::exchange(commits_seen_, deps_.committer.stats().commits) == deps_.committer.stats().commits;
  return deps_.clock.boot() - pruned_at_ > (idle ? kIdlePruneInterval : kPruneInterval);
}

void Sealer::make_room() {
  // Without history there is nothing to ask for again and again: every commit near the watermark calls this.
  if (nothing_left_at_ && deps_.clock.boot() - *nothing_left_at_ < kNothingLeftFor) return;
  room_wanted_ = true;
  alarm_->notify();
}

asio::awaitable<void> Sealer::prune(std::int64_t before_s, Extent extent) {
  std::size_t at_most = kPrunesPerCommit;
  for (int commits = 0; !stopping_ && (extent == Extent::all || commits < kPruneCommitsForRoom); ++commits) {
    auto pruned = std::make_shared<std::size_t>(0);
    const auto wall = deps_.clock.wall();
    const bool by_age = extent == Extent::all;
    if (by_age && !wall.trusted) co_return;
    const journal::Moment now{wall.time, {}, wall.trusted};
    journal::Operation operation = [pruned, before_s, at_most, by_age, now, kept = settings_.invoiced_here](
                                       journal::WriteTransaction& txn) -> Status {
      if (kept) {
        auto ledger = txn.upstream(*kept);
        if (!ledger) return ledger.error();
        if (ledger->delivered() > 0) return {};
      }
      if (by_age) {
        auto dated = txn.date_history(now, at_most);
        if (!dated) return dated.error();
        *pruned = at_most;  // and there may be more
        if (*dated > 0) return {};
      }
      auto count = txn.prune_usages(before_s, at_most);
      if (!count) return count.error();
      *pruned = *count;
      return {};
    };
    const Status committed = co_await deps_.committer.submit(std::move(operation));
    if (!committed && (committed.error().code != Code::full || at_most == 1)) co_return;
    if (committed && *pruned == 0) nothing_left_at_ = deps_.clock.boot();
    if (committed && *pruned < at_most) co_return;
    if (!committed) at_most /= 2;
  }
}

}  // namespace meterd::flush
