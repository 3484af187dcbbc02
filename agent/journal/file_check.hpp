// Whether a data file may be given to LMDB, asked before LMDB touches it (page_walk.hpp). The walk runs in a
// child process: whatever it costs or meets ends with the child. Call it while the process has one thread.
#pragma once

#include <cstdint>
#include <string>

#include "agent/base/result.hpp"

namespace meterd::journal {

enum class FileCheck : std::uint8_t {
  in_child,
  here,  // the same walk without the child: for tests that open thousands of journals
  none,  // for negative controls only
};

struct CheckedFile {
  std::uint64_t unreadable_records = 0;  // to be set aside before anything relies on the rest
};

// What is said of a journal of machines whose words have that many bits, and what to do.
std::string of_another_architecture(std::uint64_t word_bits);

// Of a file that is not empty. Code::corrupt: its structure is damaged, with the place; Code::invalid: of
// another architecture; Code::io: it could not be read. Changes nothing.
Result<CheckedFile> check_file(const std::string& path, FileCheck how);

}  // namespace meterd::journal
