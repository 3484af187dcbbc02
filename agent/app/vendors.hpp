// The registration of every vendor: from a configured upstream to its API.
#pragma once

#include <memory>

#include "agent/app/config.hpp"
#include "agent/meter/dating.hpp"
#include "agent/upstream/upstream.hpp"

namespace meterd::app {

std::shared_ptr<const upstream::Upstream> vendor_of(const UpstreamConfig& config);
meter::SealRule seal_rule_of(const UpstreamConfig& config);

}  // namespace meterd::app
