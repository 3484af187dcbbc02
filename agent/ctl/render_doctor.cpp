#include <algorithm>
#include <boost/json.hpp>

#include "agent/base/flash.hpp"
#include "agent/ctl/fields.hpp"
#include "agent/ctl/layout.hpp"
#include "agent/ctl/render.hpp"
#include "agent/ctl/render_parts.hpp"

namespace meterd::ctl {
namespace {

namespace json = boost::json;

constexpr std::string_view kFine = "fine";
constexpr std::string_view kAttention = "ATTENTION";
constexpr std::size_t kIndent = 11;  // beside them

constexpr std::int64_t kDayS = 86'400;

bool is_fine(const json::object& finding) { return text_in(finding, "result") == "fine"; }

Lines finding_block(const json::object& finding) {
  const auto mark = is_fine(finding) ? kFine : kAttention;
  Lines lines = wrap_words(text_in(finding, "check") + ": " + text_in(finding, "what"), {kIndent, kIndent});
  lines.front().replace(0, mark.size(), mark);
  if (const auto what_to_do = text_or_empty(finding, "do"); !what_to_do.empty())
    append(lines, wrap_words("-> " + what_to_do, {kIndent, kIndent + 3}));
  return lines;
}

std::string after(std::int64_t seconds) { return seconds == 0 ? "at once" : "after " + span_text(seconds); }

std::string pace(const json::object& plan) {
  if (how_many(plan, "item_prices") == 0) return "no meter counts for it";
  const auto seal = number_in(plan, "seal_seconds");
  return "for each subscription up to " + counted(how_many(plan, "usages_per_day"), "usage", "usages") +
         " in " + counted(how_many(plan, "requests_per_day"), "request", "requests") + " a day, " +
         span_text(number_in(plan, "after_interval_seconds")) + " after each " +
         (seal == kDayS ? "day" : "interval of " + span_text(seal));
}

Lines plan_block(const json::object& plan) {
  Lines lines = wrap_words(text_in(plan, "upstream") + ": " + pace(plan), {2, 4});
  for (const auto& value : array_in(plan, "deadlines")) {
    const auto& deadline = as_object(value);
    append(lines, wrap_words(after(number_in(deadline, "after_seconds")) + ": " + text_in(deadline, "what"),
                             {4, 6}));
  }
  const auto limit = number_in(plan, "lifetime_limit");
  const auto& most = array_in(plan, "most_used");
  if (limit == 0 || most.empty()) return lines;
  const auto& first = as_object(most[0]);
  append(lines, wrap_words("most used: " + text_in(first, "subscription_id") + ", " +
                               text_in(first, "usages") + " of " + std::to_string(limit) +
                               " usages; at the earliest all by " + text_in(plan, "runs_out"),
                           {4, 6}));
  return lines;
}

}  // namespace

Result<Rendered> render_doctor(const json::value& answer) {
  const auto findings = rows_in(answer, "findings");
  if (!findings) return misshapen("findings");
  const auto& plan = object_in(as_object(answer), "plan");
  Lines lines;
  bool attention = false;
  for (const auto* finding : *findings) {
    append(lines, finding_block(*finding));
    attention = attention || !is_fine(*finding);
  }
  lines.emplace_back();
  lines.emplace_back("What this configuration comes to:");
  append(lines, wrap_words("flash: at most " +
                               std::to_string(megabytes_of(number_in(plan, "flash_bytes_per_day_max"))) +
                               " MB a day",
                           {2, 4}));
  for (const auto& one : array_in(plan, "upstreams")) append(lines, plan_block(as_object(one)));
  return Rendered{join(lines), attention};
}

}  // namespace meterd::ctl
