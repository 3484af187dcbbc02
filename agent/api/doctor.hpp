// What an operator should know when something is wrong, or before it is: everything that can be looked at,
// with what to do about it. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/api/status.hpp"
#include "agent/journal/read.hpp"
#include "agent/upstream/plan.hpp"

namespace meterd::api {

// An upstream as it was just found.
struct ExaminedUpstream {
  std::string name, kind;
  upstream::Diagnosis diagnosis;
  std::optional<Milliseconds> clock_ahead = {};  // of the upstream's; nullopt: it did not say
  upstream::Plan plan = {};
  journal::Lifetimes lifetimes = {};
};

struct Finding {
  std::string check;  // "clock", "journal", "counting" or an upstream's name
  bool is_fine = true;
  std::string what, how;  // how: what to do; empty if it is fine
};

std::vector<Finding> diagnose(const Status& status, const std::vector<ExaminedUpstream>& upstreams);

// {"findings": [{"check", "result": "fine" | "attention", "what", "do"}], "plan": {...}}
std::string doctor_json(const Status& status, const std::vector<ExaminedUpstream>& upstreams);

}  // namespace meterd::api
