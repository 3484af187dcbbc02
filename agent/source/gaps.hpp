// What a source missed, or may have: totals, and the last few one by one. Loop thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "agent/ingest/batcher.hpp"
#include "agent/journal/source_records.hpp"

namespace meterd::source {

// From where a cursor that came with a copy was read, until counting goes on.
journal::Gap put_back_gap(std::int64_t copied_at_ms, const platform::WallReading& now);

class Gaps {
 public:
  Gaps(std::string source, journal::SourceGaps stored)
      : source_(std::move(source)), totals_(std::move(stored)) {}

  // Stored with what the open window counts.
  void note(ingest::Batcher& batcher, journal::Gap gap);
  // So many of what was noted as lost came after all.
  void take_back(ingest::Batcher& batcher, std::uint64_t found);
  const journal::SourceGaps& totals() const { return totals_; }

 private:
  std::string source_;
  journal::SourceGaps totals_;
};

}  // namespace meterd::source
