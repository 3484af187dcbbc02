#include "agent/journal/journal.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {
namespace {

constexpr std::uint32_t kFormat = 0;
constexpr std::uint32_t kByteOrder = 0x01020304;
constexpr std::uint32_t kWordBits = sizeof(void*) * 8;
constexpr std::size_t kEpochBytes = 16;
constexpr std::size_t kRestoredAtOnce = 1'000;

Error system_error(Code code, const std::string& doing) {
  return {code, doing + ": " + std::strerror(errno)};
}

Result<int> lock(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return system_error(errno == ENOSPC ? Code::full : Code::io, "journal: cannot open " + path);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  const bool in_use = errno == EWOULDBLOCK;
  const Error failed = in_use
                           ? Error{Code::io, "journal: " + path +
                                                 " is already in use by another process; stop that one, or "
                                                 "give this one another [journal] directory"}
                           : system_error(Code::io, "journal: cannot lock " + path);
  ::close(fd);
  return failed;
}

// fsync of the directory: a new data file's name must survive a power cut too.
Status sync_directory(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return system_error(Code::io, "journal: cannot open " + directory);
  const int rc = ::fsync(fd);
  ::close(fd);
  if (rc != 0) return system_error(Code::io, "journal: cannot sync " + directory);
  return {};
}

Status check_stamp(const v0::Stamp& stamp) {
  if (stamp.format() > kFormat)
    return Error{Code::invalid, "journal: written by a newer meterd (format " +
                                    std::to_string(stamp.format()) + ", this one reads up to " +
                                    std::to_string(kFormat) +
                                    "); install that version again; nothing was changed"};
  if (stamp.byte_order() != kByteOrder || stamp.word_bits() != kWordBits)
    return Error{Code::invalid, "journal: written on another architecture (" +
                                    std::to_string(stamp.word_bits()) + "-bit words); nothing was changed"};
  if (stamp.epoch().size() != kEpochBytes) return Error{Code::corrupt, "journal: the stamp has no epoch"};
  return {};
}

}  // namespace

Journal::Journal(JournalOptions options, int lock_fd) : options_(std::move(options)), lock_fd_(lock_fd) {}

