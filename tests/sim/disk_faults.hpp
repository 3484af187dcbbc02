// The disk below LMDB in a simulation: its system calls are wrapped at link time (see CMakeLists.txt), so
// that the real journal meets a disk that is full or broken. One for the process, as the calls are.
//
//   full     what the file has no block for is refused with ENOSPC, now and then after half of it was
//   written; what
//            has its blocks, the preallocated ones included, is written. So do ext4 and xfs.
//   cramped  every write is refused with ENOSPC: so do file systems that never write in place.
//   broken   the next call of a kind fails with EIO, once.
#pragma once

#include <cstdint>

namespace meterd::sim {

struct DiskFaults {
  enum class Room { enough, full, cramped };
  enum class Break { none, write, sync };
  Room room = Room::enough;
  Break next = Break::none;
  bool halve = false;         // a refused write writes half first
  std::uint64_t refused = 0;  // calls that met no room
  std::uint64_t broken = 0;   // calls that failed with EIO
  static DiskFaults& of_process();
};

}  // namespace meterd::sim
