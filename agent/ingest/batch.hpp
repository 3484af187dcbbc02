// One batch of the framed socket: validated, de-duplicated by sequence, counted, acknowledged. Loop thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/ingest/batcher.hpp"
#include "agent/ingest/producer_table.hpp"
#include "meterd/v1/ingest.pb.h"

namespace meterd::ingest {

// An Ack on its way: what is known at once, and which events must ask the window's outcome.
struct PendingAck {
  v1::Ack ack;
  std::vector<std::size_t> identified;  // positions in the window
  bool needs_commit = false;
};

// Why the whole batch is refused, or nullopt. Before anything of it is counted.
struct BatchRefusal {
  meter::Refusal refusal = meter::Refusal::malformed;
  std::string message;
};
std::optional<BatchRefusal> refuse_batch(const v1::Batch& batch);

// The name under which the sequence of a batch's producer is kept.
std::string producer_of(const v1::Batch& batch, const meter::Permit* permit);

// Counts what of the batch its reporter may report. For a sequenced one the table must know the producer.
PendingAck count_batch(const v1::Batch& batch, Batcher& batcher, ProducerTable& producers,
                       const meter::Permit* permit = nullptr);

// Completes the ack with what the commit found.
void settle_ack(PendingAck& pending, const Status& committed, const WindowOutcome& outcome);

}  // namespace meterd::ingest
