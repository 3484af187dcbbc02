#include <gtest/gtest.h>

#include "tests/sim/runner.hpp"

namespace meterd::sim {
namespace {

TEST(Simulation, TheSameSeedGivesTheSameRun) {
  EXPECT_EQ(run_plan(plan_of(3)).log_hash, run_plan(plan_of(3)).log_hash);
}

}  // namespace
}  // namespace meterd::sim
