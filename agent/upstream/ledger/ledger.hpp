// The ledger: the device as its own upstream, where none is configured. A usage is delivered by being in the
// journal; the same flusher, states and receipts as for any other upstream, without a network.
#pragma once

#include <memory>

#include "agent/upstream/upstream.hpp"

namespace meterd::upstream::ledger {

std::unique_ptr<Upstream> make();
std::unique_ptr<HttpClient> make_client();

}  // namespace meterd::upstream::ledger
