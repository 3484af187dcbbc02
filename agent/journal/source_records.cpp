#include "agent/journal/source_records.hpp"

#include <algorithm>
#include <utility>

namespace meterd::journal {
namespace {
constexpr int kRecentMax = 16;
}  // namespace

void append(v0::SourceGaps& gaps, v0::Gap gap) {
  gaps.set_gaps(gaps.gaps() + 1);
  gaps.set_lost(gaps.lost() + gap.lost());
  auto* recent = gaps.mutable_recent();
  if (recent->size() >= kRecentMax) recent->DeleteSubrange(0, recent->size() - kRecentMax + 1);
  *recent->Add() = std::move(gap);
}

void mark_copied(v0::CounterCursor& cursor) {
  cursor.set_copied(true);
  if (!cursor.has_access_log()) return;
  for (auto& worker : *cursor.mutable_access_log()->mutable_workers()) worker.set_copied(true);
}

}  // namespace meterd::journal
