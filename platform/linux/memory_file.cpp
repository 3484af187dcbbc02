#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "platform/shared_memory.hpp"

namespace meterd::platform {
namespace {

Error failed() {
  return {errno == ENOSPC ? Code::full : Code::io,
          std::string("memory of counters: ") + std::strerror(errno)};
}

}  // namespace

MemoryFile& MemoryFile::operator=(MemoryFile&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = other.release();
  }
  return *this;
}
MemoryFile::~MemoryFile() {
  if (fd_ >= 0) close(fd_);
}
int MemoryFile::release() { return std::exchange(fd_, -1); }

std::size_t MemoryFile::size() const {
  struct stat info {};
  return fd_ >= 0 && fstat(fd_, &info) == 0 ? static_cast<std::size_t>(info.st_size) : 0;
}

Result<std::size_t> MemoryFile::read_at(std::size_t offset, std::span<char> into) const {
  std::size_t have = 0;
  while (have < into.size()) {
    const auto now = pread(fd_, into.data() + have, into.size() - have, static_cast<off_t>(offset + have));
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) return failed();
    if (now == 0) break;
    have += static_cast<std::size_t>(now);
  }
  return have;
}

Status MemoryFile::write_at(std::size_t offset, std::string_view bytes) const {
  const auto done = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  if (done == static_cast<ssize_t>(bytes.size())) return {};
  if (done >= 0) errno = ENOSPC;
  return failed();
}

std::string text_of(const SharedMemory::Id& id) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const auto byte : id) (out += kDigits[byte >> 4U]) += kDigits[byte & 15U];
  return out;
}

std::optional<SharedMemory::Id> parse_id(std::string_view text) {
  SharedMemory::Id id{};
  if (text.size() != id.size() * 2) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = std::string_view("0123456789abcdef").find(text[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    id[i / 2] = static_cast<std::uint8_t>(id[i / 2] << 4U | digit);
  }
  return id;
}

}  // namespace meterd::platform
