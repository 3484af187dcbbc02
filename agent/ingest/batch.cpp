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

// Refused for now: the sequence must not pass it, or its repeat would be taken for a duplicate.
bool passes(Refusal refusal) { return refusal != Refusal::full && refusal != Refusal::clock_untrusted; }

// One batch on its way through the batcher.
struct Counting {
  const v1::Batch& batch;
  const meter::Permit* permit;
  Batcher& batcher;
  platform::WallReading now;
  journal::ProducerCursor* cursor = nullptr;  // of a sequenced batch
  std::uint64_t highest = 0;                  // passed before this batch
  PendingAck out;
  std::uint32_t counted = 0;
  std::uint32_t duplicates = 0;

  // Of the event at that position; nullopt: counted, now or before.
  std::optional<Refusal> count(int position) {
    const std::uint64_t sequence = batch.sequence() + static_cast<std::uint64_t>(position);
    if (cursor != nullptr && sequence <= highest) {
      const auto refusal = refused_before(*cursor, sequence);
      if (!refusal) ++duplicates;
      return refusal;
    }
    meter::EventView event;
    event.permit = permit;
    auto refusal = read_event(batch.events(position), batch.producer(), event);
    if (refusal) {
      batcher.stats().refuse(*refusal);
    } else {
      const auto result = batcher.count(event, now);
      refusal = result.refusal;
      if (result.identified) out.identified.push_back(*result.identified);
    }
    if (!refusal) ++counted;
    if (refusal && cursor != nullptr && passes(*refusal)) note_refused(*cursor, sequence, *refusal);
    return refusal;
  }
};

}  // namespace

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

std::string producer_of(const v1::Batch& batch, const meter::Permit* permit) {
  return permit == nullptr ? batch.producer() : permit->scope + batch.producer();
}

PendingAck count_batch(const v1::Batch& batch, Batcher& batcher, ProducerTable& producers,
                       const meter::Permit* permit) {
  Counting counting{batch, permit, batcher, batcher.now(), nullptr, 0, {}, 0, 0};
  auto& out = counting.out;
  out.needs_commit = batch.ack() != v1::RECEIVED;  // an unknown level gets the stronger promise
  out.ack.set_level(batch.ack());
  if (batch.sequence() != 0) {
    counting.cursor = &producers[producer_of(batch, permit)];
    counting.highest = counting.cursor->sequence();
    if (batch.sequence() > counting.highest + 1 && counting.highest != 0) ++batcher.stats().sequence_gaps;
  }
  int passed = 0;
  for (; passed < batch.events_size(); ++passed) {
    const auto refusal = counting.count(passed);
    if (!refusal) continue;
    add_error(out.ack, static_cast<std::size_t>(passed), *refusal);
    if (counting.cursor == nullptr || passes(*refusal)) continue;
    for (int rest = passed + 1; rest < batch.events_size(); ++rest)
      add_error(out.ack, static_cast<std::size_t>(rest), *refusal);
    break;
  }
  batcher.stats().duplicates += counting.duplicates;
  const auto last = batch.sequence() + static_cast<std::uint64_t>(passed) - 1;
  if (counting.cursor != nullptr && passed > 0 && last > counting.highest) {
    counting.cursor->set_sequence(last);
    counting.cursor->set_batches(counting.cursor->batches() + 1);
    forget_refused(*counting.cursor);
    batcher.note_producer(producer_of(batch, permit), *counting.cursor);
  }
  out.ack.set_counted(counting.counted);
  out.ack.set_duplicates(counting.duplicates);
  return std::move(out);
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
