// Invoicing on a device that is its own ledger (seed 002: postpaid, at the end of a term; what comes late for
// a closed term is stored and never invoiced; a voided or deleted invoice gives its usages back). One
// transaction takes or gives back a bounded number of usages, so that counting is not held up; what a crash
// leaves half done goes on with the same command.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/journal/write_transaction.hpp"
#include "agent/usages/rules.hpp"

namespace meterd::usages {

struct InvoiceOrder {
  enum class Verb : std::uint8_t { open, close, annul, remove };  // `annul` is void
  Verb verb = Verb::close;
  std::string invoice;  // its id, at most 50 characters
  // open and close only:
  SubscriptionId subscription;
  std::optional<ItemPriceId> item_price;  // of this one only
  std::int64_t until = 0;                 // seconds; usages before it are taken
};

// What one step came to.
struct InvoiceStep {
  std::string refused;  // why nothing was done, and what to do; empty: it was done
  bool more = false;    // take another step, behind `after`
  std::optional<journal::UsageQuery::Place> after;
  journal::v0::Invoice invoice;
};
// One step takes or gives back so many usages; fewer fit where the journal is full.
inline constexpr std::size_t kUsagesAStep = 64;
Result<InvoiceStep> take_step(journal::WriteTransaction& txn, const InvoiceOrder& order, const Rules& rules,
                              const std::optional<journal::UsageQuery::Place>& after, std::size_t at_most,
                              const journal::Moment& now);

// What the invoice may take: not yet invoiced, in its term, in order of usage_date.
journal::UsageQuery usages_of(const journal::v0::Invoice& invoice, const Rules& rules);

// Adds one of them to its line of the invoice of that id, whose id (the line's) it returns; or counts it as
// late or inactive, on no line: empty. Pure; `invoices` are all that there are. Code::corrupt: the line
// cannot be read.
Result<std::string> enter(journal::v0::Invoice& invoice, const std::string& id,
                          const journal::UsageRecord& usage,
                          const std::vector<journal::WriteTransaction::NamedInvoice>& invoices,
                          const Rules& rules);

// Whether that date of the item price lies in a term that is closed: what is not invoiced there never will
// be.
bool in_closed_term(const std::vector<journal::WriteTransaction::NamedInvoice>& invoices,
                    const SubscriptionId& subscription, const ItemPriceId& item_price,
                    std::int64_t usage_date);

bool is_active(const Rules& rules, const SubscriptionId& subscription, std::int64_t usage_date);

}  // namespace meterd::usages
