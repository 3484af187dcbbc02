#include "agent/journal/lmdb.hpp"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/base/limits.hpp"

namespace meterd::journal {
namespace {

constexpr mode_t kFileMode = 0600;

Error error_of(int rc, const char* doing) {
  const std::string message = std::string(doing) + ": " + mdb_strerror(rc);
  switch (rc) {
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
      return {Code::full, message};
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
      return {Code::corrupt, message};
    default:
      return {Code::io, message};
  }
}

MDB_val val(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }  // NOLINT
std::string_view view(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

// Less than the largest commit may need. A real I/O error with that little room left is retried like a full
// disk, and seen for what it is once there is room.
constexpr std::uint64_t kRoomOfACommit = 4 << 20;

bool disk_is_full(MDB_env* env) {
  int fd = -1;
  struct statfs info {};
  if (mdb_env_get_fd(env, &fd) != 0 || fstatfs(fd, &info) != 0) return false;
  return std::uint64_t{info.f_bavail} * static_cast<std::uint64_t>(info.f_bsize) < kRoomOfACommit;
}

// Whether the file has blocks up to `end`, beyond its length included.
bool is_allocated(int fd, std::uint64_t end) {
  struct stat file {};
  return fstat(fd, &file) == 0 && static_cast<std::uint64_t>(file.st_blocks) * 512 >= end;
}

// LMDB maps its lock file and writes to it: on a full disk that would end the process (SIGBUS). So its blocks
// are made first.
constexpr off_t kLockFileBytes = 16 * 1024;

Status make_lock_file(const std::string& directory) {
  const std::string path = directory + "/lock.mdb";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode);
  if (fd < 0) return error_of(errno, "journal lock");
  const int rc = posix_fallocate(fd, 0, kLockFileBytes);
  ::close(fd);
  if (rc != 0) return error_of(rc, "journal lock");
  return {};
}

constexpr MDB_dbi kFreeList = 0;  // LMDB's own: records of freed pages
constexpr MDB_dbi kMain = 1;

int open_main(MDB_env* env) {
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  int rc = mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn);
  if (rc != 0) return rc;
  rc = mdb_dbi_open(txn, nullptr, 0, &dbi);
  mdb_txn_abort(txn);
  check(rc != 0 || dbi == kMain, "LMDB's unnamed database has handle 1");
  return rc;
}

class Cursor {
 public:
  Cursor(MDB_txn* txn, MDB_dbi dbi, int& rc) { rc = mdb_cursor_open(txn, dbi, &cursor_); }
  ~Cursor() {
    if (cursor_ != nullptr) mdb_cursor_close(cursor_);
  }
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  int get(MDB_val& key, MDB_val& value, MDB_cursor_op op) {
    return mdb_cursor_get(cursor_, &key, &value, op);
  }
  int erase() { return mdb_cursor_del(cursor_, 0); }

 private:
  MDB_cursor* cursor_ = nullptr;
};

}  // namespace

Transaction::Transaction(Transaction&& other) noexcept
    : env_(other.env_),
      txn_(std::exchange(other.txn_, nullptr)),
      changed_(other.changed_),
      bytes_put_(other.bytes_put_) {}

Transaction::~Transaction() {
  if (txn_ != nullptr) mdb_txn_abort(txn_);
}

Result<std::optional<std::string_view>> Transaction::get(std::string_view key) const {
  MDB_val k = val(key);
  MDB_val v{};
  const int rc = mdb_get(txn_, kMain, &k, &v);
  if (rc == MDB_NOTFOUND) return std::optional<std::string_view>{};
  if (rc != 0) return error_of(rc, "journal read");
  return std::optional<std::string_view>{view(v)};
}

Status Transaction::put(std::string_view key, std::string_view value) {
  MDB_val k = val(key);
  MDB_val v = val(value);
  const int rc = mdb_put(txn_, kMain, &k, &v, 0);
  if (rc != 0) return error_of(rc, "journal write");
  note_change(key);
  bytes_put_ += key.size() + value.size();
  return {};
}

Status Transaction::append(std::string_view key, std::string_view value) {
  MDB_val k = val(key);
  MDB_val v = val(value);
  const int rc = mdb_put(txn_, kMain, &k, &v, MDB_APPEND);
  if (rc == MDB_KEYEXIST) return Error{Code::corrupt, "journal append: keys are out of order"};
  if (rc != 0) return error_of(rc, "journal append");
  note_change(key);
  bytes_put_ += key.size() + value.size();
  return {};
}

Status Transaction::erase(std::string_view key) {
  MDB_val k = val(key);
  const int rc = mdb_del(txn_, kMain, &k, nullptr);
  if (rc != 0 && rc != MDB_NOTFOUND) return error_of(rc, "journal erase");
  note_change(key);
  return {};
}

