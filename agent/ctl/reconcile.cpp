// meterctl reconcile: the daemon answers every few seconds, and is asked on until it is done. First what a
// restored journal holds, then what each upstream has beside what was delivered to it.
#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <map>
#include <ostream>
#include <thread>
#include <vector>

#include "agent/base/text.hpp"
#include "agent/ctl/comparison.hpp"
#include "agent/ctl/fields.hpp"
#include "agent/ctl/layout.hpp"
#include "agent/ctl/show.hpp"
#include "agent/ctl/verbs.hpp"

namespace meterd::ctl {
namespace {

namespace json = boost::json;

constexpr std::int64_t kLongestWaitMs =
    120'000;                  // for an upstream that is throttled; longer is an operator's time
constexpr int kWaitsMax = 5;  // without progress between them
constexpr const char* kCounts[] = {"looked_up", "delivered", "waiting", "parked", "in_doubt"};

// An upstream's numbers over all answers, and what the last one says.
struct Sum {
  std::map<std::string, std::int64_t> counts;
  bool held = false;
  std::string error;
  Comparison compared;
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
    return sum.held || sum.counts.at("parked") + sum.counts.at("in_doubt") > 0 ||
           needs_attention(sum.compared);
  });
}

std::string text_of(const Sums& sums) {
  std::vector<std::string> lines;
  for (const auto& [name, sum] : sums) {
    const auto number = [&sum = sum](const char* what) { return std::to_string(sum.counts.at(what)); };
    const std::string head = name + (sum.held ? ": STILL HELD" : ": reconciled, nothing is held");
    const std::string counts = number("looked_up") + " looked up: " + number("delivered") +
                               " had been billed, " + number("waiting") +
                               (sum.counts.at("waiting") == 1 ? " is" : " are") + " sent now, " +
                               number("parked") + " parked, " + number("in_doubt") + " in doubt";
    for (auto& line : wrap_words(head + "; " + counts, {0, 2})) lines.push_back(std::move(line));
    if (sum.held && !sum.error.empty())
      for (auto& line : wrap_words("error: " + sum.error + "; run meterctl reconcile again", {2, 4}))
        lines.push_back(std::move(line));
    for (auto& line : lines_of(sum.compared)) lines.push_back(std::move(line));
  }
  return join(lines);
}

std::string json_of(const Sums& sums) {
  json::array out;
  for (const auto& [name, sum] : sums) {
    json::object one{{"upstream", name}, {"held", sum.held}, {"error", sum.error}};
    for (const auto& [what, count] : sum.counts) one[what] = count;
    one["compared"] = json_of(sum.compared);
    out.push_back(std::move(one));
  }
  return json::serialize(json::object{{"upstreams", std::move(out)}}) + "\n";
}

// Asks until `add` wants no more, which it says by -1; else after so many milliseconds.
template <class NextTarget, class Add>
Exit ask_on(Session& session, const NextTarget& target, const Add& add) {
  int waits = 0;
  for (std::int64_t wait = 0; wait >= 0 && wait <= kLongestWaitMs && waits <= kWaitsMax;) {
    if (wait > 0)
      complain(session.err, "the upstream is asked again in " + std::to_string((wait + 999) / 1'000) + " s");
    std::this_thread::sleep_for(std::chrono::milliseconds(wait));
    auto exit = Exit::fine;
    const auto answer = ask(session, {"POST", target(), {}, {}}, exit);
    if (!answer) return exit;
    bool progress = false;
    wait = add(as_object(answer->value), progress);
    waits = progress ? 0 : waits + (wait > 0 ? 1 : 0);
  }
  return Exit::fine;
}

Exit compare(Session& session, const std::string& upstream, Comparison& out) {
  const auto target = [&] {
    const auto run = out.run == 0 ? std::string() : "&run=" + std::to_string(out.run);
    return "/operator/compare?upstream=" + percent_encode(upstream) + run;
  };
  return ask_on(session, target, [&](const json::object& answer, bool& progress) {
    const auto before = out.usages + out.subscriptions;
    const auto wait = add_answer(out, answer);
    progress = out.usages + out.subscriptions > before;
    return wait;
  });
}

}  // namespace

Exit reconcile(Session& session, const std::string& upstream) {
  const std::string target =
      "/operator/reconcile" + (upstream.empty() ? "" : "?upstream=" + percent_encode(upstream));
  Sums sums;
  session.daemon.timeout = std::max(session.daemon.timeout, kUpstreamTime);
  const auto asked = ask_on(
      session, [&] { return target; },
      [&](const json::object& answer, bool& progress) {
        for (const auto& one : array_in(answer, "upstreams"))
          progress |= number_in(as_object(one), "looked_up") > 1;
        return add_answer(sums, answer);
      });
  if (asked != Exit::fine) return asked;
  auto compared = Exit::fine;
  for (auto& [name, sum] : sums)
    if (!sum.held && compared == Exit::fine) compared = compare(session, name, sum.compared);
  session.out << (session.json ? json_of(sums) : text_of(sums));
  if (compared != Exit::fine) return compared;
  return needs_attention(sums) ? Exit::attention : Exit::fine;
}

}  // namespace meterd::ctl
