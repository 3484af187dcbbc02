// The balance sheet of one (upstream, subscription, item price, usage day), in counted units. Its open part
// is the bucket. Conservation (DESIGN.md, invariant 4) is one line here: holds().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/quantity.hpp"
#include "agent/base/result.hpp"
#include "agent/journal/lineage.hpp"

namespace meterd::journal {

enum class UsageState : std::uint8_t { waiting, in_doubt, parked, delivered, withdrawn, superseded };

std::string_view name_of(UsageState state);
inline bool has_ended(UsageState state) { return state >= UsageState::delivered; }

// What a journal had open when it was copied, as the revision under which the original may have billed it.
// Sealed by itself, before the rest.
struct CopiedPart {
  Quantity quantity;
  std::uint64_t events = 0;
  std::uint32_t revision = 0;
};

struct Balance {
  Quantity accepted;
  Quantity open;
  std::uint64_t events = 0;  // accepted
  std::uint64_t open_events = 0;
  std::int64_t opened_at_ms = 0;  // when the bucket got its first event
  std::int64_t seal_due_s = 0;
  std::string zone;
  std::uint32_t next_revision = 0;
  Quantity waiting, in_doubt, parked, delivered, withdrawn, set_aside;
  std::int64_t pruned_date = 0;    // of such a usage, the highest: the upstream still has it
  Quantity pruned;                 // part of delivered + withdrawn whose usages are no longer kept one by one
  std::uint32_t copies = 0;        // Lineage::copies, as of which the next is right
  std::vector<CopiedPart> copied;  // parts of open; their sum is no more than it

  bool holds() const {
    return accepted == open + waiting + in_doubt + parked + delivered + withdrawn + set_aside;
  }
  // After the journal was found to be a copy, once: what is open came with it, and the next revision is one
  // that the original does not reach.
  void part_from_original(const Lineage& lineage);
  // The part that a usage in `state` is in; nullptr for superseded, which is in none.
  Quantity* part(UsageState state);
};

std::string encode(const Balance& balance);
Result<Balance> decode_balance(std::string_view payload);

}  // namespace meterd::journal
