// The journal's format, and what becomes of a journal of an earlier one when it is opened: step by step to
// the present format, in the transaction of the start, so that it is of the one or of the other whenever the
// power goes. There is no way back: an earlier meterd refuses it by its stamp (check_stamp) and changes
// nothing.
#pragma once

#include <cstdint>
#include <optional>

#include "agent/journal/lmdb.hpp"
#include "meterd/journal/v0/records.pb.h"

namespace meterd::journal {

inline constexpr std::uint32_t kFormat = 1;
// The first version of meterd that reads it, for the stamp: one that does not can say what to install.
inline constexpr const char* kFormatNeeds = "0.1.0";

// To kFormat, within the caller's transaction. Of `from`: at most kFormat.
Status migrate_records(Transaction& txn, std::uint32_t from);

struct Migrated {
  v0::Stamp stamp;
  std::uint32_t from = kFormat;  // what its format was
  bool any() const { return from != kFormat; }
};
// The same with the stamp, which is checked first. nullopt: it has none, and nothing was done. Errors: those
// of check_stamp(), and what LMDB says; the transaction must then be dropped.
Result<std::optional<Migrated>> migrate(Transaction& txn);

}  // namespace meterd::journal
