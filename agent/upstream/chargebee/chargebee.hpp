// Chargebee Usages API v2 (seed 002; error codes and the 30-minute key window: the vendor's public
// documents).
#pragma once

#include <memory>
#include <string>

#include "agent/upstream/upstream.hpp"

namespace meterd::upstream::chargebee {

// `base_path`: the path of the configured URL without a trailing slash, "/api/v2".
std::unique_ptr<Upstream> make(std::string base_path);

}  // namespace meterd::upstream::chargebee
