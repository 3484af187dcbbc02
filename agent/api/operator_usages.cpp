#include "agent/api/operator_usages.hpp"

#include <boost/json.hpp>

#include "agent/api/chargebee/answers.hpp"
#include "agent/api/chargebee/filters.hpp"
#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"

namespace meterd::api {

namespace asio = boost::asio;
namespace json = boost::json;
using journal::WriteTransaction;
using Verb = usages::InvoiceOrder::Verb;

namespace {

constexpr std::size_t kReasonMax = 200;
constexpr std::size_t kInvoiceIdMax = 50;      // characters of ASCII: seed 002, invoice[id]
constexpr std::size_t kNotedInvoiceMax = 200;  // bytes of an upstream's

Response bad(const std::string& message) { return error_response(400, "malformed", message); }

Response answer_of(Result<usages::Change> done) {
  if (!done) return error_response(done.error());
  if (done->refusal) {
    const bool unknown = done->refusal->why == usages::Why::not_found;
    return error_response(unknown ? 404 : 409, unknown ? "not_found" : "rejected",
                          done->refusal->message + ".");
  }
  Response response;
  response.body = std::move(done->answer);
  return response;
}

std::string with_state(const journal::UsageRecord& record) {
  auto out = chargebee::usage_answer(record);
  out.pop_back();  // the object goes on
  append_json_string(out.append(",\"state\":"), journal::name_of(journal::state_of(record)));
  return out + '}';
}

// Whether the usage is on an invoice, can still be on one, or never will be; or nobody here can know.
std::string billing_of(const journal::UsageRecord& record,
                       const std::vector<WriteTransaction::NamedInvoice>& invoices,
                       const usages::Rules& rules) {
  if (!record.invoice_id().empty()) return "invoiced";
  const auto target = rules.context->targets.find(UpstreamName(record.upstream()));
  if (target != rules.context->targets.end() && !target->second.vendor->traits().keeps_dates)
    return "on arrival";
  const SubscriptionId subscription(record.subscription_id());
  if (!usages::is_active(rules, subscription, record.usage_date())) return "never: not active";
  const ItemPriceId item_price(record.item_price_id());
  const bool late = usages::in_closed_term(invoices, subscription, item_price, record.usage_date());
  return late ? "never: late" : "open";
}

// What is null where the quantity itself is billed, and what of it is credited.
void append_money(const journal::UsageRecord& record, std::string& out) {
  const bool is_money = !record.amount().empty();
  const auto append = [&](std::string_view name, const std::string& text, bool known) {
    append_json_string(out += ',', name);
    out += ':';
    if (known)
      append_json_string(out, text);
    else
      out += "null";
  };
  append("amount", record.amount(), is_money);
  append("unit_price", record.unit_price(), is_money);
  append("rounding", record.rounding(), !record.rounding().empty());
  append("counted", record.quantity(), !record.rounding().empty());
  append("carry_in", record.carry_in(), is_money);
  append("carry_out", record.carry_out(), is_money);
  append("credited", record.credited(), !record.credited().empty());
}

std::optional<Verb> verb_of(const std::string& name) {
  if (name == "open") return Verb::open;
  if (name == "close") return Verb::close;
  if (name == "void") return Verb::annul;
  if (name == "delete") return Verb::remove;
  return std::nullopt;
}

// An instant, or a day, meaning its end on this device.
std::optional<std::int64_t> until_of(const std::string& text, const meter::TimeZone& zone) {
  if (const auto day = UsageDay::parse(text)) return zone.bounds(*day).end;
  if (const auto instant =
          parse_rfc3339(text))  // what lies before a part of a second lies before the next one
    return (*instant + Milliseconds(999)).seconds().count();
  return std::nullopt;
}

std::string name_of(journal::v0::InvoiceState state) {
  switch (state) {
    case journal::v0::OPEN:
      return "open";
    case journal::v0::CLOSING:
      return "closing";
    case journal::v0::CLOSED:
      return "closed";
    case journal::v0::CLEARING:
      return "clearing";
    default:
      return "void";
  }
}

std::string invoice_json(const std::string& id, const journal::v0::Invoice& invoice) {
  json::array lines;
  for (const auto& line : invoice.lines())
    lines.push_back(json::object{{"item_price_id", line.item_price_id()},
                                 {"line_item_id", line.line_item_id()},
                                 {"quantity", line.quantity()},
                                 {"usages", line.usages()}});
  return json::serialize(json::object{{"invoice",
                                       {{"id", id},
                                        {"subscription_id", invoice.subscription_id()},
                                        {"item_price_id", invoice.item_price_id()},
                                        {"from", invoice.from()},
                                        {"until", invoice.until()},
                                        {"state", name_of(invoice.state())},
                                        {"lines", std::move(lines)},
                                        {"late", invoice.late()},
                                        {"inactive", invoice.inactive()}}}});
}

}  // namespace

bool OperatorUsages::has(std::string_view path) {
  return path == "/operator/usages" || path == "/operator/invoice" || path == "/operator/statement" ||
         path == "/operator/withdraw" || path == "/operator/credit" || path == "/operator/resolve" ||
         path == "/operator/retry";
}

asio::awaitable<Response> OperatorUsages::answer(const Request& request) {
  if (request.path == "/operator/invoice") co_return co_await invoice(request);
  if (request.path == "/operator/usages") co_return co_await usages(request);
  if (request.path == "/operator/withdraw") co_return co_await withdraw(request);
  if (request.path == "/operator/credit") co_return co_await credit(request);
  if (request.path == "/operator/resolve" || request.path == "/operator/retry")
    co_return co_await resolve(request);
  co_return co_await statement(request);
}

asio::awaitable<Response> OperatorUsages::statement(const Request& request) {
  if (const auto id = request.parameter("invoice")) {
    if (!is_clean_text(*id, kNotedInvoiceMax)) co_return bad("The invoice's id has 1 to 50 characters.");
    co_return co_await downloads_.document(*id);
  }
  const auto from = UsageDay::parse(request.parameter("from").value_or(""));
  const auto to = UsageDay::parse(request.parameter("to").value_or(""));
  if (!from || !to) co_return bad("Say which invoice, or the days: from and to, like 2026-11-22.");
  if (*to < *from) co_return bad("The last day, to, is before the first one, from.");
  const auto& zone = collection_.rules().zone;
  chargebee::Range range;
  range.first = zone.bounds(*from).start;
  range.end = zone.bounds(*to).end;
  range.title = "Usages from " + from->iso() + " to " + to->iso();
  if (zone.name() != "UTC") range.title += ", days of " + zone.name();
  if (const auto subscription = request.parameter("subscription")) range.subscription = *subscription;
  co_return co_await downloads_.document(std::move(range));
}

asio::awaitable<Response> OperatorUsages::withdraw(const Request& request) {
  const auto id = request.parameter("id").value_or("");
  const auto reason = request.parameter("reason").value_or("");
  if (!is_clean_text(id, UINT8_MAX)) co_return bad("Say which usage: its id.");
  if (!is_clean_text(reason, kReasonMax)) co_return bad("Say why: a reason of 1 to 200 bytes, in one line.");
  const usages::Act act{request.peer, reason};
  const UsageId usage(id);
  auto done = co_await collection_.withdraw(usage, act, chargebee::usage_answer);
  co_return answer_of(std::move(done));
}

asio::awaitable<Response> OperatorUsages::credit(const Request& request) {
  const auto of = request.parameter("of").value_or("");
  const auto reason = request.parameter("reason").value_or("");
  const auto id = request.parameter("id");
  const auto quantity = Quantity::parse(request.parameter("quantity").value_or(""));
  if (!is_clean_text(of, UINT8_MAX)) co_return bad("Say which usage: its id.");
  if (!is_clean_text(reason, kReasonMax)) co_return bad("Say why: a reason of 1 to 200 bytes, in one line.");
  if (!quantity || quantity->is_negative() || quantity->is_zero() || !(-*quantity).fits_usage())
    co_return bad("quantity is a decimal above zero of at most 39 characters, in the usage's own unit.");
  if (id && !is_clean_text(*id, limits::kIdMax)) co_return bad("The credit's own id has 1 to 100 bytes.");
  usages::Credit wanted{UsageId(of), *quantity, {}};
  if (id) wanted.id = UsageId(*id);
  usages::Act act{request.peer, reason};
  auto done = co_await collection_.credit(std::move(wanted), std::move(act), with_state);
  co_return answer_of(std::move(done));
}

asio::awaitable<Response> OperatorUsages::resolve(const Request& request) {
  using Verdict = usages::Resolution::Verdict;
  const bool retries = request.path == "/operator/retry";
  const auto id = request.parameter("id").value_or("");
  const auto reason = request.parameter("reason").value_or(retries ? "asked for" : "");
  const auto verdict = request.parameter("verdict").value_or("");
  if (!is_clean_text(id, UINT8_MAX)) co_return bad("Say which usage: its id.");
  if (!is_clean_text(reason, kReasonMax)) co_return bad("Say why: a reason of 1 to 200 bytes, in one line.");
  if (!retries && verdict != "delivered" && verdict != "not-delivered")
    co_return bad("verdict is delivered or not-delivered.");
  const usages::Resolution resolution{UsageId(id), retries                  ? Verdict::retry
                                                   : verdict == "delivered" ? Verdict::delivered
                                                                            : Verdict::not_delivered};
  usages::Act act{request.peer, reason};
  auto done = co_await collection_.resolve(resolution, std::move(act), with_state);
  co_return answer_of(std::move(done));
}

asio::awaitable<Response> OperatorUsages::usages(const Request& request) {
  journal::UsageQuery query;
  if (auto refused = chargebee::read_filters(request.query, query)) co_return bad(refused->message);
  const auto order = query.order;
  auto page = co_await collection_.list_every(std::move(query));
  if (!page) co_return error_response(page.error());
  auto invoices = co_await collection_.invoices();
  if (!invoices) co_return error_response(invoices.error());
  std::vector<WriteTransaction::NamedInvoice> named;
  for (auto& row : *invoices) named.emplace_back(std::move(row.id), std::move(row.invoice));
  Response response;
  auto& out = response.body;
  out = "{\"usages\":[";
  for (const auto& stored : page->usages) {
    if (out.back() != '[') out += ',';
    out += chargebee::usage_answer(stored.record);
    out.pop_back();  // the object goes on
    append_json_string(out.append(",\"upstream\":"), stored.record.upstream());
    auto state = journal::state_of(stored.record);
    if (state == journal::UsageState::in_doubt && collection_.is_sending(stored.sequence))
      state = journal::UsageState::waiting;  // its answer may come yet
    append_json_string(out.append(",\"state\":"), journal::name_of(state));
    append_json_string(out.append(",\"billing\":"), billing_of(stored.record, named, collection_.rules()));
    append_money(stored.record, out);
    out += '}';
  }
  out += ']';
  if (page->next)
    append_json_string(out.append(",\"next_offset\":"), chargebee::offset_of(order, *page->next));
  out += '}';
  co_return response;
}

asio::awaitable<Response> OperatorUsages::invoice(const Request& request) {
  usages::InvoiceOrder order;
  const auto verb = verb_of(request.parameter("verb").value_or(""));
  if (!verb) co_return bad("verb is open, close, void or delete.");
  order.verb = *verb;
  order.invoice = request.parameter("invoice").value_or("");
  if (!is_clean_text(order.invoice, kInvoiceIdMax)) co_return bad("The invoice's id has 1 to 50 characters.");
  if (order.invoice == "null")
    co_return bad("\"null\" stands for no invoice in a list's filter; choose another id.");
  if (order.verb == Verb::open || order.verb == Verb::close) {
    order.subscription = SubscriptionId(request.parameter("subscription").value_or(""));
    if (!is_clean_text(order.subscription.value(), UINT8_MAX)) co_return bad("Say which subscription.");
    if (const auto item_price = request.parameter("item_price")) order.item_price = ItemPriceId(*item_price);
    const auto until = until_of(request.parameter("until").value_or(""), collection_.rules().zone);
    if (!until || *until <= 0)
      co_return bad(
          "until is an instant such as 2026-12-01T00:00:00Z, or a day, meaning its end: 2026-11-30.");
    order.until = *until;
  }
  const auto id = order.invoice;
  auto done = co_await collection_.invoice(std::move(order), request.peer);
  if (!done) co_return error_response(done.error());
  Response response;
  response.body = invoice_json(id, *done);
  co_return response;
}

}  // namespace meterd::api
