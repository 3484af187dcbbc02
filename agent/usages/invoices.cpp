#include "agent/usages/invoices.hpp"

#include <algorithm>
#include <utility>

namespace meterd::usages {
namespace {

using journal::UsageQuery;
using journal::WriteTransaction;
using journal::v0::Invoice;
using Invoices = std::vector<WriteTransaction::NamedInvoice>;

bool covers(const Invoice& invoice, const SubscriptionId& subscription, const ItemPriceId& item_price) {
  return invoice.subscription_id() == subscription.value() &&
         (invoice.item_price_id().empty() || invoice.item_price_id() == item_price.value());
}

bool ends_a_term(const Invoice& invoice) {
  return invoice.state() == journal::v0::CLOSED || invoice.state() == journal::v0::CLOSING;
}

// Where the term before this one ended, for that item price.
std::int64_t term_before(const Invoices& invoices, const std::string& id, const Invoice& invoice,
                         const ItemPriceId& item_price) {
  std::int64_t end = 0;
  for (const auto& [other_id, other] : invoices)
    if (other_id != id && ends_a_term(other) && other.until() <= invoice.until() &&
        covers(other, SubscriptionId(invoice.subscription_id()), item_price))
      end = std::max(end, other.until());
  return end;
}

InvoiceStep refused(std::string why) { return {std::move(why), false, {}, {}}; }

Invoice::Line& line_of(Invoice& invoice, const std::string& id, const std::string& item_price) {
  for (auto& line : *invoice.mutable_lines())
    if (line.item_price_id() == item_price) return line;
  auto& line = *invoice.add_lines();
  line.set_item_price_id(item_price);
  line.set_line_item_id(id + "-" + std::to_string(invoice.lines_size()));
  return line;
}

Result<InvoiceStep> take_usages(WriteTransaction& txn, const InvoiceOrder& order, const Rules& rules,
                                Invoice invoice, const Invoices& invoices,
                                const std::optional<UsageQuery::Place>& after, std::size_t at_most,
                                const journal::Moment& now) {
  if (!after) {  // from the beginning, also where an earlier attempt was cut short
    invoice.set_late(0);
    invoice.set_inactive(0);
  }
  auto query = usages_of(invoice, rules);
  query.limit = at_most;
  query.after = after;
  auto page = txn.usages(query);
  if (!page) return page.error();
  for (const auto& stored : page->usages) {
    auto line = enter(invoice, order.invoice, stored.record, invoices, rules);
    if (!line) return line.error();
    if (line->empty()) continue;
    if (auto s = txn.attach(stored.sequence, order.invoice, *line, now); !s) return s.error();
  }
  invoice.set_state(page->next ? journal::v0::CLOSING : journal::v0::CLOSED);
  if (auto s = txn.put_invoice(order.invoice, invoice); !s) return s.error();
  return InvoiceStep{"", page->next.has_value(), page->next, std::move(invoice)};
}

// The invoice as the order wants it, or why that cannot be.
Result<InvoiceStep> begin(WriteTransaction& txn, const InvoiceOrder& order, const Rules& rules,
                          const Invoices& invoices, const journal::Moment& now) {
  auto known = txn.invoice(order.invoice);
  if (!known) return known.error();
  const auto item_price = order.item_price ? order.item_price->value() : std::string();
  Invoice invoice = known->value_or(Invoice{});
  const bool is_new = !known->has_value() || invoice.state() == journal::v0::VOIDED;
  if (is_new && !rules.subscriptions.empty() && !rules.subscriptions.contains(order.subscription))
    return refused("there is no subscription " + order.subscription.value() + " in meterd.toml");
  if (is_new) invoice = Invoice{};
  const bool same = is_new || (invoice.subscription_id() == order.subscription.value() &&
                               invoice.item_price_id() == item_price);
  if (!same) return refused("invoice " + order.invoice + " is another one's; give a new id");
  if (!is_new && invoice.state() == journal::v0::CLEARING)
    return refused("invoice " + order.invoice + " is being voided or deleted; finish that first");
  if (!is_new && invoice.state() == journal::v0::CLOSED) {
    const bool again = order.verb == InvoiceOrder::Verb::close && invoice.until() == order.until;
    return again ? InvoiceStep{"", false, {}, std::move(invoice)}  // its answer may have been lost
                 : refused("invoice " + order.invoice + " is closed; void it first to close it again");
  }
  invoice.set_subscription_id(order.subscription.value());
  invoice.set_item_price_id(item_price);
  invoice.set_until(order.until);
  invoice.set_changed_at_ms(now.wall.since_epoch.count());
  // Only invoices over every item price bound the whole; others are looked at for each usage.
  invoice.set_from(term_before(invoices, order.invoice, invoice, order.item_price.value_or(ItemPriceId())));
  for (const auto& [id, other] : invoices)
    if (id != order.invoice && ends_a_term(other) && other.from() < order.until &&
        other.until() >= order.until &&
        covers(other, order.subscription, order.item_price.value_or(ItemPriceId())))
      return refused("this term is closed by invoice " + id + "; void that first");
  return InvoiceStep{"", false, {}, std::move(invoice)};
}

Result<InvoiceStep> give_back(WriteTransaction& txn, const InvoiceOrder& order, const UpstreamName& ledger,
                              std::size_t at_most, const journal::Moment& now) {
  auto known = txn.invoice(order.invoice);
  if (!known) return known.error();
  if (!known->has_value()) return refused("there is no invoice " + order.invoice);
  Invoice invoice = std::move(**known);
  const auto given_back = txn.detach(ledger, order.invoice, at_most, now);
  if (!given_back) return given_back.error();
  const bool more = *given_back == at_most;
  if (!more) invoice.clear_lines();
  invoice.set_state(more ? journal::v0::CLEARING : journal::v0::VOIDED);
  invoice.set_changed_at_ms(now.wall.since_epoch.count());
  const bool gone = !more && order.verb == InvoiceOrder::Verb::remove;
  auto kept = gone ? txn.erase_invoice(order.invoice) : txn.put_invoice(order.invoice, invoice);
  if (!kept) return kept.error();
  return InvoiceStep{"", more, {}, std::move(invoice)};
}

}  // namespace

bool in_closed_term(const Invoices& invoices, const SubscriptionId& subscription,
                    const ItemPriceId& item_price, std::int64_t usage_date) {
  return std::any_of(invoices.begin(), invoices.end(), [&](const auto& named) {
    const auto& invoice = named.second;
    return invoice.state() == journal::v0::CLOSED && covers(invoice, subscription, item_price) &&
           usage_date >= invoice.from() && usage_date < invoice.until();
  });
}

Result<std::string> enter(Invoice& invoice, const std::string& id, const journal::UsageRecord& usage,
                          const Invoices& invoices, const Rules& rules) {
  const SubscriptionId subscription(invoice.subscription_id());
  const ItemPriceId item_price(usage.item_price_id());
  const auto date = usage.usage_date();
  if (date < term_before(invoices, id, invoice, item_price) ||
      in_closed_term(invoices, subscription, item_price, date)) {
    invoice.set_late(invoice.late() + 1);
    return std::string();
  }
  if (!is_active(rules, subscription, date)) {
    invoice.set_inactive(invoice.inactive() + 1);
    return std::string();
  }
  auto& line = line_of(invoice, id, item_price.value());
  const auto sum = Quantity::parse_total(line.quantity().empty() ? "0" : line.quantity());
  if (!sum) return Error{Code::corrupt, "an invoice's line cannot be read"};
  line.set_quantity((*sum + journal::usage_of(usage).billed()).text());
  line.set_usages(line.usages() + 1);
  return line.line_item_id();
}

UsageQuery usages_of(const Invoice& invoice, const Rules& rules) {
  UsageQuery query;
  query.subscription.is = invoice.subscription_id();
  if (!invoice.item_price_id().empty()) query.item_price.is = invoice.item_price_id();
  query.first_date = invoice.from();
  query.last_date = invoice.until() - 1;
  query.has_invoice = false;
  query.order = UsageQuery::Order::date;
  query.upstream = rules.ledger;  // what another one has, or had, is invoiced there
  return query;
}

bool is_active(const Rules& rules, const SubscriptionId& subscription, std::int64_t usage_date) {
  const auto known = rules.subscriptions.find(subscription);
  if (known == rules.subscriptions.end() || known->second.active.empty()) return true;
  return std::any_of(known->second.active.begin(), known->second.active.end(),
                     [&](const auto& time) { return usage_date >= time.first && usage_date < time.second; });
}

Result<InvoiceStep> take_step(WriteTransaction& txn, const InvoiceOrder& order, const Rules& rules,
                              const std::optional<UsageQuery::Place>& after, std::size_t at_most,
                              const journal::Moment& now) {
  using Verb = InvoiceOrder::Verb;
  if (order.verb == Verb::annul || order.verb == Verb::remove)
    return give_back(txn, order, rules.ledger, at_most, now);
  auto invoices = txn.invoices();
  if (!invoices) return invoices.error();
  auto begun = begin(txn, order, rules, *invoices, now);
  if (!begun || !begun->refused.empty()) return begun;
  if (begun->invoice.state() == journal::v0::CLOSED) return begun;
  if (order.verb == Verb::close)
    return take_usages(txn, order, rules, std::move(begun->invoice), *invoices, after, at_most, now);
  begun->invoice.set_state(journal::v0::OPEN);
  if (auto s = txn.put_invoice(order.invoice, begun->invoice); !s) return s.error();
  return begun;
}

}  // namespace meterd::usages
