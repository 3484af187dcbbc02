// What callers of the device's Usages API change: usages that are counted and waiting at once, and what is
// remembered of subscriptions and of answers.
#include <algorithm>

#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {

namespace {
constexpr std::size_t kAnswersForgottenAtOnce = 4;  // with each new one: more than come
constexpr std::int64_t kUndated = 0;                // the version of an answer given under an untrusted clock

// What answers expire by.
std::int64_t latest_time(const v0::General& general) {
  return std::max(general.last_version(), general.last_trusted_ms());
}
std::int64_t version_of_answer(const v0::General& general, const Moment& now) {
  return now.trusted ? std::max(latest_time(general), now.wall.since_epoch.count()) : kUndated;
}
}  // namespace

// Rises with each change, and follows the wall clock only while that is trusted: a clock that was wrong once
// would otherwise be ahead for ever.
std::int64_t WriteTransaction::take_version(v0::General& general, const Moment& now) const {
  auto version = std::max(general.last_version() + 1, general.last_trusted_ms());
  if (now.trusted) version = std::max(version, now.wall.since_epoch.count());
  general.set_last_version(version);
  return version;
}

Status WriteTransaction::count_for_life(const meter::SeriesKey& series) {
  const auto key = subscription_key(series.upstream, series.subscription);
  auto known = load<v0::Subscription>(txn_, key);
  if (!known) return known.error();
  auto subscription = known->value_or(v0::Subscription{});
  subscription.set_usages(subscription.usages() + 1);
  return store(txn_, key, subscription);
}

Result<std::uint64_t> WriteTransaction::usages_for_life(const UpstreamName& upstream,
                                                        const SubscriptionId& subscription) const {
  auto known = load<v0::Subscription>(txn_, subscription_key(upstream, subscription));
  if (!known) return known.error();
  return known->value_or(v0::Subscription{}).usages();
}

Result<StoredUsage> WriteTransaction::create_usage(const CallerUsage& created, const Moment& now) {
  const auto& usage = created.usage;
  const meter::BucketKey bucket{usage.day, usage.series};
  auto balance = this->balance(bucket);
  if (!balance) return balance.error();
  if (balance->zone.empty()) balance->zone = created.zone;
  // Read before anything is written, so that a caller may repair what cannot be read and go on.
  if (auto state = upstream(usage.series.upstream); !state) return state.error();
  balance->accepted += usage.quantity;
  balance->waiting += usage.quantity;
  if (auto s = put_balance(bucket, *balance); !s) return s.error();
  const auto sequence = insert_usage(usage, created.request, now,
                                     {.source = created.source,
                                      .dated_by_caller = true,
                                      .behind = created.behind,
                                      .credit_of = created.credit_of});
  if (!sequence) return sequence.error();
  if (created.behind != 0) {
    auto before = this->usage(created.behind);
    if (!before) return before.error();
    before->record.set_followed_by(*sequence);
    if (auto s = store(txn_, usage_key(created.behind), before->record); !s) return s.error();
  }
  auto stored = this->usage(*sequence);
  if (!stored) return stored.error();
  if (auto s = count_credit(stored->record, true); !s) return s.error();
  return stored;
}

// On the usage that it is a credit of. One that is forgotten, or lost, takes no further credits: nobody asks.
Status WriteTransaction::count_credit(const UsageRecord& credit, bool given) {
  if (credit.credit_of() == 0) return {};
  auto kept = usage_if_kept(credit.credit_of());
  if (!kept && kept.error().code == Code::corrupt) return {};
  if (!kept) return kept.error();
  if (!kept->has_value()) return {};
  auto& record = (*kept)->record;
  const auto quantity = usage_of(credit).quantity;
  const auto before = Quantity::parse_total(record.credited().empty() ? "0" : record.credited());
  if (!before) return before.error();
  const auto after = given ? *before - quantity : *before + quantity;
  record.set_credited(after.is_zero() ? "" : after.text());
  return store(txn_, usage_key((*kept)->sequence), record);
}

