// Directories and names that outlive a power cut: what was made, renamed or removed is on the disk only once
// the directory that holds the name was synced.
#pragma once

#include <string>
#include <vector>

#include "agent/base/result.hpp"

namespace meterd::journal {

// errno, with what was being done.
Error system_error(Code code, const std::string& doing);

// Makes the directory and those above it that are missing. Code::io; Code::full when the disk has no room.
Status make_directory(const std::string& directory);
Status sync_directory(const std::string& directory);

// Whether the path is still the open file's: neither removed nor given to another file. Follows no link.
bool is_at(int fd, const std::string& path);

// A directory that is there, made with those above it that are missing: who then fails leaves nothing behind.
class NewDirectory {
 public:
  static Result<NewDirectory> make(const std::string& directory);
  // When it was looked at; others may have come in between.
  bool was_empty() const { return was_empty_; }
  // Those that were made, as far as nothing is in them.
  void take_back() const;

 private:
  std::vector<std::string> made_;  // the deepest first
  bool was_empty_ = false;
};

}  // namespace meterd::journal
