#include "agent/source/gaps.hpp"

#include <algorithm>

namespace meterd::source {

journal::Gap put_back_gap(std::int64_t copied_at_ms, const platform::WallReading& now) {
  journal::Gap gap;
  gap.set_from_ms(copied_at_ms);
  gap.set_until_ms(now.time.since_epoch.count());
  gap.set_trusted(now.trusted);
  gap.set_reason(journal::kPutBack);
  return gap;
}

void Gaps::note(ingest::Batcher& batcher, journal::Gap gap) {
  journal::append(totals_, std::move(gap));
  batcher.note_gaps(source_, totals_);
}

void Gaps::take_back(ingest::Batcher& batcher, std::uint64_t found) {
  totals_.set_lost(totals_.lost() - std::min(found, totals_.lost()));
  batcher.note_gaps(source_, totals_);
}

}  // namespace meterd::source
