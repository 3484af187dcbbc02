// What a configuration comes to before anything runs: how long the upstreams' limits last, how often the
// network is used and when, and what is written to flash. Pure.
#pragma once

#include <string>

#include "agent/app/config.hpp"
#include "agent/upstream/plan.hpp"

namespace meterd::app {

upstream::Plan plan_of(const Config& config, const UpstreamConfig& upstream);

// For people, each line a comment in TOML: it may follow describe().
std::string describe_plan(const Config& config);

}  // namespace meterd::app
