// meterctl reconcile: the daemon answers every few seconds, and is asked on until it is done.
#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <map>
#include <ostream>
#include <thread>
#include <vector>

#include "agent/base/text.hpp"
#include "agent/ctl/fields.hpp"
#include "agent/ctl/layout.hpp"
#include "agent/ctl/verbs.hpp"

namespace meterd::ctl {
namespace {

namespace json = boost::json;

constexpr unsigned kOk = 200;
constexpr std::int64_t kLongestWaitMs =
    120'000;  // for an upstream that is throttled; longer is an operator's time
constexpr const char* kCounts[] = {"looked_up", "delivered", "waiting", "parked", "in_doubt"};

// An upstream's numbers over all answers, and what the last one says.
struct Sum {
  std::map<std::string, std::int64_t> counts;
  bool held = false;
  std::string error;
};
using Sums = std::map<std::string, Sum>;

// What to do after an answer: ask again after so many milliseconds, or no more (-1).
std::int64_t add_answer(Sums& sums, const json::object& answer) {
  std::int64_t again = -1;
  for (const auto& one : array_in(answer, "upstreams")) {
    const auto& object = as_object(one);
    auto& sum = sums[text_in(object, "upstream")];
    for (const auto* name : kCounts) sum.counts[name] += number_in(object, name);
    sum.held = flag_in(object, "held");
    sum.error = text_or_empty(object, "error");
    const auto wait = number_in(object, "retry_after_ms");
    if (flag_in(object, "more")) again = std::max<std::int64_t>(again, 0);
    if (sum.held && wait > 0 && wait <= kLongestWaitMs) again = std::max(again, wait);
  }
  return again;
}

bool needs_attention(const Sums& sums) {
  return std::any_of(sums.begin(), sums.end(), [](const auto& entry) {
    const auto& sum = entry.second;
    return sum.held || sum.counts.at("parked") + sum.counts.at("in_doubt") > 0;
  });
}

std::string text_of(const Sums& sums) {
  std::vector<std::string> lines;
  for (const auto& [name, sum] : sums) {
    const auto number = [&sum = sum](const char* what) { return std::to_string(sum.counts.at(what)); };
    const std::string head = name + (sum.held ? ": STILL HELD" : ": reconciled, nothing is held");
    const std::string counts = number("looked_up") + " looked up: " + number("delivered") +
                               " had been billed, " + number("waiting") + " are sent now, " +
                               number("parked") + " parked, " + number("in_doubt") + " in doubt";
    for (auto& line : wrap_words(head + "; " + counts, {0, 2})) lines.push_back(std::move(line));
    if (sum.held && !sum.error.empty())
      for (auto& line : wrap_words("error: " + sum.error + "; run meterctl reconcile again", {2, 4}))
        lines.push_back(std::move(line));
  }
  return join(lines);
}

std::string json_of(const Sums& sums) {
  json::array out;
  for (const auto& [name, sum] : sums) {
    json::object one{{"upstream", name}, {"held", sum.held}, {"error", sum.error}};
    for (const auto& [what, count] : sum.counts) one[what] = count;
    out.push_back(std::move(one));
  }
  return json::serialize(json::object{{"upstreams", std::move(out)}}) + "\n";
}

}  // namespace

Exit reconcile(Session& session, const std::string& upstream) {
  const std::string target =
      "/operator/reconcile" + (upstream.empty() ? "" : "?upstream=" + percent_encode(upstream));
  Sums sums;
  for (std::int64_t wait = 0; wait >= 0;) {
    if (wait > 0)
      complain(session.err, "the upstream asks to wait " + std::to_string(wait / 1'000 + 1) + " s");
    std::this_thread::sleep_for(std::chrono::milliseconds(wait));
    const auto answer = exchange(session.daemon, {"POST", target, {}, {}});
    if (!answer) {
      complain(session.err, answer.error().message);
      return exit_for(answer.error().code);
    }
    boost::system::error_code error;
    const auto value = json::parse(answer->body, error);
    if (answer->status != kOk || error) {
      complain(session.err, reason_in(*answer));
      return Exit::failed;
    }
    wait = add_answer(sums, as_object(value));
  }
  session.out << (session.json ? json_of(sums) : text_of(sums));
  return needs_attention(sums) ? Exit::attention : Exit::fine;
}

}  // namespace meterd::ctl
