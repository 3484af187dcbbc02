#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <tuple>

#include "agent/base/quantity.hpp"
#include "agent/ctl/fields.hpp"
#include "agent/ctl/layout.hpp"
#include "agent/ctl/render.hpp"
#include "agent/ctl/render_parts.hpp"

namespace meterd::ctl {
namespace {

namespace json = boost::json;

// The parts of a balance, in the order of the conservation equation; "accepted" is their sum.
constexpr std::array<std::string_view, 7> kParts{"open",      "waiting",   "in_doubt", "parked",
                                                 "delivered", "withdrawn", "set_aside"};

// The daemon lists at most so many rows, what needs an operator first; a cut list says so.
void append_cut(Lines& lines, const json::value& answer) {
  const auto* cut = as_object(answer).if_contains("truncated");
  if (cut == nullptr || !cut->is_bool() || !cut->get_bool()) return;
  lines.emplace_back();
  lines.emplace_back("There are more than the daemon lists at once; these are the first.");
}

// "accepted 12 = open 2 + delivered 10"; says so if the parts are not the whole.
std::string equation(const json::object& row, std::string_view of) {
  std::string out = std::string(of) + " " + text_in(row, of);
  auto left = Quantity::parse_total(text_or_empty(row, of));
  bool is_first = true;
  for (const auto part : kParts) {
    const auto text = text_or_empty(row, part);
    const auto quantity = Quantity::parse_total(text);
    if (left && quantity) *left -= *quantity;
    if (text.empty() || (quantity && quantity->is_zero())) continue;
    out.append(is_first ? " = " : " + ").append(spoken(part)).append(" ").append(text);
    is_first = false;
  }
  if (left && !left->is_zero()) out += " DOES NOT BALANCE: off by " + left->text();
  return out;
}

// What needs a person comes first; within a state the daemon's order stays.
int urgency(const json::object& row) {
  const auto state = text_in(row, "state");
  return state == "parked" ? 0 : state == "in_doubt" ? 1 : 2;
}

Lines outbox_block(const json::object& row) {
  const bool deletes = flag_in(row, "deletes");  // asks the upstream to delete the usage of that id
  const auto state = (deletes ? "deletion " : "") + spoken(text_in(row, "state"));
  Lines lines =
      wrap({text_in(row, "id"), state, deletes ? std::string() : text_in(row, "quantity")}, "  ", {0, 2});
  append(lines, wrap({text_in(row, "upstream"), text_in(row, "subscription_id"),
                      text_in(row, "item_price_id"), instant_in(row, "usage_date")},
                     "  ", {2, 4}));
  auto delivery = counted(how_many(row, "attempts"), "attempt", "attempts");
  const auto next = text_or_empty(row, "next_attempt");
  if (text_in(row, "state") == "waiting") delivery += next.empty() ? ", due now" : ", next " + next;
  if (const auto amount = text_or_empty(row, "amount"); !amount.empty()) delivery += ", amount " + amount;
  if (const auto last = text_or_empty(row, "last_attempt");
      !last.empty() && text_in(row, "state") == "in_doubt")
    delivery += ", sent " + last;
  append(lines, wrap_words(delivery, {2, 4}));
  if (const auto error = text_or_empty(row, "last_error"); !error.empty())
    append(lines, wrap_words("last error: " + error, {2, 4}));
  return lines;
}

Lines outbox_advice(std::size_t parked, std::size_t in_doubt) {
  Lines lines;
  if (parked + in_doubt > 0) lines.emplace_back();
  if (parked > 0)
    append(lines,
           wrap_words("Parked: the upstream refused it for good; the last error says why. It is kept and not "
                      "sent again until an operator decides: meterctl retry, or withdraw.",
                      {0, 2}));
  if (in_doubt > 0)
    append(
        lines,
        wrap_words("In doubt: it was sent and the answer was lost; look at the upstream whether it arrived. "
                   "It is kept and not sent again until an operator decides: meterctl resolve.",
                   {0, 2}));
  return lines;
}

// What was counted while the clock was not trusted: it has no day yet.
Lines undated_lines(const json::value& answer) {
  const auto rows = rows_in(answer, "undated");
  if (!rows || rows->empty()) return {};
  std::vector<Row> cells;
  for (const auto* row : *rows)
    cells.push_back({text_in(*row, "subscription_id"), text_in(*row, "item_price_id"),
                     text_in(*row, "quantity"), text_in(*row, "events"), text_in(*row, "boot"),
                     span_text(number_in(*row, "seconds"))});
  Lines lines{"without a day: counted while the clock was not trusted"};
  append(lines, table({{"SUBSCRIPTION"},
                       {"ITEM PRICE"},
                       {"QUANTITY", true},
                       {"EVENTS", true},
                       {"BOOT", true},
                       {"RAN FOR", true}},
                      cells, 2));
  append(lines, wrap_words("An earlier boot is dated by meterctl date BOOT --day D.", {2, 2}));
  return lines;
}

}  // namespace

Result<Rendered> render_buckets(const json::value& answer) {
  auto rows = rows_in(answer, "buckets");
  if (!rows) return misshapen("list of buckets");
  const auto undated = undated_lines(answer);
  if (rows->empty() && undated.empty())
    return Rendered{"no open buckets: nothing is counted that is not sealed\n", false};
  using Group = std::tuple<std::string, std::string, std::string>;
  std::vector<std::pair<Group, Row>> entries;
  for (const auto* row : *rows)
    entries.push_back({{text_in(*row, "upstream"), text_in(*row, "usage_day"), text_in(*row, "seal_due")},
                       {text_in(*row, "subscription_id"), text_in(*row, "item_price_id"),
                        text_in(*row, "quantity"), text_in(*row, "events")}});
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  const std::vector<Column> columns{{"SUBSCRIPTION"}, {"ITEM PRICE"}, {"QUANTITY", true}, {"EVENTS", true}};
  Lines lines;
  for (auto at = entries.begin(); at != entries.end();) {
    const auto [upstream, day, due] = at->first;
    std::vector<Row> cells;
    for (const auto group = at->first; at != entries.end() && at->first == group; ++at)
      cells.push_back(at->second);
    if (!lines.empty()) lines.emplace_back();
    append(lines, wrap({upstream, "day " + day, "seal due " + due}, "  ", {0, 2}));
    append(lines, table(columns, cells, 2));
  }
  if (!lines.empty() && !undated.empty()) lines.emplace_back();
  append(lines, undated);
  append_cut(lines, answer);
  return Rendered{join(lines), false};
}

Result<Rendered> render_balances(const json::value& answer) {
  const auto rows = rows_in(answer, "balances");
  if (!rows) return misshapen("list of balances");
  if (rows->empty()) return Rendered{"no balances: nothing has been counted\n", false};
  Lines lines;
  for (const auto* row : *rows) {
    append(lines, wrap({text_in(*row, "upstream"), text_in(*row, "subscription_id"),
                        text_in(*row, "item_price_id"), text_in(*row, "usage_day")},
                       "  ", {0, 2}));
    append(lines, wrap_words(equation(*row, "accepted"), {2, 4}));
  }
  append_cut(lines, answer);
  return Rendered{join(lines), false};
}

Result<Rendered> render_outbox(const json::value& answer) {
  auto rows = rows_in(answer, "outbox");
  if (!rows) return misshapen("list of usages");
  const auto held = list_in(as_object(answer), "held");
  const auto held_lines = held.empty()
                              ? Lines{}
                              : wrap_words("Held: this journal is a copy, and nothing is sent to " + held +
                                               " before it was asked what it has: run meterctl reconcile.",
                                           {0, 2});
  if (rows->empty())
    return Rendered{"the outbox is empty: no usage waits for an upstream\n" + join(held_lines),
                    !held.empty()};
  std::stable_sort(rows->begin(), rows->end(),
                   [](const auto* a, const auto* b) { return urgency(*a) < urgency(*b); });
  const auto in_state = [&](int wanted) {
    return static_cast<std::size_t>(
        std::count_if(rows->begin(), rows->end(), [&](const auto* row) { return urgency(*row) == wanted; }));
  };
  const auto parked = in_state(0);
  const auto in_doubt = in_state(1);
  Lines lines{counted(rows->size(), "usage", "usages") + ": " + std::to_string(in_state(2)) + " waiting, " +
              std::to_string(in_doubt) + " in doubt, " + std::to_string(parked) + " parked"};
  for (const auto* row : *rows) {
    lines.emplace_back();
    append(lines, outbox_block(*row));
  }
  append(lines, outbox_advice(parked, in_doubt));
  if (!held.empty()) lines.emplace_back();
  append(lines, held_lines);
  append_cut(lines, answer);
  return Rendered{join(lines), parked + in_doubt > 0 || !held.empty()};
}

Result<Rendered> render_flush(const json::value& answer) {
  const auto& object = as_object(answer);
  const auto* sealed = object.if_contains("sealed");
  if (sealed == nullptr || !sealed->is_number()) return misshapen("number of sealed usages");
  const auto cleared = list_in(object, "cleared");
  Lines lines{"committed; " + counted(how_many(object, "sealed"), "bucket sealed", "buckets sealed")};
  append(lines, wrap_words(cleared.empty() ? "no upstream to send to"
                                           : "backoff cleared: " + cleared + " (a Retry-After still holds)",
                           {0, 2}));
  const bool refused = object.contains("refused");
  if (refused)
    append(lines, wrap_words("not every bucket was sealed: " + text_in(object, "refused"), {0, 2}));
  return Rendered{join(lines), refused};
}

Result<Rendered> render_date(const json::value& answer) {
  const auto& object = as_object(answer);
  if (number_in(object, "slices") <= 0) return misshapen("number of slices");
  return Rendered{
      join(wrap_words(counted(how_many(object, "events"), "event", "events") + " of boot " +
                          text_in(object, "boot") + (number_in(object, "events") == 1 ? " is" : " are") +
                          " dated " + text_in(object, "usage_day"),
                      {0, 2})),
      false};
}

Result<Rendered> render_audit(const json::value& answer) {
  const auto rows = rows_in(answer, "audit");
  if (!rows) return misshapen("list of acts");
  if (rows->empty()) return Rendered{"nobody has changed anything by hand or by policy\n", false};
  Lines lines;
  for (const auto* row : *rows) {
    const auto when = text_in(*row, "at") + (flag_in(*row, "clock_trusted") ? "" : " (clock not trusted)");
    append(lines, wrap({when, text_in(*row, "by"), text_in(*row, "act")}, "  ", {0, 2}));
    append(lines, wrap_words(text_in(*row, "detail"), {2, 4}));
  }
  return Rendered{join(lines), false};
}
namespace {

void append_sentences(Lines& lines, const json::array& sentences, const char* one, const char* many) {
  if (sentences.empty()) return;
  lines.push_back(counted(sentences.size(), one, many));
  for (const auto& sentence : sentences)
    append(lines, wrap_words(sentence.is_string()
                                 ? clean({sentence.get_string().data(), sentence.get_string().size()})
                                 : std::string("-"),
                             {2, 4}));
}

}  // namespace

Result<Rendered> render_verify(const json::value& answer) {
  const auto& object = as_object(answer);
  const auto* problems = object.if_contains("problems");
  if (problems == nullptr || !problems->is_array()) return misshapen("list of problems");
  Lines lines{"checked " + counted(how_many(object, "balances"), "balance", "balances") + " and " +
              counted(how_many(object, "usages"), "usage", "usages") + " of the journal"};
  append(lines, wrap_words(equation(object, "accepted"), {0, 2}));
  const auto& aside = array_in(object, "set_aside_records");
  if (problems->get_array().empty()) lines.emplace_back("no problems: everything adds up");
  append_sentences(lines, problems->get_array(), "problem:", "problems:");
  append_sentences(lines, aside, "record could not be read and was set aside:",
                   "records could not be read and were set aside:");
  if (problems->get_array().empty() && aside.empty()) return Rendered{join(lines), false};
  append(lines,
         wrap_words("Counting goes on. Keep a copy of the journal and this list for support.", {0, 2}));
  return Rendered{join(lines), true};
}

}  // namespace meterd::ctl
