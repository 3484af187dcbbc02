// simulate --seeds N [--from S] | --seed S [--log], with [--vendor V]: runs seeds and prints what was
// survived. The seed decides on the upstream's vendor, unless one is named (chargebee, twilio-v1,
// twilio-preview). Exit 1 if a promise was broken; then the first lines say which, with the command that
// replays it and the end of its log.
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <optional>
#include <string>

#include "tests/sim/runner.hpp"

namespace {

using meterd::sim::Outcome;
using meterd::sim::Vendor;

struct Arguments {
  std::uint64_t from = 1, count = 100;
  bool log = false;
  std::optional<Vendor> vendor;
};

bool read_vendor(const std::string& name, std::optional<Vendor>& out) {
  for (const auto vendor : {Vendor::chargebee, Vendor::twilio_v1, Vendor::twilio_preview})
    if (name == name_of(vendor)) out = vendor;
  return out.has_value();
}

bool read_arguments(int count, char** values, Arguments& out) {
  for (int at = 1; at < count; ++at) {
    const std::string name = values[at];
    if (name == "--log") {
      out.log = true;
      continue;
    }
    if (at + 1 == count) return false;
    if (name == "--vendor") {
      if (!read_vendor(values[++at], out.vendor)) return false;
      continue;
    }
    char* end = nullptr;
    const auto number = std::strtoull(values[++at], &end, 10);
    if (*end != '\0') return false;
    if (name == "--seeds")
      out.count = number;
    else if (name == "--from")
      out.from = number;
    else if (name == "--seed")
      out.from = number, out.count = 1;
    else
      return false;
  }
  return true;
}

struct TwilioTotals {
  std::uint64_t seeds = 0, preview = 0, exchanges = 0, left_out = 0, by_callers = 0, resolved = 0;
  std::uint64_t sent = 0, billed = 0, doubted = 0, still = 0, still_billed = 0, twice = 0, declared = 0,
                given_up = 0;
  std::int64_t milliseconds = 0;

  void add(const Outcome& one) {
    ++seeds;
    preview += one.vendor == Vendor::twilio_preview ? 1 : 0;
    exchanges += one.exchanges;
    left_out += one.items_left_out;
    by_callers += one.charged_by_callers;
    resolved += one.resolved;
    sent += one.charges.usages_sent;
    billed += one.charges.usages_billed;
    doubted += one.charges.seen_in_doubt;
    still += one.charges.still_in_doubt;
    still_billed += one.charges.still_in_doubt_and_billed;
    twice += one.charges.billed_twice;
    declared += one.charges.sent_twice_as_declared;
    given_up += one.charges.given_up_as_declared;
    milliseconds += one.simulated.count();
  }
};

struct Totals {
  std::uint64_t seeds = 0, failed = 0, events = 0, usages = 0, parked = 0, commits = 0, exchanges = 0,
                starts = 0, gaps = 0;
  std::uint64_t starts_refused = 0, handlers = 0;
  std::uint64_t created_by_callers = 0, deleted_by_callers = 0, refused_deletions = 0, requests_repeated = 0;
  std::int64_t lost = 0, doubled = 0, misdated = 0, undated = 0, milliseconds = 0;
  std::map<std::string, std::uint64_t> faults, of_sources;
  TwilioTotals twilio;

