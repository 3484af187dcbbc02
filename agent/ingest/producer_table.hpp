// What is known of each producer that numbers its events: the highest sequence that was passed, and which of
// the last ones were passed because they were refused for good. A repeat must be told which: an event that
// was too old, or in the future, when it came would otherwise be called a duplicate, that is counted. Loop
// thread.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "agent/base/limits.hpp"
#include "agent/ingest/shares.hpp"
#include "agent/journal/write_transaction.hpp"
#include "agent/meter/event.hpp"

namespace meterd::ingest {

// Ahead of the journal by what is in memory. The journal's cursor is put in once, before the producer's first
// batch; from then on this is the truth.
class ProducerTable {
 public:
  bool knows(const std::string& producer) const { return cursors_.contains(producer); }
  // For one more, that the reporter with that permit names.
  bool has_room(const meter::Permit* permit) const;
  void learn(const std::string& producer, const journal::ProducerCursor& cursor,
             const meter::Permit* permit = nullptr) {
    if (cursors_.emplace(producer, cursor).second) shares_.take(permit);
  }
  journal::ProducerCursor& operator[](const std::string& producer) { return cursors_[producer]; }

 private:
  std::unordered_map<std::string, journal::ProducerCursor> cursors_;
  Shares shares_{limits::kProducersMax};
};

// Why the event of that sequence was refused when it was passed; nullopt: it was counted.
std::optional<meter::Refusal> refused_before(const journal::ProducerCursor& cursor, std::uint64_t sequence);
void note_refused(journal::ProducerCursor& cursor, std::uint64_t sequence, meter::Refusal refusal);
// Of batches that are too long ago to be repeated, and beyond limits::kRefusedRangesMax: the oldest.
void forget_refused(journal::ProducerCursor& cursor);

}  // namespace meterd::ingest
