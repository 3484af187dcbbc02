#include "agent/journal/source_records.hpp"

#include <algorithm>
#include <utility>

namespace meterd::journal {
namespace {
constexpr int kRecentMax = 16;

// Of the kind that came most often, the first: what comes again and again does not push out what came once.
int next_to_go(const google::protobuf::RepeatedPtrField<v0::Gap>& recent) {
  const auto like = [&](const v0::Gap& one) {
    return std::count_if(recent.begin(), recent.end(), [&](const v0::Gap& other) {
      return other.reason() == one.reason() && other.what() == one.what();
    });
  };
  const auto goes = std::max_element(recent.begin(), recent.end(),
                                     [&](const v0::Gap& a, const v0::Gap& b) { return like(a) < like(b); });
  return static_cast<int>(goes - recent.begin());
}
}  // namespace

void append(v0::SourceGaps& gaps, v0::Gap gap) {
  gaps.set_gaps(gaps.gaps() + 1);
  gaps.set_lost(gaps.lost() + gap.lost());
  auto* recent = gaps.mutable_recent();
  if (recent->size() >= kRecentMax) recent->DeleteSubrange(next_to_go(*recent), 1);
  *recent->Add() = std::move(gap);
}

void mark_copied(v0::CounterCursor& cursor) {
  cursor.set_copied(true);
  if (!cursor.has_access_log()) return;
  for (auto& worker : *cursor.mutable_access_log()->mutable_workers()) worker.set_copied(true);
}

}  // namespace meterd::journal