Result<std::vector<StoredUsage>> WriteTransaction::usages_at(const meter::SeriesKey& series,
                                                             std::int64_t usage_date) const {
  std::vector<std::uint64_t> sequences;
  auto scanned = txn_.scan(taken_prefix(series, usage_date), "", [&](std::string_view key, std::string_view) {
    if (auto fields = parse_taken_key(key)) sequences.push_back(fields->sequence);
    return true;
  });
  if (!scanned) return scanned.error();
  return usages_of(sequences);
}

Result<bool> WriteTransaction::was_listed(const SubscriptionId& subscription,
                                          const ItemPriceId& item_price) const {
  auto raw = txn_.get(listed_key(subscription, item_price));
  if (!raw) return raw.error();
  return raw->has_value();
}

Status WriteTransaction::put_listed(const SubscriptionId& subscription, const ItemPriceId& item_price) {
  return store_empty(txn_, listed_key(subscription, item_price));
}

Result<std::optional<v0::IdempotencyKey>> WriteTransaction::answered(std::string_view key,
                                                                     Milliseconds window) const {
  auto known = load<v0::IdempotencyKey>(txn_, idempotency_key(key));
  if (!known || !known->has_value() || (*known)->version() == kUndated) return known;
  auto general = this->general();
  if (!general) return general.error();
  if (latest_time(*general) - (*known)->version() > window.count())
    return std::optional<v0::IdempotencyKey>{};
  return known;
}

Status WriteTransaction::remember_answer(std::string_view key, v0::IdempotencyKey answer, Milliseconds window,
                                         const Moment& now) {
  auto general = this->general();
  if (!general) return general.error();
  const auto latest = latest_time(*general);
  const auto version = version_of_answer(*general, now);
  std::vector<std::pair<std::string, std::string>> old;
  const auto dated = key_expiry_key(kUndated + 1, "");
  auto scanned = txn_.scan(key_expiry_prefix(), dated, [&](std::string_view at, std::string_view) {
    auto fields = parse_key_expiry_key(at);
    if (!fields || latest - fields->version <= window.count()) return false;
    old.emplace_back(at, fields->key);
    return old.size() < kAnswersForgottenAtOnce;
  });
  if (!scanned) return scanned;
  for (const auto& [at, forgotten] : old) {
    if (auto s = txn_.erase(at); !s) return s;
    if (auto s = txn_.erase(idempotency_key(forgotten)); !s) return s;
  }
  // The same key, expired, and not yet forgotten.
  if (auto known = load<v0::IdempotencyKey>(txn_, idempotency_key(key)); known && known->has_value())
    if (auto s = txn_.erase(key_expiry_key((*known)->version(), key)); !s) return s;
  answer.set_version(version);
  if (auto s = store_empty(txn_, key_expiry_key(version, key)); !s) return s;
  return store(txn_, idempotency_key(key), answer);
}

Result<std::size_t> WriteTransaction::date_answers(const Moment& now, std::size_t at_most) {
  check(now.trusted, "answers are dated by a trusted clock");
  std::vector<std::pair<std::string, std::string>> undated;
  auto scanned = txn_.scan(key_expiry_prefix(), "", [&](std::string_view at, std::string_view) {
    auto fields = parse_key_expiry_key(at);
    if (!fields || fields->version != kUndated) return false;
    undated.emplace_back(at, fields->key);
    return undated.size() < at_most;
  });
  if (!scanned) return scanned.error();
  if (undated.empty()) return std::size_t{0};
  auto general = this->general();
  if (!general) return general.error();
  const auto version = version_of_answer(*general, now);
  for (const auto& [at, key] : undated) {
    if (auto s = txn_.erase(at); !s) return s.error();
    auto answer = load<v0::IdempotencyKey>(txn_, idempotency_key(key));
    if (!answer && answer.error().code != Code::corrupt) return answer.error();
    if (!answer || !answer->has_value()) continue;
    (*answer)->set_version(version);
    if (auto s = store_empty(txn_, key_expiry_key(version, key)); !s) return s.error();
    if (auto s = store(txn_, idempotency_key(key), **answer); !s) return s.error();
  }
  return undated.size();
}

}  // namespace meterd::journal
