#include "agent/journal/journal.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>

#include "agent/journal/files.hpp"
#include "agent/journal/lineage.hpp"
#include "agent/journal/migrate.hpp"
#include "agent/journal/portable.hpp"
#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {
namespace {

constexpr std::uint32_t kByteOrder = 0x01020304;
constexpr std::uint32_t kWordBits = sizeof(void*) * 8;
constexpr std::size_t kEpochBytes = 16;
constexpr std::size_t kRestoredAtOnce = 1'000;

Error explained(const Error& error, const std::string& directory) {
  if (error.code == Code::corrupt)
    return {Code::corrupt, "journal: " + directory + "/data.mdb is not a readable journal (" + error.message +
                               "); nothing was changed; see what it affects with meterctl fsck --directory " +
                               directory + ", then restore a backup or salvage what is readable"};
  const std::string advice = error.code == Code::full ? "; free space there and start again" : "";
  return {error.code, "journal: " + directory + ": " + error.message + advice};
}

}  // namespace

v0::Stamp make_stamp(const std::string& epoch, WallTime now) {
  v0::Stamp made;
  made.set_format(kFormat);
  made.set_word_bits(kWordBits);
  made.set_byte_order(kByteOrder);
  made.set_epoch(epoch);
  made.set_created_at_ms(now.since_epoch.count());
  made.set_needs(kFormatNeeds);
  return made;
}

Status check_stamp(const v0::Stamp& stamp) {
  if (stamp.format() > kFormat)
    return Error{Code::invalid,
                 "journal: written by a newer meterd, in format " + std::to_string(stamp.format()) +
                     "; this one reads formats up to " + std::to_string(kFormat) +
                     " and cannot go back; install meterd " +
                     (stamp.needs().empty() ? "as new as that" : stamp.needs() + " or a later one") +
                     ", or restore a backup of before the upgrade; nothing was changed"};
  if (stamp.byte_order() != kByteOrder || stamp.word_bits() != kWordBits)
    return Error{Code::invalid,
                 "journal: " + of_another_architecture(stamp.word_bits()) + "; nothing was changed"};
  if (stamp.epoch().size() != kEpochBytes) return Error{Code::corrupt, "journal: the stamp has no epoch"};
  return {};
}

namespace {

// Of a data file that holds nothing so far.
Result<v0::Stamp> first_stamp(Transaction& txn, WallTime now, platform::Random& random) {
  bool any = false;
  auto scanned = txn.scan("", "", [&any](auto, auto) {
    any = true;
    return false;
  });
  if (!scanned) return scanned.error();
  if (any)
    return Error{Code::corrupt, "journal: data.mdb holds records but no stamp: not a journal of meterd"};
  auto made = make_stamp(random.bytes(kEpochBytes), now);
  if (auto stored = store(txn, stamp_key(), made); !stored) return stored.error();
  return made;
}

// Whether there is anything in it that may have been, or may be, billed.
Result<bool> has_counted(const Transaction& txn, const v0::General& general) {
  if (general.next_sequence() > 1) return true;
  bool any = false;
  for (const Kind kind : {Kind::balance, Kind::slice}) {
    auto scanned = txn.scan(prefix(kind), "", [&any](auto, auto) {
      any = true;
      return false;
    });
    if (!scanned) return scanned.error();
  }
  return any;
}

}  // namespace

Journal::Journal(JournalOptions options, DirectoryLock lock)
    : options_(std::move(options)), lock_(std::move(lock)) {}

Journal::~Journal() {
  // What was committed since the start: an older file that is put here while meterd is stopped is seen as
  // one.
  if (environment_ && mark_.identity) (void)note_commit();  // the next start writes it otherwise
}

