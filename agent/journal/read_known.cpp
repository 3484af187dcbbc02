// For comparing with an upstream: which subscriptions there are, and what is known of a usage that it names.
#include "agent/journal/read.hpp"
#include "agent/journal/records.hpp"

namespace meterd::journal {
namespace {

// Pruned usages leave the last of their dates with the sums of their day, whatever the zone of that day.
Result<bool> is_forgotten(const WriteTransaction& txn, const NamedUsage& named) {
  const auto utc_day = UsageDay(static_cast<std::int32_t>(named.usage_date / 86'400));
  for (const int off : {-1, 0, 1}) {
    const UsageDay day(utc_day.days_since_epoch() + off);
    auto balance = txn.balance({day, named.series});
    if (!balance) return balance.error();
    if (balance->pruned_date >= named.usage_date) return true;
  }
  return false;
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

Result<std::vector<KnownUsage>> read_known(const Journal& journal, const std::vector<NamedUsage>& named) {
  auto read = journal.begin_read();
  if (!read) return read.error();
  const WriteTransaction txn(std::move(*read));
  std::vector<KnownUsage> out;
  for (const auto& one : named) {
    KnownUsage known;
    auto stored = txn.find_usage(one.id);
    known.damaged = !stored && stored.error().code == Code::corrupt;
    if (!stored && !known.damaged) return stored.error();
    if (stored) known.stored = std::move(*stored);
    if (!known.stored && !known.damaged) {
      auto forgotten = is_forgotten(txn, one);
      if (!forgotten) return forgotten.error();
      known.forgotten = *forgotten;
    }
    out.push_back(std::move(known));
  }
  return out;
}

}  // namespace meterd::journal
