// Which changes of the configuration can be put in force while the daemon runs. Pure.
#pragma once

#include "agent/app/config.hpp"

namespace meterd::app {

// Code::rejected, with the name of every key that differs and takes effect with a restart only.
Status may_reload(const Config& running, const Config& next);

// Whether both speak to the same account at the same address: then an exchange in flight may go on.
bool same_endpoint(const UpstreamConfig& a, const UpstreamConfig& b);

}  // namespace meterd::app
