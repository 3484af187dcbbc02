// What the journal keeps of sources: what they missed, and cursors that came with a copy. The original may
// have counted and billed what came after them, so such a cursor says where the doubt begins, and not where
// to go on.
#pragma once

#include "meterd/journal/v0/records.pb.h"

namespace meterd::journal {

inline constexpr const char* kPutBack = "the journal was put back: in doubt";

// The next one of a source: the totals, and the last few one by one; beyond sixteen those of one reason and
// one part of the source are one, with the sum of their bounds.
void append(v0::SourceGaps& gaps, v0::Gap gap);

// Marks a cursor that came with the copy; an access log's workers each for itself.
void mark_copied(v0::CounterCursor& cursor);

}  // namespace meterd::journal
