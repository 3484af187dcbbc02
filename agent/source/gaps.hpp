// What a source missed, or may have: totals, and the last few one by one. Loop thread.
#pragma once

#include <string>
#include <utility>

#include "agent/ingest/batcher.hpp"

namespace meterd::source {

class Gaps {
 public:
  Gaps(std::string source, journal::SourceGaps stored)
      : source_(std::move(source)), totals_(std::move(stored)) {}

  // Stored with what the open window counts.
  void note(ingest::Batcher& batcher, journal::Gap gap);
  const journal::SourceGaps& totals() const { return totals_; }

 private:
  std::string source_;
  journal::SourceGaps totals_;
};

}  // namespace meterd::source
