// The walk over a data file that no process has open for writing: is it safe to give it to LMDB, and which
// records cannot be read? It visits every page that the newest commit uses, and every record's checksum. Two
// kinds of damage are told apart:
//   structure   a meta, branch, leaf or free-list page that LMDB would trip over, or that would let it write
//               over pages in use. The daemon does not start.
//   record      the page is whole, but a key or a value fails its checksum. It is set aside at the start.
// Memory: a bit for each page, one page for each level, and the largest value. Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/journal/pages.hpp"

namespace meterd::journal {

struct PageDamage {
  std::uint64_t page = 0;
  std::string what;
  // The keys that were to be found below it, where it belongs to the records: from `from` to before `to`;
  // without `to`, to the last one.
  bool holds_records = false;
  std::string from;
  std::optional<std::string> to;
};

struct WalkReport {
  std::uint64_t file_bytes = 0;
  std::uint64_t page_bytes = 0;
  std::uint64_t txnid = 0;               // of the newest commit whose meta page can be read
  std::uint64_t last_page = 0;           // that any commit has used
  bool newest_meta_is_lost = false;      // one of the two is damaged: it may have been the newest commit
  std::uint64_t records = 0;             // that were reached
  std::uint64_t unreadable_records = 0;  // of these, those that fail their checksum
  std::uint64_t damages = 0;
  std::vector<PageDamage> damage;   // the first 100 of them
  std::uint64_t pages_reached = 0;  // of the trees and their large values, and the meta pages
  std::uint64_t pages_free = 0;
  bool free_list_is_whole = false;
  std::vector<bool> reached;  // per page: of the trees and their large values
  std::vector<bool> free;     // per page: in the free list

  bool is_sound() const { return damages == 0; }
};

// A record that was reached; `readable`: its checksum holds. The views live until the function returns.
using VisitRecord = std::function<void(std::string_view key, std::string_view value, bool readable)>;

// Code::io when the disk refused to read: everything else is in the report.
Result<WalkReport> walk_pages(const PageFile& file, const VisitRecord& visit = {});

}  // namespace meterd::journal
