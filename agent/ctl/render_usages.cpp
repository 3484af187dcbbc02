// Single usages and the invoices of a device that is its own ledger.
#include <boost/json.hpp>

#include "agent/ctl/fields.hpp"
#include "agent/ctl/layout.hpp"
#include "agent/ctl/render.hpp"
#include "agent/ctl/render_parts.hpp"

namespace meterd::ctl {
namespace {

namespace json = boost::json;

Lines joined(std::vector<std::string> pieces, Indent indent) {
  std::erase(pieces, "");
  return wrap(pieces, "  ", indent);
}

std::string billing_text(const json::object& row, const json::object& usage) {
  const auto billing = text_in(row, "billing");
  if (billing == "invoiced") {
    const auto line = text_or_empty(usage, "line_item_id");
    return "on invoice " + text_in(usage, "invoice_id") + (line.empty() ? "" : ", line " + line);
  }
  if (billing == "open") return "not invoiced yet";
  if (billing == "on arrival") return "billed as it arrives";
  if (billing == "never: late") return "never invoiced: it came too late for its term";
  if (billing == "never: not active") return "never invoiced: its subscription was not active then";
  return spoken(billing);
}

// "amount 3 = 400 at 0.0075 + carry in 0.0025 - carry out 0.0025", where units are billed as money.
std::string amount_text(const json::object& row, const json::object& usage) {
  const auto amount = text_or_empty(row, "amount");
  if (amount.empty()) return {};
  if (const auto rounding = text_or_empty(row, "rounding"); !rounding.empty())
    return amount + (amount == "1" ? " block of " : " blocks of ") + text_in(row, "counted") +
           " counted by " + rounding + ": " + text_in(row, "carry_in") + " of a block came before, " +
           text_in(row, "carry_out") + " is left";
  return "amount " + amount + " = " + text_in(usage, "quantity") + " at " + text_in(row, "unit_price") +
         " + carry in " + text_in(row, "carry_in") + " - carry out " + text_in(row, "carry_out");
}

Lines usage_block(const json::object& row) {
  const auto& usage = object_in(row, "usage");
  Lines lines =
      joined({text_in(usage, "id"), spoken(text_in(row, "state")), text_in(usage, "quantity")}, {0, 2});
  append(lines, joined({text_in(usage, "subscription_id"), text_in(usage, "item_price_id"),
                        instant_in(usage, "usage_date"), text_or_empty(usage, "source"),
                        text_or_empty(row, "upstream")},
                       {2, 4}));
  if (const auto amount = amount_text(row, usage); !amount.empty()) append(lines, wrap_words(amount, {2, 4}));
  if (const auto credited = text_or_empty(row, "credited"); !credited.empty())
    append(lines, wrap_words("credited: " + credited, {2, 4}));
  append(lines, wrap_words(billing_text(row, usage), {2, 4}));
  if (const auto note = text_or_empty(usage, "note"); !note.empty())
    append(lines, wrap_words("note: " + note, {2, 4}));
  return lines;
}

std::string left_out(std::size_t n, std::string_view one, std::string_view many) {
  return counted(n, "usage ", "usages ") + std::string(n == 1 ? one : many) + " never invoiced.";
}

Lines invoice_lines(const json::object& invoice) {
  std::vector<Row> cells;
  for (const auto& line : array_in(invoice, "lines")) {
    const auto& object = as_object(line);
    cells.push_back({text_in(object, "line_item_id"), text_in(object, "item_price_id"),
                     text_in(object, "quantity"), text_in(object, "usages")});
  }
  if (cells.empty()) return {"  no lines"};
  return table({{"LINE"}, {"ITEM PRICE"}, {"QUANTITY", true}, {"USAGES", true}}, cells, 2);
}

}  // namespace

Result<Rendered> render_usages(const json::value& answer) {
  const auto rows = rows_in(answer, "usages");
  if (!rows) return misshapen("list of usages");
  if (rows->empty()) return Rendered{"no such usages\n", false};
  Lines lines{counted(rows->size(), "usage", "usages")};
  for (const auto* row : *rows) {
    lines.emplace_back();
    append(lines, usage_block(*row));
  }
  if (as_object(answer).contains("next_offset")) {
    lines.emplace_back();
    append(lines,
           wrap_words("There are more: raise --limit, or ask for fewer days with --from and --to.", {0, 2}));
  }
  return Rendered{join(lines), false};
}

Result<Rendered> render_invoice(const json::value& answer, bool deleted) {
  const auto& invoice = object_in(as_object(answer), "invoice");
  const auto state = text_or_empty(invoice, "state");
  if (state.empty()) return misshapen("invoice");
  const bool is_free = deleted || state == "void";
  Lines lines =
      wrap_words("invoice " + text_in(invoice, "id") + ": " + (deleted ? "deleted" : state), {0, 2});
  const auto item_price = text_or_empty(invoice, "item_price_id");
  append(lines, joined({text_in(invoice, "subscription_id"),
                        item_price.empty() ? std::string("all item prices") : item_price},
                       {2, 4}));
  const auto begin = number_in(invoice, "from") > 0 ? "from " + instant_in(invoice, "from") : std::string();
  append(lines, joined({begin, "until " + instant_in(invoice, "until")}, {2, 4}));
  if (is_free) {
    append(lines, wrap_words("Its usages are on no invoice now; to bill them, close one for the same term.",
                             {0, 2}));
    return Rendered{join(lines), false};
  }
  append(lines, invoice_lines(invoice));
  if (state == "open")
    lines.emplace_back("This is how it stands: usages may still be added until it is closed.");
  if (const auto late = how_many(invoice, "late"); late > 0)
    append(lines, wrap_words(left_out(late, "came too late for its term and is",
                                      "came too late for their term and are"),
                             {0, 2}));
  if (const auto inactive = how_many(invoice, "inactive"); inactive > 0)
    append(lines, wrap_words(left_out(inactive, "is dated when the subscription was not active and is",
                                      "are dated when the subscription was not active and are"),
                             {0, 2}));
  return Rendered{join(lines), false};
}

Result<Rendered> render_resolved(const json::value& answer) {
  const auto& usage = object_in(as_object(answer), "usage");
  if (text_or_empty(usage, "id").empty()) return misshapen("usage");
  const auto state = text_in(as_object(answer), "state");
  return Rendered{join(wrap_words(text_in(usage, "id") + ", " + text_in(usage, "quantity") + " of " +
                                      text_in(usage, "item_price_id") + ": " +
                                      (state == "waiting" ? "waiting, it is sent again" : spoken(state)),
                                  {0, 2})),
                  false};
}

Result<Rendered> render_credited(const json::value& answer) {
  const auto& usage = object_in(as_object(answer), "usage");
  if (text_or_empty(usage, "id").empty()) return misshapen("usage");
  return Rendered{
      join(wrap_words(text_in(usage, "id") + ", " + text_in(usage, "quantity") + " of " +
                          text_in(usage, "item_price_id") + ": " +
                          spoken(text_in(as_object(answer), "state")) + "; " + text_or_empty(usage, "note"),
                      {0, 2})),
      false};
}

Result<Rendered> render_withdrawn(const json::value& answer) {
  const auto& usage = object_in(as_object(answer), "usage");
  if (text_or_empty(usage, "id").empty()) return misshapen("usage");
  return Rendered{join(wrap_words("given up: " + text_in(usage, "id") + ", " + text_in(usage, "quantity") +
                                      " of " + text_in(usage, "item_price_id") +
                                      "; where the upstream has it and gives it back, it is deleted there",
                                  {0, 2})),
                  false};
}

}  // namespace meterd::ctl
