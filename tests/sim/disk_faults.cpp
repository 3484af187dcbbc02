#include "tests/sim/disk_faults.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace meterd::sim {

DiskFaults& DiskFaults::of_process() {
  static DiskFaults faults;
  return faults;
}

namespace {

std::int64_t allocated_end(int fd) {
  struct stat file {};
  return fstat(fd, &file) == 0 ? std::int64_t{file.st_blocks} * 512 : 0;
}

bool has_room(int fd, std::int64_t end) {
  const auto& faults = DiskFaults::of_process();
  if (faults.room == DiskFaults::Room::enough) return true;
  return faults.room == DiskFaults::Room::full && end <= allocated_end(fd);
}

bool breaks(DiskFaults::Break kind) {
  auto& faults = DiskFaults::of_process();
  if (faults.next != kind) return false;
  faults.next = DiskFaults::Break::none;
  ++faults.broken;
  errno = EIO;
  return true;
}

ssize_t refuse() {
  ++DiskFaults::of_process().refused;
  errno = ENOSPC;
  return -1;
}

}  // namespace
}  // namespace meterd::sim

using meterd::sim::DiskFaults;
namespace sim = meterd::sim;

// The linker's names for the wrapped calls and the real ones.
extern "C" {
// LMDB's offsets have a word, ours 64 bits: on a 32-bit machine those are other functions, and another struct
// statfs.
using WordOffset = long;
ssize_t __real_pwrite(int fd, const void* bytes, size_t count, WordOffset at);  // NOLINT
ssize_t __real_writev(int fd, const struct iovec* parts, int count);            // NOLINT
int __real_fdatasync(int fd);                                                   // NOLINT
int __real_fallocate(int fd, int mode, WordOffset at, WordOffset count);        // NOLINT
int __real_fallocate64(int fd, int mode, off_t at, off_t count);                // NOLINT
int __real_fstatfs(int fd, struct statfs* out);                                 // NOLINT
int __real_fstatfs64(int fd, struct statfs* out);                               // NOLINT

ssize_t __wrap_pwrite(int fd, const void* bytes, size_t count, WordOffset at) {  // NOLINT
  if (sim::breaks(DiskFaults::Break::write)) return -1;
  if (sim::has_room(fd, std::int64_t{at} + static_cast<std::int64_t>(count)))
    return __real_pwrite(fd, bytes, count, at);
  if (DiskFaults::of_process().halve && count > 1) {
    ++DiskFaults::of_process().refused;
    return __real_pwrite(fd, bytes, count / 2, at);
  }
  return sim::refuse();
}

ssize_t __wrap_writev(int fd, const struct iovec* parts, int count) {  // NOLINT
  off_t total = lseek(fd, 0, SEEK_CUR);
  for (int i = 0; i < count; ++i) total += static_cast<off_t>(parts[i].iov_len);
  if (sim::breaks(DiskFaults::Break::write)) return -1;
  if (sim::has_room(fd, total)) return __real_writev(fd, parts, count);
  return sim::refuse();
}

int __wrap_fdatasync(int fd) {  // NOLINT
  if (sim::breaks(DiskFaults::Break::sync)) return -1;
  return __real_fdatasync(fd);
}

int __wrap_fallocate(int fd, int mode, WordOffset at, WordOffset count) {  // NOLINT
  if (sim::has_room(fd, std::int64_t{at} + count)) return __real_fallocate(fd, mode, at, count);
  return static_cast<int>(sim::refuse());
}

int __wrap_fallocate64(int fd, int mode, off_t at, off_t count) {  // NOLINT
  if (sim::has_room(fd, at + count)) return __real_fallocate64(fd, mode, at, count);
  return static_cast<int>(sim::refuse());
}

int __wrap_fstatfs(int fd, struct statfs* out) {  // NOLINT
  const int rc = __real_fstatfs(fd, out);
  if (sizeof(WordOffset) < sizeof(off_t)) return rc;  // LMDB's, which does not ask for room
  if (rc == 0 && DiskFaults::of_process().room != DiskFaults::Room::enough) out->f_bavail = 0;
  return rc;
}

int __wrap_fstatfs64(int fd, struct statfs* out) {  // NOLINT
  const int rc = __real_fstatfs64(fd, out);
  if (rc == 0 && DiskFaults::of_process().room != DiskFaults::Room::enough) out->f_bavail = 0;
  return rc;
}
}
