// The way of a batch into the agent, as ingest/framed_server.cpp takes it, without a socket: the real
// validation, de-duplication, counting and acknowledgement.
#pragma once

#include <functional>

#include "meterd/v1/ingest.pb.h"
#include "tests/sim/machine.hpp"

namespace meterd::sim {

// `answer` is called once, or never if the process ends before.
void take_batch(Machine& machine, v1::Batch batch, std::function<void(const v1::Ack&)> answer);

}  // namespace meterd::sim
