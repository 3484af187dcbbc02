// The last readings of all subscribers' elements, and how the journal keeps them: in pages of 64. What
// changes together stands together: a page is about 1 KB, so that 10,000 changed elements cost 157 records
// and not 10,000, and a few changed ones cost no more pages of LMDB than records of their own would.
// (FORMAT.md) Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "agent/source/nftables/element_step.hpp"
#include "agent/source/nftables/rule.hpp"
#include "agent/source/source.hpp"

namespace meterd::source {

inline constexpr std::size_t kElementsPerPage = 64;

// When, by both clocks, and of which counters.
struct ReadingMoment {
  std::string boot_id, counters;
  platform::WallReading wall;
  BootTime boot;
};

class KeptReadings {
 public:
  // What the journal has of `rule`. A subscriber of whom it has nothing is unknown.
  KeptReadings(const NftablesRule& rule, const Cursors& stored);

  // nullopt: never read.
  const std::optional<ReadingMoment>& last() const { return last_; }
  // They came with a copy of the journal, and were not read since.
  bool is_copied() const { return copied_; }
  // A part of what was stored could not be read: those subscribers are unknown.
  bool is_damaged() const { return damaged_; }
  std::size_t size() const { return readings_.size(); }
  const ElementReading& operator[](std::size_t subscriber) const { return readings_[subscriber]; }

  // Remembered, and stored by write().
  void set(std::size_t subscriber, const ElementReading& reading);
  // What is unchanged was read again: remembered, and not written for its own sake.
  void read_at(ReadingMoment moment);
  // Notes all pages that changed since, if any, with the moment they are of.
  void write(ingest::Batcher& batcher);
  Cursors cursors() const;

 private:
  std::size_t pages() const { return (readings_.size() + kElementsPerPage - 1) / kElementsPerPage; }
  std::string page_name(std::size_t page) const { return name_ + "/" + std::to_string(page); }
  journal::CounterCursor head() const;
  journal::CounterCursor page(std::size_t number) const;
  bool take_page(const journal::CounterCursor& page);

  std::string name_;
  std::size_t key_bytes_;
  std::vector<platform::NftKey> keys_;
  std::vector<ElementReading> readings_;  // by subscriber
  std::vector<bool> changed_;             // pages
  std::optional<ReadingMoment> last_;
  bool damaged_ = false;
  bool copied_ = false;
  bool write_head_ = false;
  std::vector<std::string> obsolete_;  // pages that were stored and are no longer used
};

}  // namespace meterd::source
