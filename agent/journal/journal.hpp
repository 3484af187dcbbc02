// The journal: the LMDB environment that holds everything. Opening it never deletes, renames or resets data:
// what cannot be opened is an error that says what to do. Format: FORMAT.md. Threads: open() before the
// others start; write() on the journal thread; read() on the reader thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "agent/base/ids.hpp"
#include "agent/base/result.hpp"
#include "agent/base/usage_day.hpp"
#include "agent/journal/lineage.hpp"
#include "agent/journal/lmdb.hpp"
#include "agent/journal/lock.hpp"
#include "agent/journal/remembered_ids.hpp"
#include "platform/disk.hpp"
#include "platform/random.hpp"

namespace meterd::journal {

struct JournalOptions {
  std::string directory;
  std::uint64_t size_max = 64ULL << 20;
  std::uint64_t reserve = 8ULL << 20;
  std::string boot_id;       // of the present boot
  WallTime now;              // for the stamp of a new journal only
  std::string machine = {};  // 16 characters that other devices do not have; empty: unknown
  std::string device = {};   // what the ids of its usages will begin with (meter::device_prefix)
  FileCheck file_check = FileCheck::in_child;
};

enum class CopyForm : std::uint8_t {
  file,      // LMDB's: for machines of this architecture
  portable,  // a stream (portable.hpp): for all of them
};

// What a bucket needs on its way to a receipt (measured in journal_test with a 300-byte request): its usage,
// the indexes, and the pages that copy-on-write holds meanwhile.
inline constexpr std::uint64_t kRoomPerOpenBucket = 2'048;

// And what a bucket that is not open yet takes beside that, at once: its balance and its place among the
// seals.
inline constexpr std::uint64_t kRoomPerNewBucket = kRoomPerOpenBucket + 512;

struct Space {
  SpaceUse use;
  std::uint64_t watermark_bytes =
      0;  // new keys are refused above it: what is beyond belongs to seal, send and settle
  std::uint64_t open_buckets = 0;
  std::uint64_t room_bytes() const {
    return use.used_bytes > watermark_bytes ? 0 : watermark_bytes - use.used_bytes;
  }
  std::uint64_t new_buckets() const { return room_bytes() / kRoomPerNewBucket; }
  // From here on something new is refused: callers of the Usages API have half of the room.
  bool above_watermark() const { return new_buckets() < 2; }
};

class Journal {
 public:
  // Code::full: the disk is full; Code::io with "already in use" when another process has it; Code::invalid
  // for a newer format, another architecture or a missing file where a journal was; Code::corrupt when
  // unreadable.
  static Result<std::unique_ptr<Journal>> open(const JournalOptions& options, const platform::Disk& disk,
                                               platform::Random& random);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  Result<Transaction> begin_write() { return environment_->begin_write(); }
  Result<Transaction> begin_read() const {
    ++reads_;
    return environment_->begin_read();
  }
  // How often it was read. Each read marks LMDB's mapped lock file, which the kernel then writes to the disk:
  // so nothing is read while nothing is written.
  std::uint64_t reads() const { return reads_; }

  const std::string& epoch() const { return epoch_; }         // 16 bytes, made with the journal
  std::uint32_t boot_number() const { return boot_number_; }  // rises with each boot that opened it
  WallTime last_trusted_at_open() const { return last_trusted_; }
  // Wall time minus time since boot when the clock was last trusted; nullopt: not yet in this boot.
  std::optional<Milliseconds> trusted_offset_at_open() const { return trusted_offset_; }
  // Which event ids are known. Journal thread.
  RememberedIds& remembered_ids() { return remembered_ids_; }
  const std::string& directory() const { return options_.directory; }
  // Records that could not be read when it was opened, and were set aside then.
  std::size_t set_aside_at_open() const { return set_aside_at_open_; }
  std::size_t healed_at_open() const { return healed_at_open_; }  // only their keys were damaged
  // The earlier format that this open() migrated it from; nullopt: it was of the present one.
  std::optional<std::uint32_t> migrated_from() const { return migrated_from_; }
  // How often it was found to be a copy, and what follows for ids: constant after open().
  const Lineage& lineage() const { return lineage_; }
  // What the ids of the original's usages begin with, if it is a copy; empty: not known.
  const std::string& kept_by() const { return kept_by_; }
  // Why this open() took it for a copy; empty: it did not.
  const std::string& found_copied() const { return copy_reason_; }

  // A copy of what is committed now: see Environment::copy_to(); of either form the same. Any thread.
  Status copy_to(int fd, CopyForm form = CopyForm::file) const;

  // Any thread. Costs a walk of the free list and of the open buckets.
  Result<Space> space() const;
  // Keeps `reserve` bytes of disk beyond what is used. Journal thread. Code::full when the disk has no room:
  // the daemon goes on within what it has.
  Status keep_reserve();

 private:
  Journal(JournalOptions options, DirectoryLock lock);
  Status start(const std::string& directory, platform::Random& random);
  Status repair();
  Status check_files();
  Status check_room() const;
  bool is_new() const;
  Status make_aside(platform::Random& random);
  Status mark_directory();
  Status note_commit();

  JournalOptions options_;
  DirectoryLock lock_;  // outlives the environment
  Mark mark_;           // as it was at the start, then as it was written
  Identity identity_;   // of the data file, at the start
  std::string copy_reason_, kept_by_;
  Lineage lineage_;
  std::unique_ptr<Environment> environment_;
  std::string epoch_;
  std::uint32_t boot_number_ = 0;
  WallTime last_trusted_;
  RememberedIds remembered_ids_;
  std::size_t set_aside_at_open_ = 0;
  std::size_t healed_at_open_ = 0;
  std::optional<std::uint32_t> migrated_from_;
  mutable std::atomic<std::uint64_t> reads_{0};
  std::optional<Milliseconds> trusted_offset_;
};

}  // namespace meterd::journal