Result<std::unique_ptr<Journal>> Journal::open(const JournalOptions& options, const platform::Disk& disk,
                                               platform::Random& random) {
  if (auto made = make_directory(options.directory); !made) return made.error();
  if (auto suits = disk.suits_journal(options.directory); !suits) return suits.error();
  auto lock = DirectoryLock::take(options.directory);
  if (!lock) return lock.error();
  std::unique_ptr<Journal> journal(new Journal(options, std::move(*lock)));
  if (auto files = journal->check_files(); !files) return files.error();

  if (journal->is_new()) {
    if (auto room = journal->check_room(); !room) return room.error();
    if (auto made = journal->make_aside(random); !made) return made.error();
  }
  auto environment = Environment::open({options.directory, options.size_max, options.file_check});
  if (!environment) return explained(environment.error(), options.directory);
  journal->environment_ = std::move(*environment);
  auto started = journal->start(options.directory, random);
  if (started) started = journal->mark_directory();
  if (!started) {
    const auto& error = started.error();
    if (error.code != Code::corrupt || error.message.starts_with("journal:")) return error;
    return Error{Code::corrupt, "journal: " + options.directory + "/data.mdb: " + error.message +
                                    "; nothing was changed; restore a backup"};
  }
  return journal;
}

// The lock file remembers that a journal was made here. A data file that vanished or came back empty (a power
// cut on a bad file system, a failed copy) is then an error and not a fresh start under the old name.
Status Journal::check_files() {
  auto mark = lock_.read();
  if (!mark) return mark.error();
  mark_ = std::move(*mark);
  struct stat data {};
  const std::string path = options_.directory + "/data.mdb";
  const bool has_data = ::stat(path.c_str(), &data) == 0 && data.st_size > 0;
  if (mark_.kept && !has_data)
    return Error{Code::invalid,
                 "journal: " + path +
                     " is missing or empty, but a journal was kept here; restore a backup, or remove "
                     "meterd.lock beside it to start afresh"};
  return {};
}

bool Journal::is_new() const {
  struct stat data {};
  return ::stat((options_.directory + "/data.mdb").c_str(), &data) != 0 || data.st_size == 0;
}

// A new journal needs its reserve from the start; one that has data opens on a full disk too, to deliver it.
Status Journal::check_room() const {
  struct statvfs disk {};
  if (::statvfs(options_.directory.c_str(), &disk) != 0) return {};
  const auto free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  if (free_bytes >= options_.reserve) return {};
  return Error{Code::full, "journal: " + options_.directory + " has " + std::to_string(free_bytes >> 10U) +
                               " KiB of free space and a new journal needs " +
                               std::to_string(options_.reserve >> 10U) +
                               " KiB (journal.reserve); free space there and start again"};
}

// LMDB writes a new file's first pages long before it syncs them: a power cut then leaves a file that is
// there and cannot be read. So a new journal is made whole in a directory of its own and then given its name.
// What such a start leaves behind holds nothing that was ever acknowledged.
Status Journal::make_aside(platform::Random& random) {
  const std::string aside = options_.directory + "/making";
  const auto clear = [&] {
    for (const char* name : {"/data.mdb", "/lock.mdb"}) ::unlink((aside + name).c_str());
    ::rmdir(aside.c_str());
  };
  clear();
  const Status made = [&]() -> Status {
    if (auto s = make_directory(aside); !s) return s;
    auto environment = Environment::open({aside, options_.size_max});
    if (!environment) return explained(environment.error(), options_.directory);
    environment_ = std::move(*environment);
    const Status started = start(aside, random);
    environment_.reset();
    if (!started) return started;
    if (::rename((aside + "/data.mdb").c_str(), (options_.directory + "/data.mdb").c_str()) != 0)
      return system_error(Code::io, "journal: cannot name the new data.mdb");
    return sync_directory(options_.directory);
  }();
  clear();
  return made;
}

// Nothing is changed unless all of it can be made good in one transaction.
Status Journal::repair() {
  auto txn = environment_->begin_write();
  if (!txn) return txn.error();
  WriteTransaction write(std::move(*txn));
  auto taken = write.take_unreadable();
  if (!taken) return taken.error();
  if (taken->empty()) return {};
  auto migrated = write.migrate();  // before what follows from the records is made again
  if (!migrated) return migrated.error();
  if (auto s = write.set_taken_aside(*taken); !s) return s;
  WriteTransaction::RestorePlace place;
  for (bool more = true; more;) {
    auto step = write.restore_some(place, kRestoredAtOnce);
    if (!step) return step.error();
    more = *step;
  }
  set_aside_at_open_ = taken->size() - write.healed();
  healed_at_open_ = write.healed();
  if (migrated->any()) migrated_from_ = migrated->from;
  return write.commit();
}

