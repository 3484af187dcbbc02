#include "agent/journal/migrate.hpp"

#include <array>

#include "agent/journal/records.hpp"

namespace meterd::journal {
namespace {

// Makes the records of one format those of the next. It is run once, on the whole journal, and must not rely
// on readers and verbs that know later formats: they change, and what it is for does not.
using Step = Status (*)(Transaction& txn);

// Format 0 was that of the builds before the first release; its records are those of format 1.
Status from_0_to_1(Transaction& /*txn*/) { return {}; }

// The step at N makes format N into N + 1. With another one: kFormat and kFormatNeeds, inspect_file() for
// backups that are read before they are migrated, a golden journal (tests/golden), FORMAT.md.
constexpr std::array<Step, kFormat> kSteps = {from_0_to_1};

}  // namespace

Status migrate_records(Transaction& txn, std::uint32_t from) {
  for (std::uint32_t format = from; format < kFormat; ++format)
    if (auto done = kSteps.at(format)(txn); !done) return done;
  return {};
}

Result<std::optional<Migrated>> migrate(Transaction& txn) {
  auto stamp = load<v0::Stamp>(txn, stamp_key());
  if (!stamp) return stamp.error();
  if (!stamp->has_value()) return std::optional<Migrated>{};
  if (auto known = check_stamp(**stamp); !known) return known.error();
  Migrated out{**stamp, (*stamp)->format()};
  if (out.any()) {
    if (auto done = migrate_records(txn, out.from); !done) return done.error();
    out.stamp.set_format(kFormat);
    out.stamp.set_needs(kFormatNeeds);
    if (auto stored = store(txn, stamp_key(), out.stamp); !stored) return stored.error();
  }
  return std::optional<Migrated>(std::move(out));
}

}  // namespace meterd::journal
