#include "agent/api/doctor.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>

namespace meterd::api {
namespace {

namespace json = boost::json;
using upstream::Diagnosis;

constexpr Milliseconds kClockApart{5 * 60'000};  // what an answer takes, and a leap, are far below
constexpr std::uint64_t kMuchUsed = 80;          // per cent of a lifetime

std::string minutes_of(Milliseconds time) { return std::to_string(std::abs(time.count()) / 60'000) + " min"; }

Finding attention(std::string check, std::string what, std::string how) {
  return {std::move(check), false, std::move(what), std::move(how)};
}

void look_at_clock(const Status& s, const std::vector<ExaminedUpstream>& upstreams,
                   std::vector<Finding>& out) {
  bool is_fine = s.clock.trusted;
  for (const auto& one : upstreams) {
    if (!one.clock_ahead || std::abs(one.clock_ahead->count()) <= kClockApart.count()) continue;
    is_fine = false;
    const bool ahead = one.clock_ahead->count() > 0;
    out.push_back(attention("clock",
                            "the device's clock is " + minutes_of(*one.clock_ahead) +
                                (ahead ? " ahead of " : " behind ") + one.name + "'s",
                            "set the right time, and keep it with a time server; what was counted under a "
                            "clock that was trusted and wrong has that clock's day"));
  }
  if (is_fine) out.push_back({"clock", true, rfc3339(s.clock.time) + ", trusted", {}});
}

std::string span_of(Milliseconds span) {
  const auto ms = span.count();
  return ms % 1'000 == 0 ? std::to_string(ms / 1'000) + " s" : std::to_string(ms) + " ms";
}

std::string megabytes(std::uint64_t bytes) { return std::to_string(bytes / (1U << 20U)) + " MiB"; }

void add_fine(const std::string& check, const std::string& what, std::vector<Finding>& out) {
  for (const auto& one : out)
    if (one.check == check && !one.is_fine) return;
  out.push_back({check, true, what, {}});
}

// Why TLS fails is told apart by what this device knows of the time.
std::string how_to_mend(const Diagnosis& diagnosis, const Status& s) {
  if (diagnosis.finding != Diagnosis::Finding::tls_time) return diagnosis.advice;
  if (!s.clock.trusted)
    return "the device's clock stands at " + rfc3339(s.clock.time) +
           " and is not trusted: set the right time, or let the device reach a time server";
  return "the device's clock stands at " + rfc3339(s.clock.time) + ": " + diagnosis.advice;
}

void look_at_upstream(const Status& s, const ExaminedUpstream& one, std::vector<Finding>& out) {
  const bool is_fine = one.diagnosis.finding == Diagnosis::Finding::fine;
  out.push_back(
      {one.name, is_fine,
       (is_fine ? "" : std::string(upstream::name_of(one.diagnosis.finding)) + ": ") + one.diagnosis.detail,
       is_fine ? "" : how_to_mend(one.diagnosis, s)});
  const auto limit = static_cast<std::uint64_t>(one.plan.lifetime_limit);
  for (const auto& row : one.lifetimes.most) {
    if (limit == 0 || row.usages * 100 < limit * kMuchUsed) continue;
    out.push_back(attention(one.name,
                            "subscription " + row.subscription.value() + " has had " +
                                std::to_string(row.usages) + " of the " + std::to_string(limit) +
                                " usages that the upstream takes for it, ever",
                            "seal less often, or go on with another subscription before they are used"));
  }
}

// What a source says that it does not see: it is at work, and less is billed than passes.
void look_at_sources(const Status& s, std::vector<Finding>& out) {
  for (const auto& one : s.sources)
    for (const auto& spot : one.blind_spots)
      out.push_back(attention("counting", "the source " + one.name + " does not count: " + spot,
                              "see meterd.toml(5), [[source]] of its kind, for how to have it counted"));
}

json::value runs_out(const Status& s, const ExaminedUpstream& one) {
  if (!one.plan.lasts || !s.clock.trusted) return nullptr;
  const auto used = one.lifetimes.most.empty() ? 0 : one.lifetimes.most.front().usages;
  const auto left = std::max<std::int64_t>(0, one.plan.lifetime_limit - static_cast<std::int64_t>(used));
  const auto lasts = left / one.plan.item_prices * one.plan.seal_interval;
  return json::string(rfc3339(s.clock.time + lasts));
}

json::object plan_part(const Status& s, const ExaminedUpstream& one) {
  json::array deadlines;
  for (const auto& deadline : one.plan.deadlines)
    deadlines.push_back({{"after_seconds", deadline.after.count()}, {"what", meaning_of(deadline.kind)}});
  json::array most;
  for (const auto& row : one.lifetimes.most)
    most.push_back({{"subscription_id", row.subscription.value()}, {"usages", row.usages}});
  return {{"upstream", one.name},
          {"item_prices", one.plan.item_prices},
          {"usages_per_day", one.plan.usages_per_day},
          {"requests_per_day", one.plan.requests_per_day},
          {"seal_seconds", one.plan.seal_interval.count()},
          {"after_interval_seconds", one.plan.after_interval.count()},
          {"lifetime_limit", one.plan.lifetime_limit},
          {"runs_out", runs_out(s, one)},
          {"deadlines", std::move(deadlines)},
          {"subscriptions", one.lifetimes.subscriptions},
          {"most_used", std::move(most)}};
}

}  // namespace

std::vector<Finding> diagnose(const Status& s, const std::vector<ExaminedUpstream>& upstreams) {
  std::vector<Finding> out;
  look_at_clock(s, upstreams, out);
  for (const auto& one : s.attention) out.push_back(attention(one.check, one.what, one.how));
  look_at_sources(s, out);
  add_fine("journal",
           s.journal_directory + ": " + megabytes(s.space.use.used_bytes) + " of " +
               megabytes(s.space.use.map_bytes) + ", and its sums balance",
           out);
  add_fine("counting",
           "events since the start: " + std::to_string(s.ingest.events) + "; a power cut loses at most " +
               span_of(s.commit_interval + s.stuck_for) + " of `received` ones",
           out);
  for (const auto& one : upstreams) look_at_upstream(s, one, out);
  return out;
}

std::string doctor_json(const Status& s, const std::vector<ExaminedUpstream>& upstreams) {
  json::array findings;
  for (const auto& one : diagnose(s, upstreams))
    findings.push_back({{"check", one.check},
                        {"result", one.is_fine ? "fine" : "attention"},
                        {"what", one.what},
                        {"do", one.how}});
  json::array plans;
  for (const auto& one : upstreams) plans.push_back(plan_part(s, one));
  const json::object out{
      {"findings", std::move(findings)},
      {"plan", {{"flash_bytes_per_day_max", flash_per_day(s)}, {"upstreams", std::move(plans)}}}};
  return json::serialize(out);
}

}  // namespace meterd::api
