// meterd.lock: the lock of a journal's directory, and the mark in it: what it remembers of the data file
// beside it. By the mark a start tells its own journal from a copy of one (restored, cloned, put back by
// hand) and from a lost one. FORMAT.md has the text. Any one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/result.hpp"

namespace meterd::journal {

// What tells a data file from a copy of it. Nothing in it rises without a commit that is on the disk.
struct Identity {
  std::uint64_t inode = 0;
  std::int64_t born_ns = 0;  // when the file was made, as its file system has it; 0: it does not say
  std::string machine;       // 16 characters; empty: unknown
  std::uint64_t commit = 0;  // LMDB's number of a commit that is in it; never falls in one and the same file
  std::string epoch;         // the journal's, 32 hexadecimal digits
  std::uint32_t format = 0;  // the journal's, for who decides whether to install another version; 0: not said
};

struct Mark {
  bool kept = false;      // a journal was made or put here: a missing data file is a lost one
  bool restored = false;  // put here by a restore, and not opened since
  std::optional<Identity> identity = {};
};

class DirectoryLock {
 public:
  DirectoryLock() = default;  // holds nothing
  // Held until the object goes. Code::io with "already in use" when another process has it.
  static Result<DirectoryLock> take(const std::string& directory);
  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&& other) noexcept;
  ~DirectoryLock();

  Result<Mark> read() const;
  // Nothing was ever kept in the directory, and nothing but the lock's file is in it, as far as can be seen.
  bool is_alone() const;
  // On the disk when it returns, the directory's entries included. Code::full when the disk is.
  Status write(const Mark& mark) const;
  // To whom the directory belongs: who restores may be another user than who runs meterd. Does nothing for a
  // user that may not.
  Status give_to_owner() const;

 private:
  DirectoryLock(std::string directory, int fd) : directory_(std::move(directory)), fd_(fd) {}
  std::string directory_;
  int fd_ = -1;
};

std::string hex_of(std::string_view bytes);
std::string text_of(const Mark& mark);
// Of the directory, without its lock: for who only looks.
Mark read_mark(const std::string& directory);
std::optional<std::string> bytes_of(std::string_view hex);
// A second line that cannot be read is none: a mark says at least that a journal was kept.
Mark parse_mark(std::string_view text);

// The identity of the file but for commit and epoch.
Result<Identity> identify(const std::string& data_path);

// Why the data file is a copy and not the one that the mark was written for; empty: it is that one, as far as
// can be seen. A mark without an identity (of an older meterd) gives no reason.
std::string copy_reason(const Mark& mark, const Identity& now);

}  // namespace meterd::journal
