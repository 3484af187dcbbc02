#include "agent/journal/lineage.hpp"

#include <algorithm>
#include <limits>

namespace meterd::journal {
namespace {
constexpr std::uint64_t kLongestStep = 1'024;  // of 42,949 steps that the numbers last for
}

Lineage lineage_of(const v0::General& general) {
  return {general.copies(), general.first_revision(), general.first_own_sequence(), general.first_own_boot()};
}

void begin_restored(v0::General& general, std::uint64_t random) {
  general.set_copies(general.copies() + 1);
  general.set_first_own_sequence(general.next_sequence());
  general.set_first_own_boot(general.boot_number());
  const std::uint64_t step = (1 + random % kLongestStep) * kRevisionsPerCopy;
  const std::uint64_t next = general.first_revision() + step;
  // Beyond the last number it stays where it is: the upstream's refusal of a repeated id is what is left.
  if (next <= std::numeric_limits<std::uint32_t>::max() - kRevisionsPerCopy)
    general.set_first_revision(static_cast<std::uint32_t>(next));
}

bool is_held(const v0::General& general, const v0::UpstreamState& state) {
  if (general.copies() == 0) return false;
  if (state.unreconciled()) return true;
  return general.copies() > std::max(general.all_reconciled_copies(), state.reconciled_copies());
}

}  // namespace meterd::journal
