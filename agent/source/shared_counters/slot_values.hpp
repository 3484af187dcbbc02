// What the slots of a region hold, read from its file. The kernel copies a slot's eight bytes one word after
// the other where the processor has words of four (and promises no more anywhere), while its app adds: one
// half may be older than the other, which is 2^32 units of error. So what changed is read three times: an
// upper half that is the same in the first and the third reading was that throughout, and the lower half of
// the second belongs to it. Counters rise, so that no other one came between.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "agent/base/result.hpp"

namespace meterd::source {

class SlotValues {
 public:
  // Of a region's first bytes; how many there were.
  using Read = std::function<Result<std::size_t>(std::span<char> into)>;

  // As many slots as `before` has values: those of an earlier reading. Where no slot has another than that,
  // once is enough, unless `thorough`, for values that are none of an earlier reading.
  void read(const Read& read, std::span<const std::uint64_t> before, bool thorough);
  // So many slots there are: less than were asked for if the file is shorter.
  std::uint32_t size() const { return size_; }
  // nullopt: its upper half changed with each reading. With the next one, then.
  std::optional<std::uint64_t> at(std::uint32_t slot) const { return values_[slot]; }

 private:
  using Pass = std::vector<std::uint64_t>;
  void read_into(Pass& pass, const Read& read);

  std::vector<char> bytes_;
  Pass first_, second_, third_;
  std::vector<std::optional<std::uint64_t>> values_;
  std::uint32_t size_ = 0;
};

}  // namespace meterd::source
