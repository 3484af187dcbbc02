#include "tests/power/wrapped_calls.hpp"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <utility>

namespace meterd::power {
namespace {

Observer* present = nullptr;
unsigned flags_added = 0;

// Runs `tell(observer)` if somebody observes; what the observer does meanwhile is its own.
template <class Tell>
void tell(Tell&& what) {
  if (present == nullptr) return;
  Observer* const observer = present;
  const Unobserved own;
  what(*observer);
}

}  // namespace

void observe(Observer* observer, unsigned environment_flags) {
  present = observer;
  flags_added = environment_flags;
}

Unobserved::Unobserved() : observer_(std::exchange(present, nullptr)) {}
Unobserved::~Unobserved() { present = observer_; }

}  // namespace meterd::power

using meterd::power::flags_added;
using meterd::power::Observer;
using meterd::power::present;
using meterd::power::tell;

// LMDB's offsets, and what it calls with them, are of the size that a word has; the journal's have 64 bits,
// and on a 32-bit machine that is another function.
using WordOffset = long;

// The names are the linker's.
// NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming, cert-dcl37-c, cert-dcl51-cpp)
extern "C" {

int __real_open(const char* path, int flags, ...);
int __real_close(int fd);
ssize_t __real_write(int fd, const void* bytes, size_t size);
ssize_t __real_writev(int fd, const iovec* parts, int count);
ssize_t __real_pwrite(int fd, const void* bytes, size_t size, WordOffset offset);
int __real_ftruncate(int fd, WordOffset size);
int __real_fallocate(int fd, int mode, WordOffset offset, WordOffset size);
int __real_posix_fallocate(int fd, WordOffset offset, WordOffset size);
int __real_open64(const char* path, int flags, ...);
int __real_fallocate64(int fd, int mode, off_t offset, off_t size);
int __real_posix_fallocate64(int fd, off_t offset, off_t size);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_rename(const char* from, const char* to);
int __real_unlink(const char* path);
int __real_statx(int directory, const char* path, int flags, unsigned mask, struct statx* out);
int __real_mdb_env_open(MDB_env* env, const char* path, unsigned flags, mdb_mode_t mode);

int __wrap_open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  const int fd = __real_open(path, flags, mode);
  if (fd >= 0) tell([&](Observer& o) { o.opened(fd, path, flags); });
  return fd;
}

int __wrap_open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  const int fd = __real_open64(path, flags, mode);
  if (fd >= 0) tell([&](Observer& o) { o.opened(fd, path, flags); });
  return fd;
}

int __wrap_close(int fd) {
  tell([&](Observer& o) { o.closed(fd); });
  return __real_close(fd);
}

ssize_t __wrap_write(int fd, const void* bytes, size_t size) {
  const off_t at = present != nullptr ? lseek(fd, 0, SEEK_CUR) : 0;
  const ssize_t n = __real_write(fd, bytes, size);
  if (n > 0)
    tell([&](Observer& o) {
      o.wrote(fd, static_cast<std::uint64_t>(at), {static_cast<const char*>(bytes), static_cast<size_t>(n)});
    });
  return n;
}

ssize_t __wrap_writev(int fd, const iovec* parts, int count) {
  const off_t at = present != nullptr ? lseek(fd, 0, SEEK_CUR) : 0;
  const ssize_t n = __real_writev(fd, parts, count);
  if (n <= 0) return n;
  tell([&](Observer& o) {
    std::string bytes;
    for (int i = 0; i < count; ++i)
      bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    bytes.resize(static_cast<std::size_t>(n));
    o.wrote(fd, static_cast<std::uint64_t>(at), bytes);
  });
  return n;
}

ssize_t __wrap_pwrite(int fd, const void* bytes, size_t size, WordOffset offset) {
  const ssize_t n = __real_pwrite(fd, bytes, size, offset);
  if (n > 0)
    tell([&](Observer& o) {
      o.wrote(fd, static_cast<std::uint64_t>(offset),
              {static_cast<const char*>(bytes), static_cast<size_t>(n)});
    });
  return n;
}

int __wrap_ftruncate(int fd, WordOffset size) {
  const int rc = __real_ftruncate(fd, size);
  if (rc == 0) tell([&](Observer& o) { o.reserved(fd); });
  return rc;
}

int __wrap_fallocate(int fd, int mode, WordOffset offset, WordOffset size) {
  const int rc = __real_fallocate(fd, mode, offset, size);
  if (rc == 0) tell([&](Observer& o) { o.reserved(fd); });
  return rc;
}

int __wrap_posix_fallocate(int fd, WordOffset offset, WordOffset size) {
  const int rc = __real_posix_fallocate(fd, offset, size);
  if (rc == 0) tell([&](Observer& o) { o.reserved(fd); });
  return rc;
}

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t size) {
  const int rc = __real_fallocate64(fd, mode, offset, size);
  if (rc == 0) tell([&](Observer& o) { o.reserved(fd); });
  return rc;
}

int __wrap_posix_fallocate64(int fd, off_t offset, off_t size) {
  const int rc = __real_posix_fallocate64(fd, offset, size);
  if (rc == 0) tell([&](Observer& o) { o.reserved(fd); });
  return rc;
}

int __wrap_fsync(int fd) {
  tell([&](Observer& o) { o.synced(fd); });
  return __real_fsync(fd);
}

int __wrap_fdatasync(int fd) {
  tell([&](Observer& o) { o.synced(fd); });
  return __real_fdatasync(fd);
}

int __wrap_rename(const char* from, const char* to) {
  const int rc = __real_rename(from, to);
  if (rc == 0) tell([&](Observer& o) { o.renamed(from, to); });
  return rc;
}

int __wrap_unlink(const char* path) {
  const int rc = __real_unlink(path);
  if (rc == 0) tell([&](Observer& o) { o.removed(path); });
  return rc;
}

// A power cut leaves the file that was there. An image of what it leaves is another file, and would be taken
// for a copy of the journal.
int __wrap_statx(int directory, const char* path, int flags, unsigned mask, struct statx* out) {
  const int rc = __real_statx(directory, path, flags, mask, out);
  out->stx_ino = 1;
  out->stx_mask &= ~STATX_BTIME;
  return rc;
}

int __wrap_mdb_env_open(MDB_env* env, const char* path, unsigned flags, mdb_mode_t mode) {
  return __real_mdb_env_open(env, path, present != nullptr ? flags | flags_added : flags, mode);
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming, cert-dcl37-c, cert-dcl51-cpp)
