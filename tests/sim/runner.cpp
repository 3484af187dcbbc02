#include "tests/sim/runner.hpp"

#include <unistd.h>

#include "tests/support/surroundings.hpp"

namespace meterd::sim {

Outcome run_plan(const Plan& plan, LogKept log) {
  const testing::TempDirectory directory(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "");
  Simulation simulation(plan, directory.path());
  if (log == LogKept::whole) simulation.keep_whole_log();
  return simulation.run();
}

}  // namespace meterd::sim