Status Journal::start(const std::string& directory, platform::Random& random) {
  if (environment_->unreadable_records() > 0)
    if (auto repaired = repair(); !repaired) return repaired;
  auto txn = environment_->begin_write();
  if (!txn) return txn.error();
  auto migrated = migrate(*txn);
  if (!migrated) return migrated.error();
  const bool fresh = !migrated->has_value();
  const bool rewritten = !fresh && (*migrated)->any();
  if (rewritten) migrated_from_ = (*migrated)->from;
  const auto stamp = fresh ? first_stamp(*txn, options_.now, random) : (*migrated)->stamp;
  if (!stamp) return stamp.error();
  auto general = load<v0::General>(*txn, general_key());
  if (!general) return general.error();

  v0::General state = general->value_or(v0::General{});
  auto identity = identify(directory + "/data.mdb");
  if (!identity) return identity.error();
  identity->machine = options_.machine;
  identity->commit = environment_->last_commit();
  identity->epoch = hex_of(stamp->epoch());
  auto used = has_counted(*txn, state);
  if (!used) return used.error();
  // Nothing was counted and no mark was written yet: a first start that was cut short.
  if (!fresh && (mark_.kept || *used)) copy_reason_ = copy_reason(mark_, *identity);

  const bool new_boot = state.boot_id() != options_.boot_id || fresh || !copy_reason_.empty();
  if (new_boot) {
    state.set_boot_number(state.boot_number() + 1);
    state.set_boot_id(options_.boot_id);
    if (state.next_sequence() == 0) state.set_next_sequence(1);
    if (!copy_reason_.empty()) begin_restored(state, random.next());
    if (state.copies() == 0) state.set_device(options_.device);
    if (auto s = store(*txn, general_key(), state); !s) return s;
  }
  WriteTransaction write(std::move(*txn), &remembered_ids_);
  if (auto s = write.load_ids(); !s) return s;
  if (!copy_reason_.empty())
    if (auto s = write.mark_counters_copied(options_.now); !s) return s;
  if (!new_boot && !rewritten && !write.set_ids_aside())
    remembered_ids_.set_blocks(write.id_blocks());  // nothing to write
  else if (auto s = write.commit(); !s)
    return s;
  epoch_ = stamp->epoch();
  boot_number_ = state.boot_number();
  lineage_ = lineage_of(state);
  if (state.copies() > 0) kept_by_ = state.device();
  if (state.trusted_boot() == boot_number_) trusted_offset_ = Milliseconds(state.trusted_offset_ms());
  last_trusted_ = WallTime{Milliseconds(state.last_trusted_ms())};
  identity_ = std::move(*identity);
  return {};
}

// After the data file holds a journal, so that a power cut before the mark is made good at the next start. A
// directory that is marked opens on a full disk too.
Status Journal::mark_directory() {
  const bool marked = mark_.kept && !mark_.restored;
  mark_ = {true, false, identity_};
  mark_.identity->format = kFormat;
  auto noted = note_commit();
  if (!noted && noted.error().code == Code::full && marked) return {};
  return noted;
}

// Only what is on the disk may be noted: of a process that was killed within a commit, the end of it may
// still be in the kernel's hands.
Status Journal::note_commit() {
  const auto commit = environment_->last_commit();
  auto next = mark_;
  next.identity->commit = commit;
  const auto before = lock_.read();
  if (before && text_of(*before) == text_of(next)) return {};
  if (auto s = environment_->sync(); !s) return s;
  if (auto s = lock_.write(next); !s) return s;
  mark_ = std::move(next);
  return {};
}

Status Journal::copy_to(int fd, CopyForm form) const {
  if (form == CopyForm::file) return environment_->copy_to(fd);
  auto txn = environment_->begin_read();
  return txn ? write_portable(*txn, fd) : Status(txn.error());
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
