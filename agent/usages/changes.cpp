#include "agent/usages/changes.hpp"

#include <utility>

#include "agent/journal/read.hpp"

namespace meterd::usages {
namespace {

using journal::StoredUsage;
using journal::UsageState;
using journal::WriteTransaction;

Change refused(Why why, std::string param, std::string message) {
  return {Refusal{why, std::move(param), std::move(message)}, {}, false};
}

constexpr std::size_t kAnswersDatedAtOnce = 4;  // with each call that has a key: more than come

// What the same key was answered with; nullopt: go on.
Result<std::optional<Change>> earlier(WriteTransaction& txn, const IdempotencyKey& key,
                                      const Surroundings& around) {
  if (key.key.empty()) return std::optional<Change>{};
  if (around.now.trusted)
    if (auto dated = txn.date_answers(around.now, kAnswersDatedAtOnce); !dated) return dated.error();
  auto known = txn.answered(key.key, around.rules.idempotency_window);
  if (!known) return known.error();
  if (!known->has_value()) return std::optional<Change>{};
  if ((*known)->request_digest() != key.request_digest)
    return std::optional(refused(Why::key_reused, "chargebee-idempotency-key",
                                 "this key was used for another request; send a new one for a new request"));
  return std::optional(Change{std::nullopt, (*known)->answer(), true});
}

Result<Change> give(WriteTransaction& txn, std::string text, const IdempotencyKey& key,
                    const Surroundings& around) {
  Change out{std::nullopt, std::move(text), false};
  if (key.key.empty()) return out;
  journal::v0::IdempotencyKey remembered;
  remembered.set_request_digest(key.request_digest);
  remembered.set_answer(out.answer);
  if (auto s =
          txn.remember_answer(key.key, std::move(remembered), around.rules.idempotency_window, around.now);
      !s)
    return s.error();
  return out;
}

Result<Change> answer(WriteTransaction& txn, const journal::UsageRecord& record, const IdempotencyKey& key,
                      const Surroundings& around) {
  return give(txn, around.render(record), key, around);
}

Result<std::optional<Refusal>> unlisted(const WriteTransaction& txn, const Draft& draft, const Rules& rules) {
  if (rules.subscriptions.empty()) return std::optional<Refusal>{};
  const auto known = rules.subscriptions.find(draft.subscription);
  if (known == rules.subscriptions.end())
    return std::optional(Refusal{Why::unknown_subscription, "subscription_id",
                                 "there is no subscription " + draft.subscription.value()});
  if (known->second.not_metered.contains(draft.item_price))
    return std::optional(Refusal{Why::not_metered, "item_price_id",
                                 "the item price " + draft.item_price.value() + " is not metered"});
  if (known->second.item_prices.contains(draft.item_price)) return std::optional<Refusal>{};
  auto was = txn.was_listed(draft.subscription, draft.item_price);
  if (!was) return was.error();
  if (*was) return std::optional<Refusal>{};
  return std::optional(Refusal{
      Why::unknown_item_price, "item_price_id",
      "the item price " + draft.item_price.value() + " is not, and never was, part of the subscription"});
}

// Who has that second of the series: a usage that is there refuses it, one that is being deleted is waited
// for.
struct Second {
  std::optional<std::string> taken_by;
  std::uint64_t behind = 0;
};
Result<Second> look_at_second(const WriteTransaction& txn, const meter::SeriesKey& series,
                              std::int64_t usage_date) {
  auto there = txn.usages_at(series, usage_date);
  if (!there) return there.error();
  Second out;
  for (const auto& stored : *there) {
    if (journal::state_of(stored.record) == UsageState::withdrawn) continue;
    if (stored.record.deleted_by() != 0)
      out.behind = stored.record.deleted_by();
    else
      out.taken_by = stored.record.id();
  }
  return out;
}

meter::Usage usage_from(const Draft& draft, const Surroundings& around) {
  const auto zone = around.rules.zones.find(draft.item_price);
  const auto& cut = zone == around.rules.zones.end() ? around.rules.zone : zone->second;
  meter::Usage usage;
  usage.id = draft.id.value_or(around.fresh_id);
  usage.series = {around.rules.upstream, draft.subscription, draft.item_price};
  usage.day = cut.day_of(WallTime::from_seconds(draft.usage_date));
  usage.usage_date = draft.usage_date;
  usage.quantity = draft.quantity;
  usage.note = draft.note;
  if (draft.given_quantity != draft.quantity.text()) usage.given_quantity = draft.given_quantity;
  usage.custom_fields = draft.custom_fields;
  return usage;
}

std::string zone_of(const ItemPriceId& item_price, const Rules& rules) {
  const auto zone = rules.zones.find(item_price);
  return (zone == rules.zones.end() ? rules.zone : zone->second).name();
}

}  // namespace

bool is_served(const journal::UsageRecord& record, const Rules& rules) {
  return journal::is_listed(record) && !rules.hidden.contains(UpstreamName(record.upstream()));
}

Result<Change> replay(WriteTransaction& txn, const IdempotencyKey& key, const Surroundings& around) {
  auto before = earlier(txn, key, around);
  if (!before) return before.error();
  return before->value_or(Change{});
}

Result<Change> answer_once(WriteTransaction& txn, const IdempotencyKey& key, const std::string& text,
                           const Surroundings& around) {
  auto before = earlier(txn, key, around);
  if (!before) return before.error();
  if (before->has_value()) return std::move(**before);
  return give(txn, text, key, around);
}

Result<Change> create(WriteTransaction& txn, const Draft& draft, const IdempotencyKey& key,
                      const Surroundings& around) {
  const auto& rules = around.rules;
  auto before = earlier(txn, key, around);
  if (!before) return before.error();
  if (before->has_value()) return std::move(**before);
  auto unknown = unlisted(txn, draft, rules);
  if (!unknown) return unknown.error();
  if (unknown->has_value()) return Change{std::move(**unknown), {}, false};

  const auto usage = usage_from(draft, around);
  auto same_id = txn.find_usage(usage.id);
  if (!same_id) return same_id.error();
  if (same_id->has_value())
    return refused(Why::duplicate_id, "id",
                   "the id " + usage.id.value() + " has been used; ids are unique and cannot come again");
  auto second = look_at_second(txn, usage.series, usage.usage_date);
  if (!second) return second.error();
  if (second->taken_by)
    return refused(
        Why::date_taken, "usage_date",
        "the usage " + *second->taken_by +
            " of this subscription and item price has this usage_date; delete it first to correct it");
  auto used = txn.usages_for_life(rules.upstream, draft.subscription);
  if (!used) return used.error();
  if (*used >= rules.lifetime_limit)
    return refused(Why::lifetime_limit, "subscription_id",
                   "the subscription has had " + std::to_string(*used) +
                       " usages, which is all that it may have in its lifetime");

  const auto& vendor = *rules.context->targets.at(rules.upstream).vendor;
  auto created = txn.create_usage({usage, flush::record_of(vendor.encode_create(usage)), journal::v0::API,
                                   zone_of(draft.item_price, rules), second->behind},
                                  around.now);
  if (!created) return created.error();
  return answer(txn, created->record, key, around);
}

Result<Change> remove(WriteTransaction& txn, const Deletion& deletion, const IdempotencyKey& key,
                      const Surroundings& around) {
  const auto& rules = around.rules;
  auto before = earlier(txn, key, around);
  if (!before) return before.error();
  if (before->has_value()) return std::move(**before);
  auto found = txn.find_usage(deletion.id);
  if (!found) return found.error();
  const bool is_seen = found->has_value() && (deletion.by_operator ? journal::is_listed((*found)->record)
                                                                   : is_served((*found)->record, rules));
  if (!is_seen || (*found)->record.subscription_id() != deletion.subscription.value())
    return refused(Why::not_found, "id",
                   "there is no usage " + deletion.id.value() +
                       (deletion.subscription.empty() ? "" : " in this subscription"));
  const auto& stored = **found;
  if (!stored.record.invoice_id().empty())
    return refused(Why::invoiced, "id",
                   "the usage is part of invoice " + stored.record.invoice_id() + " and cannot be deleted");
  const auto state = journal::state_of(stored.record);
  if (state == UsageState::in_doubt)
    return refused(Why::in_doubt, "id",
                   "whether the upstream has this usage is not known; resolve it first (meterctl outbox)");
  auto held = txn.is_held(UpstreamName(stored.record.upstream()));
  if (!held) return held.error();
  const bool sent_by_original = *held && txn.needs_reconciling(stored);  // it may be
  const auto target = rules.context->targets.find(UpstreamName(stored.record.upstream()));
  // A policy has it sent again, for all that was not known: whatever kind the upstream is now.
  const bool is_open = state == UsageState::waiting || state == UsageState::parked;
  if (is_open && stored.record.resent())
    return refused(Why::in_doubt, "id",
                   "it was in doubt and is sent again, as in_doubt declares: the upstream may have it from "
                   "before; wait until it is delivered, or in doubt again, and resolve it then");
  // Where a request's intent is in doubt itself, what waits is proven not to be there.
  const bool asked_once =
      target != rules.context->targets.end() && !target->second.vendor->traits().idempotent;
  const bool never_sent =
      state == UsageState::waiting && (stored.record.attempts() == 0 || asked_once) && !sent_by_original;
  if (never_sent || state == UsageState::parked) {
    if (auto s = txn.withdraw(stored.sequence, around.now); !s) return s.error();
    auto withdrawn = txn.usage(stored.sequence);
    if (!withdrawn) return withdrawn.error();
    return answer(txn, withdrawn->record, key, around);
  }
  if (target == rules.context->targets.end())
    return refused(Why::not_changeable, "id",
                   "its upstream " + stored.record.upstream() + " is not configured, so it cannot be asked");
  if (!target->second.vendor->traits().deletes)
    return refused(Why::not_changeable, "id",
                   "the upstream " + stored.record.upstream() + " has it, and takes nothing back");
  const auto request = flush::record_of(
      target->second.vendor->encode_delete(journal::usage_of(stored.record), around.fresh_id.value()));
  auto asked = txn.request_deletion(stored.sequence, request, around.now);
  if (!asked) return asked.error();
  return answer(txn, asked->record, key, around);
}

}  // namespace meterd::usages
