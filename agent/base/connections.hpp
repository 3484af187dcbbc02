// What a server has done with its connections since it started.
#pragma once

#include <cstdint>

namespace meterd {

struct ConnectionStats {
  std::uint64_t open = 0;          // now
  std::uint64_t accepted = 0;      // those of `open` and all that were
  std::uint64_t refused_full = 0;  // no place, and none that could be made
  std::uint64_t refused_peer = 0;  // [access] does not allow the peer
  std::uint64_t displaced = 0;     // idle, and closed to make a place
  std::uint64_t late = 0;          // closed in the middle of something that took too long
};

}  // namespace meterd
