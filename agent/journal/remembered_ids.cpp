#include "agent/journal/remembered_ids.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace meterd::journal {

namespace {
constexpr std::size_t kSmallest = 256;
}

// The hash is uniform: any four bytes of it do.
std::uint32_t RememberedIds::tag_of(const meter::EventHash& hash) {
  std::uint32_t tag = 0;
  for (std::size_t i = 0; i < 4; ++i) tag = tag << 8U | hash[i];
  return tag;
}

void RememberedIds::insert(const meter::EventHash& hash, std::uint32_t block, const Blocks& blocks) {
  if ((used_ + 1) * 5 > table_.size() * 4) make_room(blocks);
  put({tag_of(hash), block}, blocks);
}

// Into the first place that is empty or whose block has gone. Once is enough: whoever looks reads the whole
// block. What an aborted transaction put here is met again when it is repeated.
void RememberedIds::put(Entry entry, const Blocks& blocks) {
  std::size_t at = entry.tag & mask();
  for (; table_[at].block != 0 && blocks.hold(table_[at].block); at = (at + 1) & mask())
    if (table_[at].tag == entry.tag && table_[at].block == entry.block) return;
  used_ += table_[at].block == 0 ? 1 : 0;
  table_[at] = entry;
}

void RememberedIds::make_room(const Blocks& blocks) {
  const auto live = static_cast<std::size_t>(std::count_if(
      table_.begin(), table_.end(), [&](const Entry& entry) { return blocks.hold(entry.block); }));
  const auto old = std::exchange(table_, {});
  table_.resize(std::bit_ceil(std::max(kSmallest, (live + live / 16 + 1) * 5 / 4)));
  used_ = 0;
  for (const Entry& entry : old)
    if (blocks.hold(entry.block)) put(entry, blocks);
}

}  // namespace meterd::journal
