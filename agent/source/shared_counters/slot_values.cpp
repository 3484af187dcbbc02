#include "agent/source/shared_counters/slot_values.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "agent/libmeter/protocol.h"

namespace meterd::source {
namespace {

constexpr int kPassesMax = 8;
constexpr std::uint64_t kLower = 0xffff'ffff;

}  // namespace

void SlotValues::read(const Read& read, std::span<const std::uint64_t> before, bool thorough) {
  bytes_.resize(before.size() * METERD_SLOT_BYTES);
  size_ = static_cast<std::uint32_t>(before.size());
  auto first = pass(read);
  values_.assign(first.begin(), first.end());
  if (!thorough && std::equal(first.begin(), first.end(), before.begin())) return;
  std::fill(values_.begin(), values_.end(), std::nullopt);
  auto second = pass(read);
  for (int passes = 3; passes <= kPassesMax; ++passes) {
    const auto third = pass(read);
    bool whole = true;
    for (std::uint32_t slot = 0; slot < size_; ++slot) {
      if (!values_[slot] && (first[slot] & ~kLower) == (third[slot] & ~kLower))
        values_[slot] = (first[slot] & ~kLower) | (second[slot] & kLower);
      whole &= values_[slot].has_value();
    }
    if (whole) return;
    first = std::exchange(second, third);
  }
}

std::vector<std::uint64_t> SlotValues::pass(const Read& read) {
  const auto got = read(bytes_);
  // A processor may not bring a later reading forward.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  size_ = std::min(size_, static_cast<std::uint32_t>(got ? *got / METERD_SLOT_BYTES : 0));
  std::vector<std::uint64_t> out(size_);
  for (std::uint32_t slot = 0; slot < size_; ++slot)
    std::memcpy(&out[slot], bytes_.data() + std::size_t{slot} * METERD_SLOT_BYTES, sizeof out[slot]);
  return out;
}

}  // namespace meterd::source
