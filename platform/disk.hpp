// The file system below the journal: its kind and its free space. Both calls are quick and may be made
// anywhere.
#pragma once

#include <cstdint>
#include <string>

#include "agent/base/result.hpp"

namespace meterd::platform {

class Disk {
 public:
  virtual ~Disk() = default;
  // Refuses, with what to do, a file system on which LMDB cannot be crash-safe (JFFS2, NFS, 9p, CIFS).
  virtual Status suits_journal(const std::string& directory) const = 0;
};

}  // namespace meterd::platform
