#include "agent/source/gaps.hpp"

#include <algorithm>

namespace meterd::source {

namespace {
constexpr int kRecentMax = 16;
}  // namespace

void Gaps::note(ingest::Batcher& batcher, journal::Gap gap) {
  totals_.set_gaps(totals_.gaps() + 1);
  totals_.set_lost(totals_.lost() + gap.lost());
  auto* recent = totals_.mutable_recent();
  if (recent->size() >= kRecentMax) recent->DeleteSubrange(0, recent->size() - kRecentMax + 1);
  *recent->Add() = std::move(gap);
  batcher.note_gaps(source_, totals_);
}

void Gaps::take_back(ingest::Batcher& batcher, std::uint64_t found) {
  totals_.set_lost(totals_.lost() - std::min(found, totals_.lost()));
  batcher.note_gaps(source_, totals_);
}

}  // namespace meterd::source
