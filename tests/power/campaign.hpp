// Many trials, each of another seed, by several processes: until so many cut points were tried.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "tests/power/trial.hpp"

namespace meterd::power {

struct CampaignOptions {
  std::uint64_t points = 1'000;
  std::uint64_t seed = 1;  // of the first trial
  unsigned jobs = 1;
  unsigned environment_flags = 0;
  bool in_child = false;
  int commits = 150;  // of a trial
};

struct Outcome {
  Counts counts;
  std::vector<std::string> findings;  // the first ones
  std::string error;                  // the tool itself failed: nothing is proven
};

// In processes of its own: one that crashes is a finding, and the next trial goes on.
Outcome run_campaign(const CampaignOptions& options);

// One trial in this process, judged at one point only.
Outcome replay(const CampaignOptions& options, std::uint64_t point);

void print(std::ostream& out, const Outcome& outcome, std::int64_t milliseconds);

}  // namespace meterd::power
