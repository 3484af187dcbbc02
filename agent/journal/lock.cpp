#include "agent/journal/lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/journal/files.hpp"
#include "agent/journal/schema.hpp"

namespace meterd::journal {
namespace {

constexpr std::string_view kKept = "a meterd journal is kept here\n";
constexpr std::string_view kRestored = "a copy was put here";
constexpr std::string_view kUnknownMachine = "----------------";
// One length whatever it says: the file never grows again, and lies in one sector, which a power cut leaves
// old or new.
constexpr std::size_t kSecondLineBytes = 200;
constexpr int kTries = 16;

Error system_error(const std::string& doing) {
  return {errno == ENOSPC || errno == EDQUOT ? Code::full : Code::io, doing + ": " + std::strerror(errno)};
}

Error not_locked(const std::string& path) {
  if (errno != EWOULDBLOCK) return {Code::io, "journal: cannot lock " + path + ": " + std::strerror(errno)};
  return {Code::io, "journal: " + path +
                        " is already in use by another process; stop that one, or give this one another "
                        "[journal] directory"};
}

}  // namespace

std::string hex_of(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    std::array<char, 3> two{};
    std::snprintf(two.data(), two.size(), "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += two.data();
  }
  return out;
}

namespace {

// The checksum's four bytes, as the journal's values begin with them.
std::string checksum_of(std::string_view line) { return hex_of(wrap("lock", line).substr(0, 4)); }

// The value behind "NAME=" up to the next space.
std::string_view field(std::string_view line, std::string_view name) {
  const auto at = line.find(std::string(name) + "=");
  if (at == std::string_view::npos) return {};
  const auto value = line.substr(at + name.size() + 1);
  return value.substr(0, value.find(' '));
}

std::optional<Identity> parse_identity(std::string_view line) {
  const auto inode = parse_unsigned(field(line, "inode"));
  const auto born = parse_unsigned(field(line, "born_ns"));
  const auto commit = parse_unsigned(field(line, "commit"));
  if (!inode || !born || !commit) return std::nullopt;
  Identity out{*inode,
               static_cast<std::int64_t>(*born),
               std::string(field(line, "machine")),
               *commit,
               std::string(field(line, "epoch")),
               static_cast<std::uint32_t>(parse_unsigned(field(line, "format")).value_or(0))};
  if (out.machine == kUnknownMachine) out.machine.clear();
  return out;
}

}  // namespace

Result<DirectoryLock> DirectoryLock::take(const std::string& directory) {
  const std::string path = directory + "/meterd.lock";
  for (int tries = 0; tries < kTries; ++tries) {
    DirectoryLock lock(directory, ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (lock.fd_ < 0) return system_error("journal: cannot open " + path);
    if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) return not_locked(path);
    // A restore or a salvage that fails removes its lock: who opened that one holds a lock that nobody sees.
    if (is_at(lock.fd_, path)) return lock;
  }
  return Error{Code::io, "journal: " + path + " is removed by others again and again"};
}

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept
    : directory_(std::move(other.directory_)), fd_(std::exchange(other.fd_, -1)) {}

DirectoryLock& DirectoryLock::operator=(DirectoryLock&& other) noexcept {
  std::swap(directory_, other.directory_);
  std::swap(fd_, other.fd_);
  return *this;
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Mark> DirectoryLock::read() const {
  std::array<char, 1024> buffer{};
  const auto got = ::pread(fd_, buffer.data(), buffer.size(), 0);
  if (got < 0) return system_error("journal: cannot read the lock file");
  return parse_mark({buffer.data(), static_cast<std::size_t>(got)});
}

bool DirectoryLock::is_alone() const {
  const auto mark = read();
  if (!mark || mark->kept) return false;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(directory_, failed), end; !failed && at != end;
       at.increment(failed))
    if (at->path().filename() != "meterd.lock") return false;
  return !failed;
}

Status DirectoryLock::write(const Mark& mark) const {
  if (auto s = sync_directory(directory_); !s) return s;
  const std::string text = text_of(mark);
  const auto size = static_cast<off_t>(text.size());
  // What is longer is the mark of a restore that is undone.
  if (::lseek(fd_, 0, SEEK_SET) != 0 || ::write(fd_, text.data(), text.size()) != size ||
      (::lseek(fd_, 0, SEEK_END) > size && ::ftruncate(fd_, size) != 0) || ::fsync(fd_) != 0)
    return system_error("journal: cannot write the lock file");
  return {};
}

Status DirectoryLock::give_to_owner() const {
  struct stat owner {};
  if (::stat(directory_.c_str(), &owner) != 0) return system_error("journal: cannot look at " + directory_);
  if (::geteuid() == 0 && ::fchown(fd_, owner.st_uid, owner.st_gid) != 0)
    return system_error("journal: cannot give the lock file away");
  return {};
}

std::string text_of(const Mark& mark) {
  if (!mark.kept) return {};
  std::string out(kKept);
  if (!mark.identity && !mark.restored) return out;
  std::string line(kRestored);
  if (mark.identity) {
    const auto& is = *mark.identity;
    line = "inode=" + std::to_string(is.inode) + " born_ns=" + std::to_string(is.born_ns) +
           " machine=" + (is.machine.empty() ? std::string(kUnknownMachine) : is.machine) +
           " commit=" + std::to_string(is.commit) + " epoch=" + is.epoch +
           (is.format == 0 ? std::string() : " format=" + std::to_string(is.format));
  }
  line += " ";
  line += "crc=" + checksum_of(line);
  line.resize(kSecondLineBytes - 1, ' ');
  return out + line + "\n";
}

Mark parse_mark(std::string_view text) {
  Mark out;
  out.kept = !text.empty();
  if (!text.starts_with(kKept)) return out;
  auto line = text.substr(kKept.size());
  line = line.substr(0, line.find('\n'));
  const auto at = line.rfind("crc=");
  if (at == std::string_view::npos || field(line, "crc") != checksum_of(line.substr(0, at))) return out;
  out.restored = line.starts_with(kRestored);
  if (!out.restored) out.identity = parse_identity(line);
  return out;
}

Result<Identity> identify(const std::string& data_path) {
  struct statx file {};
  if (::statx(AT_FDCWD, data_path.c_str(), 0, STATX_INO | STATX_BTIME, &file) != 0)
    return system_error("journal: cannot look at " + data_path);
  Identity out;
  out.inode = file.stx_ino;
  if ((file.stx_mask & STATX_BTIME) != 0 && file.stx_btime.tv_sec > 0)
    out.born_ns = std::int64_t{file.stx_btime.tv_sec} * 1'000'000'000 + file.stx_btime.tv_nsec;
  return out;
}

Mark read_mark(const std::string& directory) {
  std::ifstream file(directory + "/meterd.lock", std::ios::binary);
  return parse_mark(std::string(std::istreambuf_iterator<char>(file), {}));
}

std::optional<std::string> bytes_of(std::string_view hex) {
  std::string out;
  for (; hex.size() >= 2; hex.remove_prefix(2)) {
    unsigned byte = 0;
    const auto end = hex.data() + 2;
    if (const auto read = std::from_chars(hex.data(), end, byte, 16);
        read.ec != std::errc() || read.ptr != end)
      return std::nullopt;
    out.push_back(static_cast<char>(byte));
  }
  return hex.empty() ? std::optional<std::string>(std::move(out)) : std::nullopt;
}

std::string copy_reason(const Mark& mark, const Identity& now) {
  if (mark.restored) return "a backup was restored";
  if (!mark.kept) return "its meterd.lock is missing, so it was copied or put here";
  if (!mark.identity) return {};
  const auto& was = *mark.identity;
  if (was.epoch != now.epoch) return "another journal was kept here";
  if (now.commit < was.commit) return "it is older than at its last start or stop here";
  // A file system that knows when a file was made is believed; its inode may change in a resize.
  const bool another =
      was.born_ns != 0 && now.born_ns != 0 ? was.born_ns != now.born_ns : was.inode != now.inode;
  if (another) return "data.mdb is another file than at its last start here";
  if (!was.machine.empty() && !now.machine.empty() && was.machine != now.machine)
    return "it was kept on another device";
  return {};
}

}  // namespace meterd::journal
