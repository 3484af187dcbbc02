// `meterctl status`: is it counting, what may be lost, what waits, what is wrong, what to do. What is fixed
// comes first, then the upstreams, then what needs a person, next to the prompt. The parts that can grow
// share the lines that are left: the needs first, then a line per upstream, then the details.
#include <algorithm>
#include <boost/json.hpp>

#include "agent/ctl/fields.hpp"
#include "agent/ctl/layout.hpp"
#include "agent/ctl/render.hpp"

namespace meterd::ctl {
namespace {

namespace json = boost::json;
using Lines = std::vector<std::string>;

constexpr std::size_t kLabelColumns = 11;
constexpr std::size_t kUpstreamColumns = 20;
constexpr std::size_t kUpstreamLinesMin = 3;  // even if much needs a person: a heading and two lines
constexpr std::size_t kGapsShown = 2;
constexpr std::string_view kMore = " more: meterctl status --json";

std::string labelled(std::string_view label, std::string_view text) {
  std::string line(label);
  line.append(kLabelColumns - label.size(), ' ');
  return clip(line.append(text), kScreenColumns);
}

// At most two lines by default: the inputs of the default configuration need them.
Lines labelled_list(std::string_view label, std::string_view text, std::size_t lines_max = 2) {
  auto lines = wrap_words(text, {kLabelColumns, kLabelColumns});
  lines.front().replace(0, label.size(), label);
  if (lines.size() > lines_max) {
    lines.resize(lines_max);
    lines.back() = clip(lines.back() + std::string(kScreenColumns, ' '), kScreenColumns);
  }
  return lines;
}

std::string milliseconds_text(std::int64_t ms) {
  return ms % 1000 == 0 || ms > 120'000 ? span_text(ms / 1000) : std::to_string(ms) + " ms";
}

std::string bytes_text(std::int64_t bytes) {
  constexpr std::int64_t kKiB = 1024;
  constexpr std::int64_t kMiB = kKiB * 1024;
  if (bytes < kKiB) return std::to_string(bytes) + " B";
  const auto unit = bytes < kMiB ? kKiB : kMiB;
  const auto tenths = bytes / unit * 10 + bytes % unit * 10 / unit;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + (unit == kKiB ? " KiB" : " MiB");
}

std::string counted(const json::object& object, std::string_view name, const char* one, const char* many) {
  return text_in(object, name) + " " + (number_in(object, name) == 1 ? one : many);
}

std::string counting_line(const json::object& status, const json::object& counting) {
  const auto& journal = object_in(status, "journal");
  const auto state = text_in(status, "state");
  std::string line = "yes";
  if (state != "running")
    line = "NO, meterd is " + state;
  else if (flag_in(journal, "disk_full"))
    line = "only in memory: the journal has no room";
  else if (flag_in(journal, "above_watermark"))
    line = "yes, but new subscriptions and days are refused";
  line += "; " + counted(counting, "events", "event", "events");
  if (number_in(counting, "producers_connected") > 0)
    line += ", " + counted(counting, "producers_connected", "producer connected", "producers connected");
  if (number_in(counting, "duplicates") > 0)
    line += ", " + counted(counting, "duplicates", "duplicate left out", "duplicates left out");
  if (number_in(counting, "sequence_gaps") > 0)
    line += ", " + counted(counting, "sequence_gaps", "sequence gap", "sequence gaps");
  if (flag_in(counting, "uncommitted")) line += ", the last not on disk yet";
  return line;
}

// "5: unknown_event 3, bad_quantity 2", the largest first.
std::string refused_line(const json::object& refused) {
  std::vector<std::pair<std::int64_t, std::string>> reasons;
  std::int64_t total = 0;
  for (const auto& [name, count] : refused) {
    const auto n = number_in(refused, name);
    if (n <= 0) continue;
    reasons.emplace_back(n, clean({name.data(), name.size()}));
    total = n > INT64_MAX - total ? INT64_MAX : total + n;
  }
  if (reasons.empty()) return {};
  std::stable_sort(reasons.begin(), reasons.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string line = std::to_string(total);
  for (std::size_t i = 0; i < reasons.size(); ++i)
    line += (i == 0 ? ": " : ", ") + reasons[i].second + " " + std::to_string(reasons[i].first);
  return line;
}

std::string clock_line(const json::object& clock) {
  std::string line = text_in(clock, "time");
  line += flag_in(clock, "trusted") ? ", trusted" : ", NOT trusted: nothing is dated or sealed yet";
  if (number_in(clock, "undated_slices") > 0) line += "; undated slices: " + text_in(clock, "undated_slices");
  return line;
}

std::string journal_line(const json::object& journal) {
  std::string line = bytes_text(number_in(journal, "used_bytes"));
  line += " of " + bytes_text(number_in(journal, "map_bytes")) + ", " +
          counted(journal, "commits", "commit", "commits");
  if (number_in(journal, "failed_commits") > 0) line += ", " + text_in(journal, "failed_commits") + " FAILED";
  if (number_in(journal, "set_aside") > 0) line += ", " + text_in(journal, "set_aside") + " set aside";
  return line + ", " + text_in(journal, "directory");
}

std::string buckets_line(const json::object& buckets) {
  const auto next = text_or_empty(buckets, "next_seal");
  return text_in(buckets, "open") + " open" + (next.empty() ? "" : ", next seal " + next);
}

// "interface:wwan0:data.bytes (2 gaps)"; what a source that counts nothing needs is said below, as attention.
std::string source_text(const json::object& source) {
  auto out = text_in(source, "name");
  if (const auto gaps = number_in(source, "gaps"); gaps > 0)
    out += " (" + std::to_string(gaps) + (gaps == 1 ? " gap)" : " gaps)");
  return out;
}

const json::object* last_gap_of(const json::object& source) {
  const auto* gaps = source.if_contains("recent_gaps");
  if (gaps == nullptr || !gaps->is_array() || gaps->get_array().empty()) return nullptr;
  return &as_object(gaps->get_array().back());
}

std::string gap_text(const json::object& gap) {
  auto when = text_or_empty(gap, "until");
  if (when.empty()) when = "some time ago";
  const auto lost_max = text_or_empty(gap, "lost_max");
  std::string lost = "nobody knows how much";
  if (const auto known = number_in(gap, "lost"); known > 0)
    lost = std::to_string(known) + " lost";
  else if (!lost_max.empty())
    lost = "at most " + lost_max + " lost";
  return when + ", " + lost + ": " + text_in(gap, "reason");
}

// Those with the latest gaps have two lines each, the others share what is left.
Lines source_lines(const json::object& counting) {
  std::vector<const json::object*> sources;
  const auto* all = counting.if_contains("sources");
  if (all == nullptr || !all->is_array() || all->get_array().empty()) return {};
  for (const auto& one : all->get_array()) sources.push_back(&as_object(one));
  const auto missed_at = [](const json::object* source) {
    const auto* gap = last_gap_of(*source);
    return gap == nullptr ? std::string() : " " + text_or_empty(*gap, "until");
  };
  std::stable_sort(sources.begin(), sources.end(),
                   [&](const auto* one, const auto* other) { return missed_at(one) > missed_at(other); });
  Lines out;
  std::size_t shown = 0;
  for (; shown < std::min(kGapsShown, sources.size()); ++shown) {
    const auto* gap = last_gap_of(*sources[shown]);
    if (gap == nullptr) break;
    out.push_back(labelled("", source_text(*sources[shown])));
    out.push_back(labelled("", gap_text(*gap)));
  }
  std::string others;
  for (; shown < sources.size(); ++shown)
    others += (others.empty() ? "" : ", ") + source_text(*sources[shown]);
  const std::size_t lines_max = out.empty() ? 2 : 1;
  if (!others.empty())
    for (auto& line : labelled_list("", others, lines_max)) out.push_back(std::move(line));
  constexpr std::string_view kLabel = "sources";
  out.front().replace(0, kLabel.size(), kLabel);
  return out;
}

Lines fixed_lines(const json::object& status) {
  const auto& counting = object_in(status, "counting");
  const auto& journal = object_in(status, "journal");
  Lines lines{clip("meterd " + text_in(status, "version") + " on " + text_in(status, "device") + ": " +
                       text_in(status, "state") + " for " + span_text(number_in(status, "uptime_seconds")),
                   kScreenColumns)};
  lines.push_back(labelled("counting", counting_line(status, counting)));
  if (const auto refused = refused_line(object_in(counting, "refused")); !refused.empty())
    lines.push_back(labelled("refused", refused));
  const auto inputs = list_in(counting, "inputs");
  for (auto& line : labelled_list("inputs", inputs.empty() ? "none" : inputs))
    lines.push_back(std::move(line));
  for (auto& line : source_lines(counting)) lines.push_back(std::move(line));
  const auto window = milliseconds_text(number_in(counting, "loss_window_ms"));
  lines.push_back(
      labelled("loss", "a power cut loses at most " + window + " of received, no committed events"));
  lines.push_back(labelled(
      "flash",
      "that window costs at most " + bytes_text(number_in(journal, "flash_bytes_per_day_max")) + " a day"));
  lines.push_back(labelled("clock", clock_line(object_in(status, "clock"))));
  lines.push_back(labelled("journal", journal_line(journal)));
  lines.push_back(labelled("buckets", buckets_line(object_in(status, "buckets"))));
  return lines;
}

// At most three lines: what becomes of what is in doubt, what waits since when, and the last error unless a
// delivery came after it.
Lines details_of(const json::object& upstream) {
  std::vector<std::string> parts;
  const auto add = [&](const std::string& part) { parts.push_back(clip(part, kScreenColumns - 2)); };
  const auto delivery = text_or_empty(upstream, "last_delivery");
  if (const auto policy = text_or_empty(upstream, "in_doubt_policy"); !policy.empty())
    add("in doubt: " + policy + ", " +
        (number_in(upstream, "in_doubt") > 0 ? text_in(upstream, "in_doubt") : "none") + " now");
  if (const auto oldest = text_or_empty(upstream, "oldest_waiting"); !oldest.empty()) add("oldest " + oldest);
  if (!delivery.empty()) add("last delivery " + delivery);
  if (const auto pause = number_in(upstream, "paused_for_ms"); pause > 0)
    add("paused " + span_text(pause / 1000 + 1));
  const auto error = text_or_empty(upstream, "last_error");
  const auto when = text_or_empty(upstream, "last_error_at");
  const bool is_over = text_in(upstream, "state") == "ok" && !delivery.empty() && when < delivery;
  Lines lines;
  if (!parts.empty()) lines = wrap(parts, "; ", {2, 2});
  if (!error.empty() && !is_over)
    lines.push_back(clip("  error " + when + (when.empty() ? "" : ": ") + error, kScreenColumns));
  return lines;
}

// A heading and a line per upstream, those in trouble first, and below them as many details as there is room
// for.
Lines upstream_lines(const json::array& all, std::size_t lines_max) {
  if (all.empty()) return {"upstreams  none"};
  std::vector<const json::object*> upstreams;
  for (const auto& one : all) upstreams.push_back(&as_object(one));
  std::stable_partition(upstreams.begin(), upstreams.end(),
                        [](const auto* upstream) { return text_in(*upstream, "state") != "ok"; });
  std::vector<Row> rows;
  for (const auto* upstream : upstreams)
    rows.push_back({clip(text_in(*upstream, "name"), kUpstreamColumns), text_in(*upstream, "state"),
                    text_in(*upstream, "waiting"), text_in(*upstream, "in_doubt"),
                    text_in(*upstream, "parked"), text_in(*upstream, "delivered")});
  const auto lines = table(
      {{"UPSTREAM"}, {"STATE"}, {"WAITING", true}, {"IN DOUBT", true}, {"PARKED", true}, {"DELIVERED", true}},
      rows, 0);
  if (lines.size() > lines_max) {
    const std::ptrdiff_t shown = static_cast<std::ptrdiff_t>(lines_max) - 1;
    Lines out(lines.begin(), lines.begin() + shown);
    out.push_back("and " + std::to_string(static_cast<std::ptrdiff_t>(lines.size()) - shown) +
                  std::string(kMore));
    return out;
  }
  if (lines.size() != rows.size() + 1) return lines;  // a number was folded: no place to put details below
  std::size_t room = lines_max - lines.size();
  Lines out{lines.front()};
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    out.push_back(lines[i + 1]);
    for (auto& detail : details_of(*upstreams[i])) {
      if (room == 0) break;
      out.push_back(std::move(detail));
      --room;
    }
  }
  return out;
}

Lines attention_lines(const json::array& all, std::size_t lines_max) {
  if (all.empty()) return {"attention  none: nothing to do"};
  Lines out{"ATTENTION"};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& one = as_object(all[i]);
    auto lines = wrap_words("* " + text_in(one, "what") + " -> " + text_in(one, "do"), {0, 2});
    const std::size_t kept = i + 1 < all.size() ? 1 : 0;  // a line to say that there is more
    if (out.size() + lines.size() + kept > lines_max) {
      if (i == 0) return {out[0], clip(lines[0], kScreenColumns), "and" + std::string(kMore)};
      out.push_back("and " + std::to_string(all.size() - i) + std::string(kMore));
      return out;
    }
    for (auto& line : lines) out.push_back(std::move(line));
  }
  return out;
}

}  // namespace

Result<Rendered> render_status(const json::value& answer) {
  const auto& status = as_object(answer);
  const auto* attention = status.if_contains("attention");
  if (!status.contains("counting") || attention == nullptr || !attention->is_array())
    return Error{Code::corrupt, "meterd's answer is not a status: are meterctl and meterd of one version?"};
  auto lines = fixed_lines(status);
  const auto& upstreams = array_in(status, "upstreams");
  const std::size_t room = kStatusLinesMax - lines.size() - 2;  // an empty line before each of the two parts
  const auto needs =
      attention_lines(attention->get_array(), room - std::min(kUpstreamLinesMin, upstreams.size() + 1));
  lines.emplace_back();
  for (auto& line : upstream_lines(upstreams, room - needs.size())) lines.push_back(std::move(line));
  lines.emplace_back();
  lines.insert(lines.end(), needs.begin(), needs.end());
  return Rendered{join(lines), !attention->get_array().empty()};
}

}  // namespace meterd::ctl
