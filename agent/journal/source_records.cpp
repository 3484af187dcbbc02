#include "agent/journal/source_records.hpp"

#include <algorithm>
#include <utility>

namespace meterd::journal {
namespace {
constexpr int kRecentMax = 16;
constexpr std::int64_t kNotKnown = -1;
}  // namespace

void append(v0::SourceGaps& gaps, v0::Gap gap) {
  gaps.set_gaps(gaps.gaps() + 1);
  gaps.set_lost(gaps.lost() + gap.lost());
  auto* recent = gaps.mutable_recent();
  if (recent->size() >= kRecentMax) recent->DeleteSubrange(0, recent->size() - kRecentMax + 1);
  *recent->Add() = std::move(gap);
}

void mark_copied(v0::CounterCursor& cursor) {
  cursor.set_read_ms(copied(cursor.read_ms()));
  if (!cursor.has_access_log()) return;
  for (auto& worker : *cursor.mutable_access_log()->mutable_workers())
    worker.set_seen_ms(copied(worker.seen_ms()));
}

std::int64_t copied(std::int64_t time_ms) {
  if (time_ms < 0) return time_ms;
  return time_ms == 0 ? kNotKnown : -time_ms;
}

std::optional<std::int64_t> copied_at(std::int64_t time_ms) {
  if (time_ms >= 0) return std::nullopt;
  return time_ms == kNotKnown ? 0 : -time_ms;
}

}  // namespace meterd::journal
