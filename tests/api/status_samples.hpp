// Statuses of every state that the daemon can be in, for the tests of what /status and /metrics say.
#pragma once

#include <string>
#include <vector>

#include "agent/api/status.hpp"

namespace meterd::api::test {

struct Sample {
  std::string name;
  Status status;
};

Status healthy_status();  // one upstream, nothing counted yet, nothing known of the process
Status busy_status();     // a different number in each member
std::vector<Sample> status_samples();

}  // namespace meterd::api::test
