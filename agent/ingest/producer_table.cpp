#include "agent/ingest/producer_table.hpp"

#include "agent/base/limits.hpp"

namespace meterd::ingest {

using meter::Refusal;

bool ProducerTable::has_room(const meter::Permit* permit) const {
  return shares_.has_room(permit, cursors_.size());
}

std::optional<Refusal> refused_before(const journal::ProducerCursor& cursor, std::uint64_t sequence) {
  for (const auto& range : cursor.refused()) {
    if (sequence < range.first() || sequence > range.last()) continue;
    for (int at = 0; at < static_cast<int>(Refusal::kCount); ++at)
      if (name_of(static_cast<Refusal>(at)) == range.code()) return static_cast<Refusal>(at);
  }
  return std::nullopt;
}

void note_refused(journal::ProducerCursor& cursor, std::uint64_t sequence, Refusal refusal) {
  const std::string code(name_of(refusal));
  auto& ranges = *cursor.mutable_refused();
  if (!ranges.empty()) {
    auto& last = *ranges.rbegin();
    if (last.last() + 1 == sequence && last.code() == code && last.batch() == cursor.batches())
      return last.set_last(sequence);
  }
  auto* range = ranges.Add();
  range->set_first(sequence);
  range->set_last(sequence);
  range->set_code(code);
  range->set_batch(cursor.batches());
}

void forget_refused(journal::ProducerCursor& cursor) {
  auto& ranges = *cursor.mutable_refused();
  int gone = std::max(0, ranges.size() - static_cast<int>(limits::kRefusedRangesMax));
  while (gone < ranges.size() && ranges[gone].batch() + limits::kRepeatableBatches < cursor.batches()) ++gone;
  ranges.DeleteSubrange(0, gone);
}

}  // namespace meterd::ingest
