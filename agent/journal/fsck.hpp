// What is wrong with a data file that the daemon does not open, what that affects, and a new journal from
// what can be read. For a journal that no process has open: the caller holds its directory's lock. One
// thread, and no other in the process.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/journal/holdings.hpp"
#include "agent/journal/page_walk.hpp"
#include "agent/journal/read.hpp"

namespace meterd::journal {

struct Examination {
  WalkReport pages;
  std::vector<std::string> unreadable;  // what their keys name; at most 100
  CheckReport check;                    // only where no page and no record is damaged: else empty
  Holdings holdings;                    // likewise
  bool is_sound() const {
    return pages.is_sound() && pages.unreadable_records == 0 && check.problems.empty();
  }
};

// Code::corrupt: it is no data file of LMDB's at all; Code::invalid: of another architecture or a newer
// format; Code::io.
Result<Examination> examine(const std::string& data_path);

// "records from balance of billing/sub_1/sms-usd/2026-11-22 to usage number 17": what was below a damaged
// page.
std::string describe_loss(const PageDamage& damage);

struct Salvage {
  std::uint64_t records = 0;             // in the new journal as they were
  std::uint64_t of_damaged_pages = 0;    // of these, found one by one on pages that are damaged
  std::uint64_t of_unreached_pages = 0;  // of these, on whole pages to which the way is damaged
  std::uint64_t set_aside = 0;           // could not be read, and are kept as they are
  std::uint64_t left_out_pages = 0;      // may hold records, but nobody can tell whether the present ones
  bool stamp_was_lost = false;           // and found again on an earlier commit's page, or in meterd.lock
  bool may_lack_last_commit = false;
  CheckReport check;  // of the new journal
};

// Makes a journal in `to_directory`, which is made, or must be empty, from what can be read in `data_path`;
// that one and the meterd.lock beside it are only read. What follows from other records is made again;
// quantities whose usages are lost are the balances' set_aside. The new one is marked as a copy: nothing is
// sent to an upstream before it is reconciled, and what it counts itself gets revisions of its own.
// Code::corrupt: no stamp is left, or neither meta page; Code::full, Code::io, Code::rejected (not empty).
// Nothing that was made is left then.
Result<Salvage> salvage(const std::string& data_path, const std::string& to_directory);

}  // namespace meterd::journal
