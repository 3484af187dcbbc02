// The collection's invoices: orders step by step, and what is on an invoice.
#include <iterator>
#include <utility>

#include "agent/usages/collection.hpp"
#include "platform/run_on.hpp"

namespace meterd::usages {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kPage = 1'000;

std::string described(const InvoiceOrder& order) {
  std::string out = "invoice " + order.invoice;
  if (!order.subscription.empty()) out += " of subscription " + order.subscription.value();
  if (order.item_price) out += ", item price " + order.item_price->value();
  return out;
}

const char* name_of(InvoiceOrder::Verb verb) {
  using Verb = InvoiceOrder::Verb;
  return verb == Verb::open    ? "invoice open"
         : verb == Verb::close ? "invoice close"
         : verb == Verb::annul ? "invoice void"
                               : "invoice delete";
}

Error too_many(std::size_t at_most) {
  return {Code::invalid, "there are more than " + std::to_string(at_most) + " usages"};
}

Result<std::vector<journal::StoredUsage>> collect(const journal::WriteTransaction& txn,
                                                  journal::UsageQuery query, std::size_t at_most) {
  std::vector<journal::StoredUsage> out;
  query.limit = kPage;
  for (;;) {
    auto page = txn.usages(query);
    if (!page) return page.error();
    std::move(page->usages.begin(), page->usages.end(), std::back_inserter(out));
    if (out.size() > at_most) return too_many(at_most);
    if (!page->next) return out;
    query.after = page->next;
  }
}

// An open invoice has nothing yet: what it would take if it were closed now.
Status gather_open(const journal::WriteTransaction& txn, const Rules& rules, Collection::Content& content,
                   std::size_t at_most) {
  const auto& invoice = *content.invoice;
  auto found = collect(txn, usages_of(invoice, rules), at_most);
  if (!found) return found.error();
  for (auto& stored : *found)
    if (is_active(rules, SubscriptionId(invoice.subscription_id()), stored.record.usage_date()))
      content.usages.push_back(std::move(stored));
  return {};
}

Result<std::optional<Collection::Content>> read_content(const journal::Journal& journal, const Rules& rules,
                                                        const std::string& id, std::size_t at_most) {
  auto read = journal.begin_read();
  if (!read) return read.error();
  const journal::WriteTransaction txn(std::move(*read));
  auto invoice = txn.invoice(id);
  if (!invoice) return invoice.error();
  Collection::Content content{std::move(*invoice), {}};
  if (content.invoice && content.invoice->state() == journal::v0::OPEN) {
    if (auto s = gather_open(txn, rules, content, at_most); !s) return s.error();
    return std::optional(std::move(content));
  }
  // One that was made here, or else an upstream's that is known from comparing.
  std::vector<UpstreamName> makers;
  if (content.invoice)
    makers.push_back(rules.ledger);
  else
    for (const auto& [name, target] : rules.context->targets)
      if (name != rules.ledger && !rules.hidden.contains(name)) makers.push_back(name);
  for (const auto& maker : makers) {
    auto usages = txn.usages_of_invoice(maker, id, at_most + 1);
    if (!usages) return usages.error();
    if (usages->size() > at_most) return too_many(at_most);
    if (!usages->empty() && !content.usages.empty())
      return Error{Code::invalid,
                   "two upstreams have an invoice of that id; ask each: meterctl statement --upstream"};
    if (!usages->empty()) content.usages = std::move(*usages);
  }
  if (!content.invoice && content.usages.empty()) return std::optional<Collection::Content>{};
  return std::optional(std::move(content));
}

}  // namespace

asio::awaitable<Result<journal::v0::Invoice>> Collection::invoice(InvoiceOrder order, std::string by) {
  const auto& target = rules_->context->targets.at(rules_->upstream);
  if (!target.vendor->traits().local)
    co_return Error{Code::rejected, "usages are invoiced by the upstream " + rules_->upstream.value()};
  auto step = std::make_shared<InvoiceStep>();
  std::size_t at_once = kUsagesAStep;
  do {
    journal::Operation operation = [step, order, by, rules = rules_, at = now(), at_once,
                                    after = step->after](journal::WriteTransaction& txn) -> Status {
      auto taken = take_step(txn, order, *rules, after, at_once, at);
      if (!taken) return taken.error();
      if (!taken->refused.empty()) return Error{Code::rejected, taken->refused};
      *step = std::move(*taken);
      if (step->more) return {};
      return txn.put_audit({by, name_of(order.verb), described(order)}, at);
    };
    const auto before = *step;
    const Status committed = co_await deps_.committer.submit(std::move(operation));
    if (!committed && committed.error().code == Code::full && at_once > 1) {
      *step = before;
      step->more = true;
      at_once /= 2;
      continue;
    }
    if (!committed) co_return committed.error();
  } while (step->more);
  co_return std::move(step->invoice);
}

asio::awaitable<Result<std::vector<journal::InvoiceRow>>> Collection::invoices() {
  const auto read = [this] { return journal::read_invoices(deps_.journal); };
  co_return co_await platform::run_on(deps_.reader, read);
}

asio::awaitable<Result<std::vector<journal::StoredUsage>>> Collection::all(journal::UsageQuery query,
                                                                           std::size_t at_most) {
  query.hidden = rules_->hidden;
  using Found = Result<std::vector<journal::StoredUsage>>;
  const auto read = [this, query = std::move(query), at_most]() -> Found {
    auto txn = deps_.journal.begin_read();
    if (!txn) return txn.error();
    return collect(journal::WriteTransaction(std::move(*txn)), query, at_most);
  };
  co_return co_await platform::run_on(deps_.reader, read);
}

asio::awaitable<Result<std::optional<Collection::Content>>> Collection::content(std::string invoice,
                                                                                std::size_t at_most) {
  const auto read = [this, rules = rules_, at_most, id = std::move(invoice)] {
    return read_content(deps_.journal, *rules, id, at_most);
  };
  co_return co_await platform::run_on(deps_.reader, read);
}

}  // namespace meterd::usages
