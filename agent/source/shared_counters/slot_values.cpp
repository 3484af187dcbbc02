#include "agent/source/shared_counters/slot_values.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "agent/libmeter/protocol.h"

namespace meterd::source {
namespace {

constexpr int kPassesMax = 8;
constexpr std::uint64_t kLower = 0xffff'ffff;

}  // namespace

void SlotValues::read(const Read& read, std::span<const std::uint64_t> before, bool thorough) {
  bytes_.resize(before.size() * METERD_SLOT_BYTES);
  size_ = static_cast<std::uint32_t>(before.size());
  read_into(first_, read);
  values_.assign(first_.begin(), first_.end());
  if (!thorough && std::equal(first_.begin(), first_.end(), before.begin())) return;
  std::fill(values_.begin(), values_.end(), std::nullopt);
  read_into(second_, read);
  for (int passes = 3; passes <= kPassesMax; ++passes) {
    read_into(third_, read);
    bool whole = true;
    for (std::uint32_t slot = 0; slot < size_; ++slot) {
      if (!values_[slot] && (first_[slot] & ~kLower) == (third_[slot] & ~kLower))
        values_[slot] = (first_[slot] & ~kLower) | (second_[slot] & kLower);
      whole &= values_[slot].has_value();
    }
    if (whole) return;
    first_.swap(second_);
    second_.swap(third_);
  }
}

void SlotValues::read_into(Pass& pass, const Read& read) {
  const auto got = read(bytes_);
  // A processor may not bring a later reading forward.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  size_ = std::min(size_, static_cast<std::uint32_t>(got ? *got / METERD_SLOT_BYTES : 0));
  pass.resize(size_);
  for (std::uint32_t slot = 0; slot < size_; ++slot)
    std::memcpy(&pass[slot], bytes_.data() + std::size_t{slot} * METERD_SLOT_BYTES, sizeof pass[slot]);
}

}  // namespace meterd::source
