// A journal that is a copy of another one (restored, cloned): what it must not do again. The original may
// have gone on after the copy was taken, and both make the same ids. So a copy
//   - holds its upstreams until each is reconciled,
//   - bills what it had open when it was copied under the very id that the original would have used, so that
//     the upstream refuses the second of the two (Balance::copied),
//   - begins the revisions of everything that it counts itself at a number that the original never reaches.
#pragma once

#include <cstdint>

#include "meterd/journal/v0/records.pb.h"

namespace meterd::journal {

// More than a day has seconds, so more than the usages that a bucket can have.
inline constexpr std::uint32_t kRevisionsPerCopy = 100'000;

struct Lineage {
  std::uint32_t copies = 0;              // how often it was found to be a copy; 0: it is none
  std::uint32_t first_revision = 0;      // of what was counted since
  std::uint64_t first_own_sequence = 0;  // usages before it came with the copy
  // Slices of earlier boots came with the copy: the original may have dated and billed them, so only an
  // operator may date them.
  std::uint32_t first_own_boot = 0;
};

Lineage lineage_of(const v0::General& general);

// Notes in `general` that it was found to be a copy. `random`: two copies of one backup should not use the
// same revisions; if they do, the upstream refuses one of them.
void begin_restored(v0::General& general, std::uint64_t random);

// Whether nothing may be sent to the upstream yet. Of an upstream without a record: UpstreamState{}.
bool is_held(const v0::General& general, const v0::UpstreamState& state);

}  // namespace meterd::journal
