// What the slots of a region count: who made it, and event and subscription of each. In memory beside the
// region's own that only meterd has: written before a slot is handed out, so that a meterd that is killed
// knows at its next start what every unit is, at no cost of flash. (The journal would cost a commit for each
// registration, the app's own memory could not be trusted.)
//
// Records of kRecordBytes at fixed places, so that damage to one does not reach another: two bytes of length,
// then a journal record's checksum and payload.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/usage_day.hpp"
#include "agent/libmeter/protocol.h"
#include "platform/shared_memory.hpp"

namespace meterd::source {

struct CounterName {
  std::string event, subscription;
  auto operator<=>(const CounterName&) const = default;
};

struct RegionHead {
  std::uint32_t user = 0;
  platform::SharedMemory::Id client{};
  // Of whom it is: what none of its cursors has was never counted. Empty for memory that was given back: of
  // what no cursor has, nobody knows how far it was counted.
  std::string journal;
  BootTime made_at;   // of the boot in which it was made
  bool done = false;  // all of it is counted and committed: what is found of it is waste
  bool operator==(const RegionHead&) const = default;
};

struct RegionNames {
  std::optional<RegionHead> head;  // nullopt: unreadable
  std::vector<CounterName> slots;  // an unreadable one is empty
  bool damaged = false;            // a slot of them is unreadable
  bool unused = false;             // nothing was ever written: nobody was given the memory
};

inline constexpr std::size_t kRecordBytes = 256;
inline constexpr std::size_t kNamesBytes = kRecordBytes * (1 + METERD_REGION_SLOTS);

std::string head_record(const platform::SharedMemory::Id& region, const RegionHead& head);
std::string slot_record(const platform::SharedMemory::Id& region, std::uint32_t slot,
                        const CounterName& name);

RegionNames read_names(const platform::SharedMemory::Kept& kept);

}  // namespace meterd::source
