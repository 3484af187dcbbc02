// Delivery to an upstream that can be asked once only, and the carry of those that bill money.
#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {

namespace {
// Of the same subscription, behind the first one of a request: history lies in between.
constexpr std::size_t kLookedAtPerUsage = 4;
}  // namespace

// In doubt before the first byte leaves: what a crash leaves of it needs no second look.
Result<std::vector<StoredUsage>> WriteTransaction::begin_unrepeatable(const UpstreamName& upstream,
                                                                      const Moment& now, std::size_t at_most,
                                                                      Lane first) {
  auto found = due_usages(upstream, now, 1, first);
  if (!found) return found.error();
  if (found->empty()) return found;
  auto rest = due_beside(found->front(), now, found->front().record.alone() ? 0 : at_most - 1);
  if (!rest) return rest.error();
  found->insert(found->end(), rest->begin(), rest->end());
  for (auto& stored : *found) {
    const auto begun = [&](UsageRecord& to) {
      to.set_state(v0::IN_DOUBT);
      to.set_attempts(to.attempts() + 1);
      to.set_last_attempt_ms(now.wall.since_epoch.count());
      to.set_due_boot(0);
      to.set_due_ms(0);
      to.set_last_error(kNoAnswerKnown);
    };
    if (auto s = move(stored, nullptr, begun); !s) return s.error();
  }
  return found;
}

Result<std::vector<StoredUsage>> WriteTransaction::due_beside(const StoredUsage& first, const Moment& now,
                                                              std::size_t at_most) const {
  std::vector<StoredUsage> out;
  if (at_most == 0) return out;
  const SubscriptionId subscription(first.record.subscription_id());
  std::vector<std::uint64_t> behind;
  auto scanned =
      txn_.scan(by_subscription_prefix(subscription), by_subscription_key(subscription, first.sequence + 1),
                [&](std::string_view key, std::string_view) {
                  if (auto sequence = parse_by_subscription_key(key)) behind.push_back(*sequence);
                  return behind.size() < at_most * kLookedAtPerUsage;
                });
  if (!scanned) return scanned.error();
  for (const auto sequence : behind) {
    auto stored = usage(sequence);
    if (!stored && stored.error().code == Code::corrupt) continue;  // found when it is the first one
    if (!stored) return stored.error();
    const auto& record = stored->record;
    const bool fits = record.upstream() == first.record.upstream() &&
                      state_of(record) == UsageState::waiting && !record.alone() && record.behind() == 0 &&
                      record.request().target() == first.record.request().target();
    if (!fits || !is_due(outbox_entry(sequence, record), now.boot)) continue;
    out.push_back(std::move(*stored));
    if (out.size() == at_most) break;
  }
  return out;
}

Status WriteTransaction::retry_alone(std::uint64_t sequence, const std::string& error) {
  auto stored = usage(sequence);
  if (!stored) return stored.error();
  return move(*stored, nullptr, [&](UsageRecord& to) {
    to.set_state(v0::WAITING);
    to.set_alone(true);
    to.set_last_error(error);
  });
}

Status WriteTransaction::resend(std::uint64_t sequence, const Due& due, const std::string& error) {
  return wait(sequence, due, error, [](UsageRecord& to) { to.set_resent(true); });
}

Status WriteTransaction::return_to_waiting(std::uint64_t sequence, const Due& due, const std::string& error) {
  return wait(sequence, due, error, [](UsageRecord& to) { to.set_resent(false); });
}

Result<std::vector<StoredUsage>> WriteTransaction::in_doubt(const UpstreamName& upstream, std::uint64_t after,
                                                            std::size_t at_most) const {
  std::vector<std::uint64_t> sequences;
  const auto from = outbox_key(upstream, {Lane::in_doubt, {}, after + 1});
  auto scanned =
      txn_.scan(outbox_prefix(upstream, Lane::in_doubt), from, [&](std::string_view key, std::string_view) {
        if (auto fields = parse_outbox_key(key)) sequences.push_back(fields->entry.sequence);
        return sequences.size() < at_most;
      });
  if (!scanned) return scanned.error();
  std::vector<StoredUsage> out;
  for (const auto sequence : sequences) {
    auto stored = usage(sequence);
    if (!stored && stored.error().code != Code::corrupt) return stored.error();
    if (stored) out.push_back(std::move(*stored));
  }
  return out;
}

Result<meter::Carried> WriteTransaction::carry(const meter::SeriesKey& series) {
  const auto key = carry_key(series);
  auto known = load<v0::Carry>(txn_, key);
  if (!known && known.error().code == Code::corrupt) {
    if (auto s = set_aside(key); !s) return s.error();
    return meter::Carried{};
  }
  if (!known) return known.error();
  if (!known->has_value() || (*known)->amount().empty()) return meter::Carried{};
  auto amount = Quantity::parse_total((*known)->amount());
  if (!amount) return amount.error();
  return meter::Carried{*amount, (*known)->rounding()};
}

Status WriteTransaction::put_carry(const meter::SeriesKey& series, const meter::Charge& charge) {
  v0::Carry carry;
  if (!charge.carry_out.is_zero()) {
    carry.set_amount(charge.carry_out.text());
    carry.set_rounding(charge.rounding);
  }
  return store(txn_, carry_key(series), carry);
}

}  // namespace meterd::journal