Status Transaction::scan(std::string_view prefix, std::string_view from, const Visit& visit) const {
  int rc = 0;
  Cursor cursor(txn_, kMain, rc);
  if (rc != 0) return error_of(rc, "journal cursor");
  MDB_val key = val(from.empty() ? prefix : from);
  MDB_val value{};
  for (rc = cursor.get(key, value, key.mv_size == 0 ? MDB_FIRST : MDB_SET_RANGE); rc == 0;
       rc = cursor.get(key, value, MDB_NEXT)) {
    if (!view(key).starts_with(prefix)) return {};
    if (!visit(view(key), view(value))) return {};
  }
  if (rc != MDB_NOTFOUND) return error_of(rc, "journal scan");
  return {};
}

Status Transaction::scan_back(std::string_view prefix, std::string_view before, const Visit& visit) const {
  int rc = 0;
  Cursor cursor(txn_, kMain, rc);
  if (rc != 0) return error_of(rc, "journal cursor");
  std::string end(before);
  if (end.empty()) {  // the first key behind all that begin with the prefix: no kind is the last byte
    end = prefix;
    while (!end.empty() && end.back() == static_cast<char>(0xFF)) end.pop_back();
    if (!end.empty()) ++end.back();
  }
  MDB_val key = val(end);
  MDB_val value{};
  rc = cursor.get(key, value, MDB_SET_RANGE);
  for (rc = cursor.get(key, value, rc == 0 ? MDB_PREV : MDB_LAST); rc == 0;
       rc = cursor.get(key, value, MDB_PREV)) {
    if (!view(key).starts_with(prefix)) return {};
    if (!visit(view(key), view(value))) return {};
  }
  if (rc != MDB_NOTFOUND) return error_of(rc, "journal scan");
  return {};
}

Status Transaction::take(const std::function<bool(std::string_view, std::string_view)>& wanted,
                         std::vector<std::pair<std::string, std::string>>& taken) {
  int rc = 0;
  Cursor cursor(txn_, kMain, rc);
  if (rc != 0) return error_of(rc, "journal cursor");
  MDB_val key{};
  MDB_val value{};
  while ((rc = cursor.get(key, value, MDB_NEXT)) == 0) {
    if (!wanted(view(key), view(value))) continue;
    taken.emplace_back(view(key), view(value));
    note_change(view(key));
    if ((rc = cursor.erase()) != 0) break;
  }
  if (rc != MDB_NOTFOUND) return error_of(rc, "journal repair");
  // What LMDB moved about meanwhile may have left a wrong key as a signpost: each record must be found by its
  // own, in order.
  std::string last;
  bool found = true;
  auto scanned = scan("", "", [&](std::string_view each, std::string_view) {
    auto there = get(each);
    found = (last.empty() || last < each) && there && there->has_value();
    last = each;
    return found;
  });
  if (!scanned) return scanned;
  if (!found) return Error{Code::corrupt, "records cannot be found by their keys"};
  return {};
}

Status Transaction::commit() {
  const int rc = mdb_txn_commit(std::exchange(txn_, nullptr));
  // LMDB reports a short write, which is what a disk gives as it fills up, as EIO.
  if (rc == EIO && disk_is_full(env_)) return Error{Code::full, "journal commit: the disk is full"};
  if (rc != 0) return error_of(rc, "journal commit");
  return {};
}

Result<std::unique_ptr<Environment>> Environment::open(const Options& options) {
  // A size that does not fit size_t would wrap and silently open with LMDB's default map of 1 MiB.
  if (options.map_bytes > limits::map_bytes_max())
    return Error{Code::invalid, "journal.max_size is beyond what this machine can map (" +
                                    std::to_string(limits::map_bytes_max() >> 20U) + " MiB)"};
  const std::string path = options.directory + "/data.mdb";
  CheckedFile checked;
  if (struct stat file{}; ::stat(path.c_str(), &file) == 0 && file.st_size > 0) {
    auto result = check_file(path, options.file_check);
    if (!result) return result.error();
    checked = *result;
  }
  if (auto made = make_lock_file(options.directory); !made) return made.error();
  MDB_env* env = nullptr;
  int rc = mdb_env_create(&env);
  if (rc != 0) return error_of(rc, "journal open");
  std::unique_ptr<Environment> out(new Environment(env, checked.unreadable_records));
  rc = mdb_env_set_mapsize(env, static_cast<std::size_t>(options.map_bytes));
  // NOTLS: read transactions belong to an object, not to the thread that began them.
  if (rc == 0) rc = mdb_env_open(env, options.directory.c_str(), MDB_NOTLS | MDB_NORDAHEAD, kFileMode);
  if (rc != 0) return error_of(rc, "journal open");

  if (rc = open_main(env); rc != 0) return error_of(rc, "journal open");
  return out;
}