Journal::~Journal() {
  environment_.reset();
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Result<std::unique_ptr<Journal>> Journal::open(const JournalOptions& options, const platform::Disk& disk,
                                               platform::Random& random) {
  std::error_code failed;
  std::filesystem::create_directories(options.directory, failed);
  if (failed) return Error{Code::io, "journal: cannot make " + options.directory + ": " + failed.message()};
  if (auto suits = disk.suits_journal(options.directory); !suits) return suits.error();
  auto lock_fd = lock(options.directory + "/meterd.lock");
  if (!lock_fd) return lock_fd.error();
  std::unique_ptr<Journal> journal(new Journal(options, *lock_fd));
  if (auto files = journal->check_files(); !files) return files.error();

  if (auto room = journal->check_room(); !room) return room.error();
  auto environment = Environment::open({options.directory, options.size_max, options.file_check});
  if (!environment) {
    const auto& error = environment.error();
    if (error.code == Code::corrupt)
      return Error{Code::corrupt,
                   "journal: " + options.directory + "/data.mdb is not a readable journal (" + error.message +
                       "); nothing was changed; see what it affects with meterctl fsck --directory " +
                       options.directory + ", then restore a backup or salvage what is readable"};
    const std::string advice = error.code == Code::full ? "; free space there and start again" : "";
    return Error{error.code, "journal: " + options.directory + ": " + error.message + advice};
  }
  journal->environment_ = std::move(*environment);
  if (auto started = journal->start(random); !started) {
    const auto& error = started.error();
    if (error.code != Code::corrupt || error.message.starts_with("journal:")) return error;
    return Error{Code::corrupt, "journal: " + options.directory + "/data.mdb: " + error.message +
                                    "; nothing was changed; restore a backup"};
  }
  return journal;
}

// The lock file remembers that a journal was made here. A data file that vanished or came back empty (a power
// cut on a bad file system, a failed copy) is then an error and not a fresh start under the old name.
Status Journal::check_files() const {
  struct stat marker {};
  struct stat data {};
  if (::fstat(lock_fd_, &marker) != 0) return system_error(Code::io, "journal: cannot look at the lock file");
  const std::string path = options_.directory + "/data.mdb";
  const bool has_data = ::stat(path.c_str(), &data) == 0 && data.st_size > 0;
  if (marker.st_size > 0 && !has_data)
    return Error{Code::invalid,
                 "journal: " + path +
                     " is missing or empty, but a journal was kept here; restore a backup, or remove "
                     "meterd.lock beside it to start afresh"};
  return {};
}

// A new journal needs its reserve from the start; one that has data opens on a full disk too, to deliver it.
Status Journal::check_room() const {
  struct statvfs disk {};
  const bool fresh = !std::filesystem::exists(options_.directory + "/data.mdb");
  if (!fresh || ::statvfs(options_.directory.c_str(), &disk) != 0) return {};
  const auto free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  if (free_bytes >= options_.reserve) return {};
  return Error{Code::full, "journal: " + options_.directory + " has " + std::to_string(free_bytes >> 10U) +
                               " KiB of free space and a new journal needs " +
                               std::to_string(options_.reserve >> 10U) +
                               " KiB (journal.reserve); free space there and start again"};
}

// Nothing is changed unless all of it can be made good in one transaction.
Status Journal::repair() {
  auto txn = environment_->begin_write();
  if (!txn) return txn.error();
  WriteTransaction write(std::move(*txn));
  auto taken = write.take_unreadable();
  if (!taken) return taken.error();
  if (taken->empty()) return {};
  auto stamp = write.stamp();
  if (!stamp) return stamp.error();
  if (auto ok = check_stamp(*stamp); !ok) return ok;
  if (auto s = write.set_taken_aside(*taken); !s) return s;
  WriteTransaction::RestorePlace place;
  for (bool more = true; more;) {
    auto step = write.restore_some(place, kRestoredAtOnce);
    if (!step) return step.error();
    more = *step;
  }
  set_aside_at_open_ = taken->size() - write.healed();
  healed_at_open_ = write.healed();
  return write.commit();
}

Status Journal::start(platform::Random& random) {
  if (environment_->unreadable_records() > 0)
    if (auto repaired = repair(); !repaired) return repaired;
  auto txn = environment_->begin_write();
  if (!txn) return txn.error();
  auto stamp = load<v0::Stamp>(*txn, stamp_key());
  if (!stamp) return stamp.error();
  auto general = load<v0::General>(*txn, general_key());
  if (!general) return general.error();

  const bool fresh = !stamp->has_value();
  if (fresh) {
    bool any = false;
    if (auto s = txn->scan("", "",
                           [&](auto, auto) {
                             any = true;
                             return false;
                           });
        !s)
      return s;
    if (any)
      return Error{Code::corrupt, "journal: data.mdb holds records but no stamp: not a journal of meterd"};
    v0::Stamp made;
    made.set_format(kFormat);
    made.set_word_bits(kWordBits);
    made.set_byte_order(kByteOrder);
    made.set_epoch(random.bytes(kEpochBytes));
    made.set_created_at_ms(options_.now.since_epoch.count());
    if (auto s = store(*txn, stamp_key(), made); !s) return s;
    *stamp = made;
  } else if (auto ok = check_stamp(**stamp); !ok) {
    return ok;
  }

  v0::General state = general->value_or(v0::General{});
  const bool new_boot = state.boot_id() != options_.boot_id || fresh;
  if (new_boot) {
    state.set_boot_number(state.boot_number() + 1);
    state.set_boot_id(options_.boot_id);
    if (state.next_sequence() == 0) state.set_next_sequence(1);
    if (auto s = store(*txn, general_key(), state); !s) return s;
  }
  WriteTransaction write(std::move(*txn), &remembered_ids_);
  if (auto s = write.load_ids(); !s) return s;
  if (!new_boot && !write.set_ids_aside())
    remembered_ids_.set_blocks(write.id_blocks());  // nothing to write
  else if (auto s = write.commit(); !s)
    return s;
  epoch_ = (*stamp)->epoch();
  boot_number_ = state.boot_number();
  if (state.trusted_boot() == boot_number_) trusted_offset_ = Milliseconds(state.trusted_offset_ms());
  last_trusted_ = WallTime{Milliseconds(state.last_trusted_ms())};

  return mark_directory();
}

// Once, after the data file holds a journal: a power cut before the mark is made good at the next start, and
// a restored backup is marked at its first.
Status Journal::mark_directory() const {
  struct stat marker {};
  if (::fstat(lock_fd_, &marker) != 0) return system_error(Code::io, "journal: cannot look at the lock file");
  if (marker.st_size > 0) return {};
  if (auto s = sync_directory(options_.directory); !s) return s;
  constexpr std::string_view kMark = "a meterd journal is kept here\n";
  if (::write(lock_fd_, kMark.data(), kMark.size()) != static_cast<ssize_t>(kMark.size()) ||
      ::fsync(lock_fd_) != 0)
    return system_error(errno == ENOSPC ? Code::full : Code::io, "journal: cannot write the lock file");
  return {};
}

Result<Space> Journal::space() const {
  auto use = environment_->space();
  if (!use) return use.error();
  Space space{*use, 0, 0};
  auto txn = environment_->begin_read();
  if (!txn) return txn.error();
  auto counted = txn->scan(prefix(Kind::seal_due), "", [&](auto, auto) {
    ++space.open_buckets;
    return true;
  });
  if (!counted) return counted.error();
  const auto kept = std::max(options_.reserve, kRoomPerOpenBucket * (space.open_buckets + 1));
  space.watermark_bytes = use->map_bytes - std::min(use->map_bytes, kept);
  return space;
}

Status Journal::keep_reserve() { return environment_->preallocate(options_.reserve); }

}  // namespace meterd::journal
