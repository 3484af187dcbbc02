// What this process uses of the system. Quick, and any thread may ask.
#pragma once

#include <malloc.h>

#include <cstdint>
#include <optional>

#include "agent/base/usage_day.hpp"

namespace meterd::platform {

struct ProcessUse {
  // Bytes that this process caused to be sent to block devices since it began, the file system's own records
  // apart. nullopt: this kernel does not count them.
  std::optional<std::uint64_t> written_bytes;
  std::uint64_t resident_bytes = 0;
  Microseconds cpu{};  // user and system time
  std::uint64_t open_files = 0;
  std::uint64_t open_files_max = 0;
};

// After something large: what is free goes back to the system. Milliseconds.
inline void give_memory_back() { ::malloc_trim(0); }

class Process {
 public:
  virtual ~Process() = default;
  virtual ProcessUse use() const = 0;
};

}  // namespace meterd::platform
