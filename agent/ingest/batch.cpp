#include "agent/ingest/batch.hpp"

#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"

namespace meterd::ingest {
namespace {

using meter::Refusal;

void add_error(v1::Ack& ack, std::size_t position, Refusal refusal) {
  auto* error = ack.add_errors();
  error->set_position(static_cast<std::uint32_t>(position));
  error->set_code(std::string(name_of(refusal)));
  error->set_message(std::string(advice_for(refusal)));
}

std::optional<Refusal> read_event(const v1::Event& event, const std::string& producer,
                                  meter::EventView& out) {
  out.name = event.name();
  out.subscription = event.subscription();
  out.producer = producer;
  out.id = event.id();
  if (event.time_ms() != 0) out.time = WallTime{Milliseconds(event.time_ms())};
  if (event.quantity().empty()) {
    out.quantity = Quantity::of(1);
    return std::nullopt;
  }
  auto quantity = Quantity::parse(event.quantity());
  if (!quantity) return Refusal::bad_quantity;
  out.quantity = *quantity;
  return std::nullopt;
}

}  // namespace

bool ProducerTable::full() const { return sequences_.size() >= limits::kProducersMax; }

std::optional<BatchRefusal> refuse_batch(const v1::Batch& batch) {
  if (static_cast<std::size_t>(batch.events_size()) > limits::kBatchEventsMax)
    return BatchRefusal{Refusal::too_large, "too_large: a batch has at most " +
                                                std::to_string(limits::kBatchEventsMax) + " events"};
  if (batch.sequence() != 0 && !is_clean_text(batch.producer(), limits::kProducerMax))
    return BatchRefusal{Refusal::bad_id,
                        "bad_id: a sequence needs a producer of 1 to 100 bytes of clean UTF-8"};
  if (batch.sequence() > UINT64_MAX - limits::kBatchEventsMax)
    return BatchRefusal{Refusal::malformed, "malformed: the sequence is out of range"};
  return std::nullopt;
}

PendingAck count_batch(const v1::Batch& batch, Batcher& batcher, ProducerTable& producers) {
  PendingAck out;
  out.needs_commit = batch.ack() != v1::RECEIVED;  // an unknown level gets the stronger promise
  out.ack.set_level(batch.ack());
  const auto now = batcher.now();
  const bool sequenced = batch.sequence() != 0;
  std::uint64_t highest = sequenced ? producers[batch.producer()] : 0;
  if (sequenced && batch.sequence() > highest + 1 && highest != 0) ++batcher.stats().sequence_gaps;

  std::uint32_t counted = 0;
  std::uint32_t duplicates = 0;
  for (int i = 0; i < batch.events_size(); ++i) {
    const auto position = static_cast<std::size_t>(i);
    meter::EventView event;
    if (sequenced && batch.sequence() + position <= highest) {
      // Passed before: counted, or refused for good. The repeat of a lost acknowledgement must tell which.
      auto refusal = read_event(batch.events(i), batch.producer(), event);
      if (!refusal) refusal = batcher.refusal_at_any_time(event);
      if (refusal)
        add_error(out.ack, position, *refusal);
      else
        ++duplicates;
      continue;
    }
    if (const auto refusal = read_event(batch.events(i), batch.producer(), event)) {
      batcher.stats().refuse(*refusal);
      add_error(out.ack, position, *refusal);
      continue;
    }
    const auto result = batcher.count(event, now);
    if (result.refusal) {
      add_error(out.ack, position, *result.refusal);
      // Refused for now: the sequence must not pass it, or its repeat would be taken for a duplicate.
      if (sequenced && (*result.refusal == Refusal::full || *result.refusal == Refusal::clock_untrusted)) {
        for (int rest = i + 1; rest < batch.events_size(); ++rest)
          add_error(out.ack, static_cast<std::size_t>(rest), *result.refusal);
        if (position > 0 && batch.sequence() + position - 1 > highest) {
          producers[batch.producer()] = batch.sequence() + position - 1;
          batcher.note_producer(batch.producer(), batch.sequence() + position - 1);
        }
        out.ack.set_counted(counted);
        out.ack.set_duplicates(duplicates);
        return out;
      }
      continue;
    }
    ++counted;
    if (result.identified) out.identified.push_back(*result.identified);
  }
  batcher.stats().duplicates += duplicates;
  if (sequenced && batch.events_size() > 0) {
    const auto last = batch.sequence() + static_cast<std::uint64_t>(batch.events_size()) - 1;
    if (last > highest) {
      producers[batch.producer()] = last;
      batcher.note_producer(batch.producer(), last);
    }
  }
  out.ack.set_counted(counted);
  out.ack.set_duplicates(duplicates);
  return out;
}

void settle_ack(PendingAck& pending, const Status& committed, const WindowOutcome& outcome) {
  if (!committed) {
    pending.ack.Clear();
    pending.ack.set_error(
        std::string(name_of(committed.error().code)) +
        ": not committed yet, the journal has no room; it is kept in memory and tried again. "
        "Report the batch again with the same sequence or ids");
    return;
  }
  for (const auto position : pending.identified) {
    if (position >= outcome.duplicate.size() || !outcome.duplicate[position]) continue;
    pending.ack.set_counted(pending.ack.counted() - 1);
    pending.ack.set_duplicates(pending.ack.duplicates() + 1);
  }
}

}  // namespace meterd::ingest
