// What callers of the device's Usages API change, as functions on one transaction: each looks whether the
// same key was answered before, then whether the rules of the API (seed 002) allow it, and changes the
// journal and remembers its answer together.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "agent/journal/write_transaction.hpp"
#include "agent/usages/draft.hpp"
#include "agent/usages/rules.hpp"

namespace meterd::usages {

enum class Why : std::uint8_t {
  key_reused,            // the key came with another request
  unknown_subscription,  // the configuration lists subscriptions, and not this one
  unknown_item_price,    // it was never part of the subscription
  not_metered,           // it is a part that takes no usage
  duplicate_id,          // there is, or was, a usage of that id
  date_taken,            // one usage per subscription, item price and usage_date
  lifetime_limit,        // the subscription has all the usages that it may ever have
  not_found,             // no such usage in that subscription
  invoiced,              // cannot be deleted any more
  in_doubt,              // whether the upstream has it is not known: an operator resolves that first
  not_changeable,        // its upstream is not configured any more, or its state does not allow it
};
struct Refusal {
  Why why = Why::not_found;
  std::string param;    // the parameter that is wrong; may be empty
  std::string message;  // what is wrong, and what to do
};

// What a change came to: refused, with nothing changed, or answered.
struct Change {
  std::optional<Refusal> refusal;
  std::string answer;
  bool replayed = false;  // the answer was given before
};

// Makes the answer out of the usage. Pure.
using Render = std::function<std::string(const journal::UsageRecord&)>;

// What a change needs besides the transaction. `fresh_id`: an id that nobody has, for this change alone.
struct Surroundings {
  const Rules& rules;
  const Render& render;
  journal::Moment now;
  UsageId fresh_id;
};

Result<Change> create(journal::WriteTransaction& txn, const Draft& draft, const IdempotencyKey& key,
                      const Surroundings& around);

struct Deletion {
  SubscriptionId subscription;
  UsageId id;
  bool by_operator = false;  // who sees the usages of every upstream
};
Result<Change> remove(journal::WriteTransaction& txn, const Deletion& deletion, const IdempotencyKey& key,
                      const Surroundings& around);

struct Act {  // of an operator
  std::string by, reason;
};

// In doubt: whether the upstream has it, as an operator found out; not delivered: it is sent again. Parked:
// it is tried again.
struct Resolution {
  enum class Verdict : std::uint8_t { delivered, not_delivered, retry };
  UsageId id;
  Verdict verdict = Verdict::delivered;
  std::uint32_t attempts = 0;  // that it had when the operator decided
};
Result<Change> resolve(journal::WriteTransaction& txn, const Resolution& resolution, const Act& act,
                       const Surroundings& around);

// Gives back a part of what a delivered usage charged: as a usage below zero of the same series, waiting,
// with an audit. All credits of a usage together are at most its quantity.
struct Credit {
  UsageId of;
  Quantity quantity;          // above zero, in the unit that the usage was counted in
  std::optional<UsageId> id;  // of the credit: the same one again is not given twice
};
Result<Change> credit(journal::WriteTransaction& txn, const Credit& wanted, const Act& act,
                      const Surroundings& around);

// What the key was answered with before, or refused; an empty answer: nothing yet.
Result<Change> replay(journal::WriteTransaction& txn, const IdempotencyKey& key, const Surroundings& around);

// An answer that comes with no change: the first one given for the key.
Result<Change> answer_once(journal::WriteTransaction& txn, const IdempotencyKey& key, const std::string& text,
                           const Surroundings& around);

// Whether the usage can be seen through the API.
bool is_served(const journal::UsageRecord& record, const Rules& rules);

}  // namespace meterd::usages
