// For comparing with an upstream: which subscriptions there are, and what is known of a usage that it names.
#include <algorithm>

#include "agent/journal/audit.hpp"
#include "agent/journal/read.hpp"
#include "agent/journal/records.hpp"
#include "agent/meter/time_zone.hpp"

namespace meterd::journal {
namespace {

// Pruned usages leave the last of their dates with the sums of their day, which is a day of its zone.
Result<bool> is_forgotten(const WriteTransaction& txn, const NamedUsage& named) {
  const auto utc_day = static_cast<std::int32_t>(named.usage_date / 86'400);
  for (const int off : {-1, 0, 1}) {
    const UsageDay day(utc_day + off);
    auto balance = txn.balance({day, named.series});
    if (!balance) return balance.error();
    const auto zone = meter::TimeZone::load(balance->zone);
    const auto bounds =
        zone ? zone->bounds(day) : meter::DayBounds{utc_start_of(day), utc_start_of(day) + 86'400};
    const bool is_its_day = named.usage_date >= bounds.start && named.usage_date < bounds.end;
    if (is_its_day && balance->pruned_date > 0 && balance->pruned_date >= named.usage_date) return true;
  }
  return false;
}

Result<KnownUsage> read_one(const WriteTransaction& txn, const NamedUsage& named) {
  KnownUsage known;
  if (named.id.value().size() > UINT8_MAX || named.series.item_price.value().size() > UINT8_MAX ||
      named.series.subscription.value().size() > UINT8_MAX)
    return known;  // longer than any that is kept
  auto stored = txn.find_usage(named.id);
  known.damaged = !stored && stored.error().code == Code::corrupt;
  if (!stored && !known.damaged) return stored.error();
  if (stored) known.stored = std::move(*stored);
  if (known.stored || known.damaged) return known;
  auto forgotten = is_forgotten(txn, named);
  known.damaged = !forgotten && forgotten.error().code == Code::corrupt;
  if (!forgotten && !known.damaged) return forgotten.error();
  if (forgotten) known.forgotten = *forgotten;
  return known;
}

}  // namespace

Result<std::optional<SubscriptionId>> read_next_subscription(const Journal& journal,
                                                             const UpstreamName& upstream,
                                                             const SubscriptionId& after) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  const auto walked = subscription_prefix(upstream);
  const auto from = after.empty() ? std::string() : subscription_key(upstream, after);
  std::optional<SubscriptionId> next;
  auto scanned = txn->scan(walked, from, [&](std::string_view key, std::string_view) {
    if (key == from) return true;
    next = SubscriptionId(key.substr(walked.size() + 1));  // length, text
    return false;
  });
  if (!scanned) return scanned.error();
  return next;
}

Result<std::optional<SubscriptionId>> read_lifetimes(const Journal& journal, const UpstreamName& upstream,
                                                     const SubscriptionId& after, std::size_t shown,
                                                     Lifetimes& lifetimes) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  const auto walked = subscription_prefix(upstream);
  const auto from = after.empty() ? std::string() : subscription_key(upstream, after);
  auto& most = lifetimes.most;
  const auto more = [](const Lifetimes::Row& a, const Lifetimes::Row& b) { return a.usages > b.usages; };
  std::size_t read = 0;
  std::optional<SubscriptionId> last;
  auto scanned = txn->scan(walked, from, [&](std::string_view key, std::string_view value) {
    if (key == from) return true;
    ++lifetimes.subscriptions;
    const SubscriptionId subscription(key.substr(walked.size() + 1));  // length, text
    const auto payload = unwrap(key, value);
    v0::Subscription known;
    // A damaged one is set aside, and shown, where it is next written.
    if (payload && known.ParseFromArray(payload->data(), static_cast<int>(payload->size())) &&
        (most.size() < shown || known.usages() > most.back().usages)) {
      const Lifetimes::Row row{subscription, known.usages()};
      most.insert(std::upper_bound(most.begin(), most.end(), row, more), row);
      if (most.size() > shown) most.pop_back();
    }
    if (++read < kLifetimesAtOnce) return true;
    last = subscription;
    return false;
  });
  if (!scanned) return scanned.error();
  return last;
}

Result<std::vector<KnownUsage>> read_known(const Journal& journal, const std::vector<NamedUsage>& named) {
  auto read = journal.begin_read();
  if (!read) return read.error();
  const WriteTransaction txn(std::move(*read));
  std::vector<KnownUsage> out;
  for (const auto& one : named) {
    auto known = read_one(txn, one);
    if (!known) return known.error();
    out.push_back(std::move(*known));
  }
  return out;
}

}  // namespace meterd::journal
