// What the journal keeps of sources: what they missed, and cursors that came with a copy. The original may
// have counted and billed what came after them, so such a cursor says where the doubt begins, and not where
// to go on.
#pragma once

#include <cstdint>
#include <optional>

#include "meterd/journal/v0/records.pb.h"

namespace meterd::journal {

inline constexpr const char* kPutBack = "the journal was put back: in doubt";

// The next one of a source: the totals, and the last few one by one.
void append(v0::SourceGaps& gaps, v0::Gap gap);

// Marks a cursor that came with the copy: times before 1970 (FORMAT.md). Again: nothing is changed.
void mark_copied(v0::CounterCursor& cursor);
// When it was read, if it came with the copy; 0: not known. Of an access log the workers tell it, each for
// itself.
std::optional<std::int64_t> copied_at(std::int64_t time_ms);
std::int64_t copied(std::int64_t time_ms);  // the mark of that time

}  // namespace meterd::journal