  void add(const Outcome& one) {
    if (one.vendor != Vendor::chargebee) twilio.add(one);
    ++seeds;
    failed += one.violations.empty() ? 0 : 1;
    events += one.verdict.events;
    usages += one.usages;
    parked += one.parked;
    commits += one.commits;
    exchanges += one.exchanges;
    starts += one.starts;
    gaps += one.gaps_shown;
    starts_refused += one.starts_refused;
    handlers += one.handlers;
    created_by_callers += one.created_by_callers;
    deleted_by_callers += one.deleted_by_callers;
    refused_deletions += one.refused_deletions;
    requests_repeated += one.requests_repeated;
    lost += one.verdict.lost;
    doubled += one.verdict.doubled;
    misdated += one.verdict.misdated;
    undated += one.verdict.undated;
    milliseconds += one.simulated.count();
    for (const auto& [name, times] : one.faults) faults[name] += times;
    for (const auto& [kind, units] : one.of_sources) of_sources[kind] += units;
  }
};

void row(const std::string& name, std::uint64_t value) {
  std::printf("%-40s %14llu\n", name.c_str(), static_cast<unsigned long long>(value));
}

// Quantities are in thousandths of a unit inside.
void quantity_row(const std::string& name, std::int64_t milli) {
  std::printf("%-40s %14lld.%03lld\n", name.c_str(), static_cast<long long>(milli / 1'000),
              static_cast<long long>(milli % 1'000));
}

void print(const TwilioTotals& twilio) {
  row("twilio: seeds", twilio.seeds);
  row("twilio: seeds of Preview", twilio.preview);
  row("twilio: device-days", static_cast<std::uint64_t>(twilio.milliseconds / 86'400'000));
  row("twilio: exchanges", twilio.exchanges);
  row("twilio: charges of callers", twilio.by_callers);
  row("twilio: usages sent", twilio.sent);
  row("twilio: usages billed", twilio.billed);
  row("twilio: items left out of a 202", twilio.left_out);
  row("twilio: usages in doubt", twilio.doubted);
  row("twilio: resolved by the operator", twilio.resolved);
  row("twilio: in doubt at the end, shown", twilio.still);
  row("twilio: in doubt at the end, and billed", twilio.still_billed);
  row("twilio: billed twice, as declared", twilio.declared);
  row("twilio: given up, as declared", twilio.given_up);
  row("twilio: billed twice", twilio.twice);
}

void print(const Totals& totals, std::uint64_t cpu_ms) {
  const auto days = static_cast<std::uint64_t>(totals.milliseconds / 86'400'000);
  row("seeds", totals.seeds);
  row("device-days", days);
  for (const auto& [name, times] : totals.faults) row("  " + name, times);
  row("process starts", totals.starts);
  row("starts refused (disk full or broken)", totals.starts_refused);
  row("handlers run", totals.handlers);
  row("commits", totals.commits);
  row("exchanges", totals.exchanges);
  row("events", totals.events);
  for (const auto& [kind, units] : totals.of_sources) row("source: " + kind + ", units billed", units);
  row("gaps of sources, shown", totals.gaps);
  row("usages at the upstream", totals.usages);
  row("usages parked (refused, limit, one a day)", totals.parked);
  row("usages created by callers", totals.created_by_callers);
  row("usages deleted by callers", totals.deleted_by_callers);
  row("deletions refused (invoiced), shown", totals.refused_deletions);
  row("requests of callers repeated", totals.requests_repeated);
  print(totals.twilio);
  quantity_row("undated, shown", totals.undated);
  quantity_row("lost", totals.lost);
  quantity_row("doubled", totals.doubled);
  quantity_row("misdated", totals.misdated);
  row("seeds that broke a promise", totals.failed);
  row("CPU seconds", cpu_ms / 1'000);
  row("device-days a CPU-minute", cpu_ms == 0 ? 0 : days * 60'000 / cpu_ms);
}

void print_failure(std::uint64_t seed, const Outcome& outcome) {
  std::printf("FAILED: tests/run sim --seed %llu --vendor %s --log\n", static_cast<unsigned long long>(seed),
              name_of(outcome.vendor));
  for (const auto& what : outcome.violations) std::printf("  %s\n", what.c_str());
  for (const auto& line : outcome.last_notes) std::printf("    %s\n", line.c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** values) {
  Arguments arguments;
  if (!read_arguments(count, values, arguments)) {
    std::fputs("usage: simulate [--seeds N] [--from S] | --seed S [--log]; [--vendor V]\n", stderr);
    return 2;
  }
  // LMDB asks for mebibytes at each start and touches little of them: fresh pages cost less than cleared
  // ones.
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
  Totals totals;
  for (std::uint64_t at = 0; at < arguments.count; ++at) {
    const auto seed = arguments.from + at;
    const auto outcome =
        meterd::sim::run_plan(meterd::sim::plan_of(seed, arguments.vendor),
                              arguments.log ? meterd::sim::LogKept::whole : meterd::sim::LogKept::last);
    totals.add(outcome);
    if (!outcome.violations.empty())
      print_failure(seed, outcome);
    else if (arguments.log)
      for (const auto& line : outcome.last_notes) std::printf("%s\n", line.c_str());
  }
  print(totals, static_cast<std::uint64_t>(std::clock()) * 1'000 / CLOCKS_PER_SEC);
  return totals.failed == 0 ? 0 : 1;
}
