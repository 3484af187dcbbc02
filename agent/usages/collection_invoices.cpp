// The collection's invoices: orders step by step, and what is on an invoice.
#include <functional>
#include <utility>

#include "agent/base/limits.hpp"
#include "agent/journal/audit.hpp"
#include "agent/usages/collection.hpp"
#include "platform/run_on.hpp"

namespace meterd::usages {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kPage = 1'000;
constexpr std::int64_t kWestOfUtc = 14 * 3'600;  // a day begins at most so much before it does in UTC

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
  return {Code::invalid,
          "there are more than " + std::to_string(at_most) + " usages: too many for one document"};
}

// All that the query finds, whatever its limit.
Status each(const journal::WriteTransaction& txn, journal::UsageQuery query,
            const std::function<Status(journal::StoredUsage)>& visit) {
  query.limit = kPage;
  for (;;) {
    auto page = txn.usages(query);
    if (!page) return page.error();
    for (auto& stored : page->usages)
      if (auto s = visit(std::move(stored)); !s) return s;
    if (!page->next) return {};
    query.after = page->next;
  }
}

// An open invoice has nothing yet: puts its lines on it as they would be if it were closed now. `taken`: what
// would stand on them.
Status draw_up(const journal::WriteTransaction& txn, const Rules& rules, const std::string& id,
               journal::v0::Invoice& invoice, const std::function<Status(journal::StoredUsage)>& taken) {
  auto invoices = txn.invoices();
  if (!invoices) return invoices.error();
  return each(txn, usages_of(invoice, rules), [&](journal::StoredUsage stored) -> Status {
    auto line = enter(invoice, id, stored.record, *invoices, rules);
    if (!line) return line.error();
    return line->empty() ? Status() : taken(std::move(stored));
  });
}

// Puts what it is given into `out`, as long as there is room.
auto into(std::vector<journal::StoredUsage>& out, std::size_t at_most) {
  return [&out, at_most](journal::StoredUsage stored) -> Status {
    if (out.size() == at_most) return too_many(at_most);
    out.push_back(std::move(stored));
    return {};
  };
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
    auto drawn = draw_up(txn, rules, id, *content.invoice, into(content.usages, at_most));
    if (!drawn) return drawn.error();
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
  if (order.verb == InvoiceOrder::Verb::close) {
    const Status sealed = co_await seal_term(order);
    if (!sealed) co_return sealed.error();
  }
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
  if (order.verb != InvoiceOrder::Verb::open) co_return std::move(step->invoice);
  using Drawn = Result<journal::v0::Invoice>;
  const auto read = [this, rules = rules_, id = order.invoice, open = std::move(step->invoice)]() -> Drawn {
    auto txn = deps_.journal.begin_read();
    if (!txn) return txn.error();
    auto invoice = open;
    auto drawn = draw_up(journal::WriteTransaction(std::move(*txn)), *rules, id, invoice,
                         [](journal::StoredUsage) { return Status(); });
    if (!drawn) return drawn.error();
    return invoice;
  };
  co_return co_await platform::run_on(deps_.reader, read);
}

// What a bucket holds would come too late for its term once that is closed, and so would what has yet to
// happen.
asio::awaitable<Status> Collection::seal_term(InvoiceOrder order) {
  const auto wall = deps_.clock.wall();
  if (!wall.trusted)
    co_return Error{Code::retry, "the clock is not trusted yet, so whether the term is over is not known"};
  if (order.until > wall.time.seconds().count())
    co_return Error{
        Code::rejected,
        "the term is not over: what is used until then would never be invoiced; close it later, or up "
        "to an instant that has passed"};
  const auto read = [this] { return journal::read_undated(deps_.journal, limits::kListRowsMax); };
  auto undated = co_await platform::run_on(deps_.reader, read);
  if (!undated) co_return undated.error();
  for (const auto& row : *undated)
    if (row.series.upstream == rules_->ledger && row.series.subscription == order.subscription)
      co_return Error{Code::rejected,
                      "what boot " + std::to_string(row.boot_number) +
                          " counted has no day yet (meterctl buckets, meterctl date): it may belong "
                          "to this term"};
  const auto in_term = [order = std::move(order), ledger = rules_->ledger](const meter::BucketKey& bucket) {
    const auto& series = bucket.series;
    return series.upstream == ledger && series.subscription == order.subscription &&
           (!order.item_price || series.item_price == *order.item_price) &&
           journal::utc_start_of(bucket.day) - kWestOfUtc < order.until;
  };
  co_return co_await deps_.seal_now(in_term);
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
    std::vector<journal::StoredUsage> out;
    auto all = each(journal::WriteTransaction(std::move(*txn)), query, into(out, at_most));
    if (!all) return all.error();
    return out;
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
