// Credits: what an operator gives back of a usage that charged too much (seed 000: a Quantity below zero).
// The vendor knows nothing of what a credit is for, so the sum of them is kept here, on the usage.
#include "agent/usages/changes.hpp"
#include "agent/usages/charges.hpp"

namespace meterd::usages {
namespace {

using journal::StoredUsage;
using journal::UsageRecord;
using journal::UsageState;

Change refused(std::string param, std::string message) {
  return {Refusal{Why::not_changeable, std::move(param), std::move(message)}, {}, false};
}

// Why that usage is not credited, whatever of it, and what to do instead; empty: it may be.
std::string objection(const UsageRecord& record, const Rules& rules) {
  const auto id = "the usage " + record.id();
  if (journal::usage_of(record).quantity.is_negative())
    return id + " is a credit itself: while it waits, withdraw it; later, report what is due anew";
  switch (journal::state_of(record)) {
    case UsageState::delivered:
      break;
    case UsageState::waiting:
      return id + " is waiting, and nothing is charged yet: withdraw it, and report what is right";
    case UsageState::parked:
      return id + " is parked: the upstream refused it; withdraw it, or retry it first";
    case UsageState::in_doubt:
      return id + " is in doubt: whether it is charged must be known first; resolve it";
    case UsageState::withdrawn:
      return id + " was withdrawn, so nothing of it is charged";
    case UsageState::superseded:
      return id + " was replaced by a later one of its day: credit that";
  }
  const auto target = rules.context->targets.find(UpstreamName(record.upstream()));
  if (target == rules.context->targets.end())
    return "its upstream " + record.upstream() +
           " is not configured: give an [[upstream]] this name again first";
  const auto traits = target->second.vendor->traits();
  if (!traits.takes_credits && traits.deletes)
    return "the upstream " + record.upstream() +
           " takes no credits: withdraw the usage, and report what is right anew";
  if (!traits.takes_credits)
    return "Twilio Marketplace V1 takes no negative quantities: give it back outside of it, with Twilio or "
           "the "
           "customer";
  if (!record.rounding().empty())
    return id + " was billed in blocks (" + record.rounding() +
           "), of which a part cannot be given back: report less, or " +
           "give it back with Twilio or the customer";
  if (!record.amount().empty())
    return id + " was billed as an amount of money, and the upstream " + record.upstream() +
           " is credited in units: give it back with Twilio or the customer";
  return {};
}

// Its rest, in words, where it is less than that.
Result<std::string> too_much(const UsageRecord& record, const Quantity& wanted) {
  const auto charged = journal::usage_of(record).quantity;
  const auto credited = Quantity::parse_total(record.credited().empty() ? "0" : record.credited());
  if (!credited) return credited.error();
  const auto rest = charged - *credited;
  if (wanted <= rest) return std::string();
  return "the usage " + record.id() + " charged " + charged.text() + ", of which " + credited->text() +
         " is credited: " + rest.text() + " is left, and " + wanted.text() + " is more";
}

// The same credit, asked for again; nullopt: the id is free. Any other usage of that id is in the way.
Result<std::optional<Change>> given_before(const journal::WriteTransaction& txn, const StoredUsage& of,
                                           const Credit& wanted, const Surroundings& around) {
  if (!wanted.id) return std::optional<Change>{};
  auto found = txn.find_usage(*wanted.id);
  if (!found) return found.error();
  if (!found->has_value()) return std::optional<Change>{};
  const auto& record = (*found)->record;
  const bool is_same =
      record.credit_of() == of.sequence && journal::usage_of(record).quantity == -wanted.quantity;
  if (is_same && journal::state_of(record) != UsageState::withdrawn)
    return std::optional(Change{std::nullopt, around.render(record), true});
  return std::optional(
      refused("id", "the id " + record.id() +
                        (is_same ? " is that of a credit that was withdrawn" : " is that of another usage") +
                        "; ids are unique and cannot come again"));
}

// In the series of the usage, on the day of the credit: it is billed on arrival.
Result<journal::WriteTransaction::CallerUsage> usage_for(const journal::WriteTransaction& txn,
                                                         const StoredUsage& of, const Credit& wanted,
                                                         const Act& act, const Surroundings& around) {
  const auto charged = journal::usage_of(of.record);
  auto balance = txn.balance({charged.day, charged.series});
  if (!balance) return balance.error();
  auto zone = balance->zone.empty() ? Result<meter::TimeZone>(around.rules.zone)
                                    : meter::TimeZone::load(balance->zone);
  if (!zone) return zone.error();
  meter::Usage usage;
  usage.id = wanted.id.value_or(around.fresh_id);
  usage.series = charged.series;
  usage.day = zone->day_of(around.now.wall);
  usage.quantity = -wanted.quantity;
  usage.note = "credit of " + charged.id.value() + ": " + act.reason;
  auto date = arrival(txn, usage.series, *zone, around.now.wall);
  if (!date) return date.error();
  usage.usage_date = *date;
  const auto& vendor = *around.rules.context->targets.at(usage.series.upstream).vendor;
  const auto request = flush::record_of(vendor.encode_create(usage));
  return journal::WriteTransaction::CallerUsage{usage,        request, journal::v0::ADMIN_CONSOLE,
                                                zone->name(), 0,       of.sequence};
}

}  // namespace

Result<Change> credit(journal::WriteTransaction& txn, const Credit& wanted, const Act& act,
                      const Surroundings& around) {
  auto found = txn.find_usage(wanted.of);
  if (!found) return found.error();
  const auto& id = wanted.of.value();
  if (!found->has_value())
    return Change{Refusal{Why::not_found, "of",
                          "there is no usage " + id + "; one that was delivered longer ago than " +
                              "retain_delivered may have been forgotten"},
                  {},
                  false};
  const auto& of = **found;
  auto before = given_before(txn, of, wanted, around);
  if (!before) return before.error();
  if (before->has_value()) return std::move(**before);
  if (const auto why = objection(of.record, around.rules); !why.empty()) return refused("of", why);
  auto held = txn.is_held(UpstreamName(of.record.upstream()));
  if (!held) return held.error();
  if (*held)
    return refused("of",
                   "this journal is a copy, and what was credited since is not in it: run meterctl "
                   "reconcile first, and see with Twilio what was given back");
  auto more = too_much(of.record, wanted.quantity);
  if (!more) return more.error();
  if (!more->empty()) return refused("quantity", *more);

  auto usage = usage_for(txn, of, wanted, act, around);
  if (!usage) return usage.error();
  auto created = txn.create_usage(*usage, around.now);
  if (!created) return created.error();
  auto audited = txn.put_audit({act.by, "credit",
                                "usage " + id + ", " + wanted.quantity.text() + " of it, as " +
                                    created->record.id() + ": " + act.reason},
                               around.now);
  if (!audited) return audited.error();
  return Change{std::nullopt, around.render(created->record), false};
}

}  // namespace meterd::usages
