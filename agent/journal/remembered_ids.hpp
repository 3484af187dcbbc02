// Which event ids the journal remembers. The truth is in its blocks (FORMAT.md): hashes in the order of their
// coming, up to 254 a record, so that a commit appends and an old day goes in large pieces; a tree keyed by
// the hash would touch a page for each event. To find a hash among them there is this index, in memory: ten
// to twenty bytes an id, built when the journal is opened. It may name a block in vain, and never misses one.
// Journal thread, but for the first load.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "agent/meter/identity.hpp"

namespace meterd::journal {

class RememberedIds {
 public:
  // Which blocks there are: [oldest, next). A write transaction works on a copy and gives it back when it is
  // committed; entries of blocks that were never committed are outside of it, or point in vain.
  struct Blocks {
    std::uint32_t oldest = 1;
    std::uint32_t next = 1;
    std::uint32_t undated = 0;  // the first one that may still have no day; 0: none
    std::uint64_t ids = 0;
    bool hold(std::uint32_t block) const { return block >= oldest && block < next; }
  };
  const Blocks& blocks() const { return blocks_; }
  void set_blocks(const Blocks& blocks) { blocks_ = blocks; }

  // Whether `holds(block)` is true for a block that may have the hash.
  template <class Holds>
  bool find(const meter::EventHash& hash, const Blocks& blocks, Holds&& holds) const {
    if (table_.empty()) return false;
    const auto tag = tag_of(hash);
    for (std::size_t at = tag & mask();; at = (at + 1) & mask()) {
      const Entry& entry = table_[at];
      if (entry.block == 0) return false;
      if (entry.tag == tag && blocks.hold(entry.block) && holds(entry.block)) return true;
    }
  }
  // Has the place of the hash in the processor's cache by the time that find() is called.
  void prefetch(const meter::EventHash& hash) const {
    if (!table_.empty()) __builtin_prefetch(&table_[tag_of(hash) & mask()]);
  }
  void insert(const meter::EventHash& hash, std::uint32_t block, const Blocks& blocks);
  std::size_t used_entries() const { return used_; }

 private:
  struct Entry {
    std::uint32_t tag = 0;
    std::uint32_t block = 0;  // 0: empty
  };
  static std::uint32_t tag_of(const meter::EventHash& hash);
  std::size_t mask() const { return table_.size() - 1; }
  void put(Entry entry, const Blocks& blocks);
  void make_room(const Blocks& blocks);

  Blocks blocks_;
  std::vector<Entry> table_;  // open addressing; a power of two, at most 4/5 used
  std::size_t used_ = 0;      // entries whose block may have gone included
};

}  // namespace meterd::journal
