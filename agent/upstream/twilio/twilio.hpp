// Twilio Marketplace's two usage APIs (seed 001: V1; seed 000: Preview, deprecated). Neither has idempotency
// nor read-back: what may have arrived and was not answered is in doubt.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "agent/upstream/upstream.hpp"

namespace meterd::upstream::twilio {

// Items of money, many in a request. The subscription is the installation's sid, the item price the billing
// sid. `base_path`: the path of the configured URL without a trailing slash. `batch`: items per request.
std::unique_ptr<Upstream> make_v1(std::string base_path, std::size_t batch);

// One quantity a request: units to charge, or, below zero, to credit.
std::unique_ptr<Upstream> make_preview(std::string base_path);

}  // namespace meterd::upstream::twilio