Result<std::unique_ptr<Environment>> Environment::open_read_only(const std::string& data_path) {
  auto checked = check_file(data_path, FileCheck::in_child);
  if (!checked) return checked.error();
  MDB_env* env = nullptr;
  int rc = mdb_env_create(&env);
  if (rc != 0) return error_of(rc, "journal open");
  std::unique_ptr<Environment> out(new Environment(env, checked->unreadable_records));
  rc = mdb_env_open(env, data_path.c_str(), MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR | MDB_NOTLS, kFileMode);
  if (rc == 0) rc = open_main(env);
  if (rc != 0) return error_of(rc, "journal open");
  return out;
}

Environment::~Environment() {
  if (env_ != nullptr) mdb_env_close(env_);
}

Result<Transaction> Environment::begin_write() {
  MDB_txn* txn = nullptr;
  const int rc = mdb_txn_begin(env_, nullptr, 0, &txn);
  if (rc != 0) return error_of(rc, "journal begin");
  return Transaction(env_, txn);
}

Result<Transaction> Environment::begin_read() const {
  MDB_txn* txn = nullptr;
  const int rc = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  if (rc != 0) return error_of(rc, "journal begin read");
  return Transaction(env_, txn);
}

std::uint64_t Environment::last_commit() const {
  MDB_envinfo info{};
  return mdb_env_info(env_, &info) == 0 ? info.me_last_txnid : 0;
}

Status Environment::sync() {
  if (const int rc = mdb_env_sync(env_, 1); rc != 0) return error_of(rc, "journal sync");
  return {};
}

Status Environment::copy_to(int fd) const {
  // Compacted also because the plain copy keeps writers out while it writes its first pages.
  const int rc = mdb_env_copyfd2(env_, fd, MDB_CP_COMPACT);
  if (rc == EPIPE) return Error{Code::cancelled, "the reader of the copy has gone"};
  if (rc != 0) return error_of(rc, "journal copy");
  return {};
}

Result<SpaceUse> Environment::space() const {
  MDB_envinfo info{};
  MDB_stat stat{};
  if (const int rc = mdb_env_info(env_, &info); rc != 0) return error_of(rc, "journal info");
  if (const int rc = mdb_env_stat(env_, &stat); rc != 0) return error_of(rc, "journal info");
  auto txn = begin_read();
  if (!txn) return txn.error();

  std::uint64_t free_pages = 0;
  int rc = 0;
  {
    Cursor cursor(txn->txn_, kFreeList, rc);
    if (rc != 0) return error_of(rc, "journal cursor");
    MDB_val key{};
    MDB_val value{};
    while ((rc = cursor.get(key, value, MDB_NEXT)) == 0) {
      std::size_t count = 0;  // the first word of a free-list record is the number of pages in it
      std::memcpy(&count, value.mv_data, sizeof count);
      free_pages += count;
    }
  }
  if (rc != MDB_NOTFOUND) return error_of(rc, "journal free list");
  const std::uint64_t pages = info.me_last_pgno + 1;
  return SpaceUse{info.me_mapsize, (pages - free_pages) * stat.ms_psize, pages * stat.ms_psize};
}

Status Environment::preallocate(std::uint64_t bytes) {
  MDB_envinfo info{};
  MDB_stat stat{};
  int fd = -1;
  if (const int rc = mdb_env_info(env_, &info); rc != 0) return error_of(rc, "journal info");
  if (const int rc = mdb_env_stat(env_, &stat); rc != 0) return error_of(rc, "journal info");
  if (const int rc = mdb_env_get_fd(env_, &fd); rc != 0) return error_of(rc, "journal info");
  const std::uint64_t grown = (info.me_last_pgno + 1) * stat.ms_psize;
  const std::uint64_t end = std::min<std::uint64_t>(grown + bytes, info.me_mapsize);
  if (end <= grown) return {};
  // Not by taking the last block that others on the device may need: a failed fallocate would keep what it
  // got.
  struct statfs disk {};
  if (fstatfs(fd, &disk) == 0 &&
      std::uint64_t{disk.f_bavail} * static_cast<std::uint64_t>(disk.f_bsize) < end - grown &&
      !is_allocated(fd, end))
    return error_of(ENOSPC, "journal reserve");
  // KEEP_SIZE: LMDB tells a fresh file by its length; blocks beyond it stay invisible.
  if (fallocate(fd, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(grown), static_cast<off_t>(end - grown)) == 0)
    return {};
  if (errno == EOPNOTSUPP)
    return {};  // tmpfs of old kernels, some flash file systems: nothing to promise there
  return error_of(errno, "journal reserve");
}

}  // namespace meterd::journal
