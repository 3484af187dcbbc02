#include "agent/ctl/comparison.hpp"

#include <utility>

#include "agent/ctl/fields.hpp"
#include "agent/ctl/layout.hpp"
#include "agent/ctl/render_parts.hpp"

namespace meterd::ctl {

namespace json = boost::json;

namespace {

const char* words_of(const std::string& kind) {
  if (kind == "missing") return "missing upstream";
  if (kind == "not_billed") return "delivered but not billed";
  if (kind == "not_compared") return "not compared";
  return "altered or not ours";
}

void add_lines(std::vector<std::string>& lines, const std::string& text, Indent indent) {
  for (auto& line : wrap_words(text, indent)) lines.push_back(std::move(line));
}

}  // namespace

std::int64_t add_answer(Comparison& out, const json::object& answer) {
  out.run = number_in(answer, "run");
  out.comparable = flag_in(answer, "comparable");
  out.subscriptions += number_in(answer, "subscriptions");
  out.usages += number_in(answer, "usages");
  out.forgotten += number_in(answer, "forgotten");
  out.invoices_noted += number_in(answer, "invoices_noted");
  for (const auto& one : array_in(answer, "differences")) {
    const auto kind = text_in(as_object(one), "kind");
    ++(kind == "missing"        ? out.missing
       : kind == "not_billed"   ? out.not_billed
       : kind == "not_compared" ? out.not_compared
                                : out.altered);
    out.differences.push_back(one);
  }
  out.error = text_or_empty(answer, "error");
  const bool more = flag_in(answer, "more");
  out.ended = !more && out.error.empty();
  if (!more) return -1;
  if (out.error.empty()) return 0;
  const auto wait = number_in(answer, "retry_after_ms");
  return wait > 0 ? wait : -1;
}

bool needs_attention(const Comparison& comparison) {
  return comparison.comparable && (!comparison.ended || !comparison.differences.empty());
}

std::vector<std::string> lines_of(const Comparison& comparison) {
  std::vector<std::string> lines;
  if (!comparison.comparable || comparison.run == 0) return lines;
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  add_lines(lines,
            "compared: " +
                counted(static_cast<std::size_t>(comparison.subscriptions), "subscription", "subscriptions") +
                ", " + counted(static_cast<std::size_t>(comparison.usages), "usage", "usages") + ", " +
                counted(static_cast<std::size_t>(comparison.invoices_noted), "invoice id", "invoice ids") +
                " noted, " + number(comparison.forgotten) + " made by this device and not kept here",
            {2, 4});
  add_lines(lines,
            number(comparison.missing) + " missing upstream, " + number(comparison.altered) +
                " altered or not ours, " + number(comparison.not_billed) + " delivered but not billed",
            {2, 4});
  for (const auto& one : comparison.differences) {
    const auto& object = as_object(one);
    const auto id = text_or_empty(object, "id");
    const auto what = id.empty() ? "subscription " : id + " of ";
    add_lines(lines,
              std::string(words_of(text_in(object, "kind"))) + ": " + what +
                  text_in(object, "subscription_id") + (id.empty() ? ": " : " ") + text_in(object, "detail"),
              {4, 6});
  }
  if (!comparison.ended)
    add_lines(lines,
              "NOT COMPARED TO ITS END" + (comparison.error.empty() ? "" : ": " + comparison.error) +
                  "; run meterctl reconcile again",
              {2, 4});
  return lines;
}

json::object json_of(const Comparison& comparison) {
  return {{"comparable", comparison.comparable},
          {"ended", comparison.ended},
          {"subscriptions", comparison.subscriptions},
          {"usages", comparison.usages},
          {"forgotten", comparison.forgotten},
          {"invoices_noted", comparison.invoices_noted},
          {"missing", comparison.missing},
          {"altered", comparison.altered},
          {"not_billed", comparison.not_billed},
          {"not_compared", comparison.not_compared},
          {"differences", comparison.differences},
          {"error", comparison.error}};
}

}  // namespace meterd::ctl
