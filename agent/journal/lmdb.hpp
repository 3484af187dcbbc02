// LMDB as the journal needs it: one unnamed database, transactions confined to a scope. The only file that
// includes lmdb.h is lmdb.cpp. Default flags: every commit is durable when commit() returns.
// A write transaction belongs to the journal thread; read transactions may be made on any one thread at a
// time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/result.hpp"
#include "agent/journal/file_check.hpp"

struct MDB_env;
struct MDB_txn;

namespace meterd::journal {

// Ends without effect unless commit() is called. Views that it returns live until the transaction's next
// write or its end. Never lives across a co_await.
class Transaction {
 public:
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  Result<std::optional<std::string_view>> get(std::string_view key) const;
  Status put(std::string_view key, std::string_view value);
  Status append(std::string_view key,
                std::string_view value);  // Code::corrupt: not behind all that are there
  Status erase(std::string_view key);     // fine if there is none

  // Calls `visit(key, value)` for keys at or after `from` that start with `prefix`, in order, until it
  // returns false. No writes inside the visit.
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  Status scan(std::string_view prefix, std::string_view from, const Visit& visit) const;

  // The same backwards, from the last key before `before`; empty: from the last of them.
  Status scan_back(std::string_view prefix, std::string_view before, const Visit& visit) const;

  // Removes the records that `wanted` names, by their place and not by their key: after damage keys may be
  // out of order, and a look-up would miss them. Code::corrupt if what is left is still not in order.
  Status take(const std::function<bool(std::string_view key, std::string_view value)>& wanted,
              std::vector<std::pair<std::string, std::string>>& taken);

  // Of keys and values that were put, those put again counted again.
  std::uint64_t bytes_put() const { return bytes_put_; }

  // Code::full: no space in the map or on the disk; Code::io: the disk refused, the process should end.
  Status commit();

  // Whether it changed records whose key begins with this capital letter.
  bool changed(char letter) const { return (changed_ & bit_of(letter)) != 0; }

 private:
  friend class Environment;
  Transaction(MDB_env* env, MDB_txn* txn) : env_(env), txn_(txn) {}
  static std::uint32_t bit_of(char letter) { return 1U << (static_cast<unsigned>(letter - 'A') % 32U); }
  void note_change(std::string_view key) { changed_ |= bit_of(key.front()); }
  MDB_env* env_ = nullptr;
  MDB_txn* txn_ = nullptr;
  std::uint32_t changed_ = 0;  // bit 0: 'A'
  std::uint64_t bytes_put_ = 0;
};

struct SpaceUse {
  std::uint64_t map_bytes = 0;
  std::uint64_t used_bytes = 0;  // pages in use; free pages inside the file do not count
  std::uint64_t file_bytes = 0;  // how far the file has grown
};

class Environment {
 public:
  struct Options {
    std::string directory;
    std::uint64_t map_bytes = 0;
    FileCheck file_check = FileCheck::in_child;
  };
  // Before LMDB touches the file, its pages are walked (file_check.hpp): Code::corrupt for damaged structure
  // and for a file that was cut short.
  static Result<std::unique_ptr<Environment>> open(const Options& options);
  // A data file by itself, whatever its name, for reading. No other process may write it meanwhile.
  static Result<std::unique_ptr<Environment>> open_read_only(const std::string& data_path);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  // How many records failed their checksum before it was opened.
  std::uint64_t unreadable_records() const { return unreadable_records_; }

  Result<Transaction> begin_write();
  Result<Transaction> begin_read() const;

  // The number of the last commit: rises by one with each, and never falls within one file. Any thread.
  std::uint64_t last_commit() const;
  // Returns once everything that was committed is on the disk, whoever committed it.
  Status sync();
  // Streams a compacted copy of what is committed now into `fd`, until it is whole. Takes no lock that a
  // commit wants, but keeps the pages that it reads from being used again. Blocks while the other end does
  // not read; Code::cancelled when that end is closed. Any thread.
  Status copy_to(int fd) const;

  // Walks the free list: costs more the more is free. Any thread.
  Result<SpaceUse> space() const;
  // Makes sure that `bytes` beyond what is used exist on the disk, so that a full disk cannot stop a commit.
  Status preallocate(std::uint64_t bytes);

 private:
  Environment(MDB_env* env, std::uint64_t unreadable_records)
      : env_(env), unreadable_records_(unreadable_records) {}
  MDB_env* env_;
  std::uint64_t unreadable_records_;
};

}  // namespace meterd::journal
