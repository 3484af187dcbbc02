// What a seed decides before anything happens: the device's configuration, who reports, the upstream's rules,
// and which faults strike how often. A plan can be changed by hand before it is run: that is how a negative
// control or a named case is made.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/app/config.hpp"
#include "tests/sim/caller.hpp"
#include "tests/sim/charge_caller.hpp"
#include "tests/sim/chargebee_model.hpp"
#include "tests/sim/draws.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/operator.hpp"
#include "tests/sim/reporter.hpp"
#include "tests/sim/twilio_model.hpp"

namespace meterd::sim {

struct FaultRates {
  // Mean time between two; zero: never.
  Milliseconds crash{}, polite_restart{}, power_loss{}, outage{}, storm{}, credentials{}, clock_step{},
      suspend{};
  Milliseconds disk_full{}, disk_cramped{}, disk_broken{};
  std::int64_t crash_at_work_percent = 0;  // of exchanges, reports and the like: a crash a few handlers later
  Milliseconds longest_outage{}, longest_off{}, longest_untrusted{};
};

enum class Vendor : std::uint8_t { chargebee, twilio_v1, twilio_preview };
const char* name_of(Vendor vendor);  // as an [[upstream]] names its kind

enum class CountedKind : std::uint8_t { link, table, messages, calls, memory };
const char* name_of(CountedKind kind);
struct CountedSource {  // of the device itself
  CountedKind kind = CountedKind::link;
  std::size_t series = 0;  // that it is billed as
  bool lies = false;       // negative control: what it shows the agent is not what happened
};

struct Plan {
  std::uint64_t seed = 0;
  Vendor vendor = Vendor::chargebee;
  WallTime begin;
  Milliseconds length{};
  app::Config config;  // its directory is the runner's
  std::vector<Series> series;
  std::vector<Kind> kinds;
  std::vector<CountedSource> counted;
  std::vector<Reporter::Habits> reporters;
  std::vector<Caller::Habits> callers;
  ChargebeeModel::Rules upstream;
  // Of a plan whose vendor is one of Twilio's.
  TwilioModel::Rules twilio;
  std::vector<ChargeCaller::Habits> charge_callers;
  Operator::Habits the_operator;
  Network::Weather weather;
  FaultRates faults;
  std::int64_t drift_ppm = 0;
  bool has_clock_battery = false;
  Milliseconds time_server_error{};  // negative control: it lies
  bool flush_at_end = true;          // by an operator; otherwise the seals come by themselves
};

// The seed draws the vendor too, unless one is wanted.
Plan plan_of(std::uint64_t seed, std::optional<Vendor> vendor = {});

// Adds what the device counts by itself, besides an interface (plan_sources.cpp).
void plan_sources(Plan& plan, Draws draws, bool roomy);
void add_source(Plan& plan, CountedKind kind);

// Turns a plan for Chargebee into one for Twilio (plan_twilio.cpp).
void bill_through_twilio(Plan& plan, Vendor vendor, const Draws& draws);

}  // namespace meterd::sim
