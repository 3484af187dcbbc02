// Directories and names that outlive a power cut: what was made, renamed or removed is on the disk only once
// the directory that holds the name was synced.
#pragma once

#include <string>

#include "agent/base/result.hpp"

namespace meterd::journal {

// errno, with what was being done.
Error system_error(Code code, const std::string& doing);

// Makes the directory and those above it that are missing. Code::io; Code::full when the disk has no room.
Status make_directory(const std::string& directory);
Status sync_directory(const std::string& directory);

}  // namespace meterd::journal
