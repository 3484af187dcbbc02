// Readings that are copied word by word while an app adds.
#include "agent/source/shared_counters/slot_values.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "agent/libmeter/protocol.h"

namespace meterd::source {
namespace {

// An app that adds between any two words that the kernel copies of its one slot, in either order.
class BusySlot {
 public:
  BusySlot(unsigned seed, std::uint64_t start, std::uint64_t most)
      : random_(seed), value(start), most_(most) {}
  SlotValues::Read read() {
    return [this](std::span<char> into) {
      std::memset(into.data(), 0, into.size());
      const std::size_t first = random_() % 2 * 4;
      for (const auto at : {first, 4 - first}) {
        add();
        std::memcpy(into.data() + at, reinterpret_cast<const char*>(&value) + at, 4);
      }
      add();
      return Result<std::size_t>(into.size());
    };
  }

 private:
  void add() { value += random_() % (most_ + 1); }
  std::mt19937 random_;

 public:
  std::uint64_t value;

 private:
  std::uint64_t most_;
};

struct Outcome {
  int torn = 0, nothing = 0;
};
template <class Reading>
Outcome readings(const Reading& reading, std::uint64_t most) {
  Outcome out;
  for (unsigned seed = 0; seed < 2'000; ++seed) {
    BusySlot slot(seed, 0xffff'fff0, most);
    const auto before = slot.value;
    const std::optional<std::uint64_t> value = reading(slot);
    out.nothing += value ? 0 : 1;
    out.torn += value && (*value < before || *value > slot.value) ? 1 : 0;
  }
  return out;
}

std::optional<std::uint64_t> whole(BusySlot& slot) {
  SlotValues values;
  const std::uint64_t before = slot.value;
  values.read(slot.read(), {&before, 1}, false);
  EXPECT_EQ(values.size(), 1U);
  return values.at(0);
}
std::optional<std::uint64_t> at_once(BusySlot& slot) {
  char bytes[METERD_SLOT_BYTES];
  (void)slot.read()(bytes);
  std::uint64_t out = 0;
  std::memcpy(&out, bytes, sizeof out);
  return out;
}

TEST(SlotValues, AreNeverHalfOfBeforeAnAdditionAndHalfOfAfter) {
  for (const std::uint64_t most : {std::uint64_t{16}, std::uint64_t{1} << 31, std::uint64_t{1} << 34}) {
    EXPECT_EQ(readings(whole, most).torn, 0) << most;
  }
  EXPECT_GT(readings(whole, std::uint64_t{1} << 34).nothing, 1'000) << "what changes too fast is left";
  EXPECT_EQ(readings(whole, 16).nothing, 0);
}

TEST(SlotValues, OfOneReadingWouldBeTorn) { EXPECT_GT(readings(at_once, 16).torn, 0); }

TEST(SlotValues, AreReadOnceWhereNothingIsNew) {
  std::vector<std::uint64_t> memory(2 * METERD_SLOT_BYTES / 8);
  memory[0] = 7;
  int times = 0;
  std::size_t size = memory.size() * 8;
  const SlotValues::Read read = [&](std::span<char> into) {
    ++times;
    const auto got = std::min(size, into.size());
    std::memcpy(into.data(), memory.data(), got);
    return Result<std::size_t>(got);
  };
  SlotValues values;
  const std::vector<std::uint64_t> before{7, 0};
  values.read(read, before, false);
  EXPECT_EQ(times, 1);
  EXPECT_EQ(values.at(0), 7U);
  values.read(read, before, true);
  EXPECT_EQ(times, 4);
  memory[METERD_SLOT_BYTES / 8] = 9;
  values.read(read, before, false);
  EXPECT_EQ(times, 7);
  EXPECT_EQ(values.at(1), 9U);
  size = METERD_SLOT_BYTES + 8;  // cut short
  values.read(read, before, false);
  EXPECT_EQ(values.size(), 1U);
}

}  // namespace
}  // namespace meterd::source
