// Runs plans, each with a journal of its own in memory (or on a disk where there is no memory file system).
#pragma once

#include "tests/sim/plan.hpp"
#include "tests/sim/simulation.hpp"

namespace meterd::sim {

enum class LogKept { last, whole };
Outcome run_plan(const Plan& plan, LogKept log = LogKept::last);

}  // namespace meterd::sim
