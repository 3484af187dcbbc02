// One region: memory of an app's, read slot by slot. What is new is counted, and how far goes with it into
// the same transaction, in pages of kPageSlots, so that a commit rewrites what changed. Loop thread.
//
// The memory is the app's, and so is nothing that is read of it believed: a value that fell, one that grew
// faster than any app adds, a file that was cut short are refused, shown, and counting goes on from there.
#pragma once

#include <array>
#include <bitset>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/ingest/batcher.hpp"
#include "agent/source/gaps.hpp"
#include "agent/source/shared_counters/names.hpp"
#include "agent/source/shared_counters/slot_values.hpp"
#include "agent/source/shared_counters/step.hpp"

namespace meterd::source {

inline constexpr std::uint32_t kPageSlots = 64;

class Region {
 public:
  using Cursors = std::map<std::uint32_t, journal::CounterCursor>;  // by page
  // `of_this_journal`: what is in no cursor was never counted. Else nobody knows how far it was, and it is
  // counted from where it is.
  Region(platform::SharedMemory::Kept kept, RegionHead head, std::vector<CounterName> names,
         const Cursors& cursors, BootTime now, bool of_this_journal);

  struct Reading {
    ingest::Batcher& batcher;
    Gaps& gaps;
    platform::SharedMemory& memory;
    platform::WallReading now;
    BootTime boot;
    std::string boot_id;
    std::uint64_t rate_max = 0;
    bool last = false;  // of this process: who is given the memory back later must find all of it in a cursor
    // Of who has the memory. Null: that is not known since our start, and what was allowed then still is.
    const meter::Permit* permit = nullptr;
    SlotValues& values;  // one for all regions
  };
  // Counts what is new. After mark_unused() it is the last time that anything is.
  void harvest(const Reading& reading);

  // What may be counted later is not passed: false while there is such.
  bool is_all_counted() const { return !holds_back_; }

  // Nothing is added to one of another journal: a new slot of it would be taken for an old one.
  bool has_room() const {
    return names_.size() < METERD_REGION_SLOTS && of_this_journal_ && !unused_ && !asked_;
  }
  std::size_t used() const { return names_.size(); }
  const CounterName& name_of(std::uint32_t slot) const { return names_[slot]; }
  // Of the next free slot: kept first, so that no unit of it is nameless. Code::full, Code::io.
  Result<std::uint32_t> add(CounterName name);
  // For memory that was given back: what counted there before.
  Status put(std::uint32_t slot, CounterName name);
  bool has_nameless() const { return nameless_; }
  // What counts there is not to be known: it waits, and is shown when the memory ends.
  void keep_nameless(std::uint32_t slot);

  // While the kernel is asked whether anybody writes it, nobody is given a slot of it.
  void set_asked(bool asked) { asked_ = asked; }
  bool is_asked() const { return asked_; }
  // Nobody can write it any more.
  void mark_unused();
  bool is_unused() const { return unused_; }
  // That nothing of it counts any more, for whoever finds it.
  Status mark_done();

  const platform::SharedMemory::Kept& kept() const { return kept_; }
  const platform::SharedMemory::Id& id() const { return kept_.id; }
  const RegionHead& head() const { return head_; }
  std::string page_name(std::uint32_t page) const;
  // Where another one goes on, as of the last reading, into `out` by name.
  void add_cursors(const std::string& boot_id, std::map<std::string, journal::CounterCursor>& out) const;
  std::uint32_t pages() const {
    return static_cast<std::uint32_t>((names_.size() + kPageSlots - 1) / kPageSlots);
  }

 private:
  void reach(std::uint32_t slot);
  bool lacks_names() const;
  bool has_beginning() const;
  void begin(std::uint32_t slot, std::uint64_t value);
  void read(const Reading& reading);
  bool look_at(std::uint32_t slot, const Reading& reading, bool asks_again);
  bool take(std::uint32_t slot, std::uint64_t value, const Reading& reading);
  void store_page(std::uint32_t page, const Reading& reading);
  journal::CounterCursor cursor_of(std::uint32_t page, const std::string& boot_id) const;
  std::uint32_t slots_of(std::uint32_t page) const;
  void refuse(const char* reason, std::uint64_t units);
  void show_faults(const Reading& reading, WallTime before);

  platform::SharedMemory::Kept kept_;
  RegionHead head_;
  std::vector<CounterName> names_;           // by slot; empty: unreadable
  std::vector<std::uint64_t> counted_;       // by slot: so far
  std::vector<std::uint64_t> seen_;          // by slot: at the last reading; above counted_ what waits
  std::bitset<METERD_REGION_SLOTS> begins_;  // nobody knows how far they were counted
  std::bitset<METERD_REGION_SLOTS> found_;   // not read since: what waited then is not told from what is new
  std::array<BootTime, METERD_REGION_SLOTS / kPageSlots> read_at_{};
  std::array<std::uint32_t, METERD_REGION_SLOTS / kPageSlots> stored_{};  // slots in each page's cursor
  BootTime ask_again_at_;  // what waits for its meter is not offered with each window
  WallTime read_wall_;
  std::map<std::string, std::uint64_t> faults_;  // of the reading at hand: units, by reason
  bool of_this_journal_ = true;
  bool holds_back_ = false;
  bool nameless_ = false;
  bool short_ = false;
  bool asked_ = false;
  bool unused_ = false;
};

}  // namespace meterd::source
