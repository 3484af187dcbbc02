#include "agent/journal/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace meterd::journal {

Error system_error(Code code, const std::string& doing) {
  return {code, doing + ": " + std::strerror(errno)};
}

namespace {

bool is_directory(const std::string& path) {
  struct stat there {};
  return ::stat(path.c_str(), &there) == 0 && S_ISDIR(there.st_mode);
}

}  // namespace

Status make_directory(const std::string& directory) {
  if (is_directory(directory)) return {};
  const std::string above = std::filesystem::path(directory).parent_path().string();
  if (!above.empty() && above != directory)
    if (auto made = make_directory(above); !made) return made;
  if (::mkdir(directory.c_str(), 0777) != 0 && !is_directory(directory))
    return system_error(errno == ENOSPC ? Code::full : Code::io, "journal: cannot make " + directory);
  return sync_directory(above.empty() ? "." : above);
}

Status sync_directory(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return system_error(Code::io, "journal: cannot open " + directory);
  const int rc = ::fsync(fd);
  ::close(fd);
  if (rc != 0) return system_error(Code::io, "journal: cannot sync " + directory);
  return {};
}

bool is_at(int fd, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(fd, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

Result<NewDirectory> NewDirectory::make(const std::string& directory) {
  NewDirectory out;
  for (std::filesystem::path at = directory; !at.empty() && !is_directory(at.string()); at = at.parent_path())
    out.made_.push_back(at.string());
  if (auto made = make_directory(directory); !made) {
    out.take_back();
    return made.error();
  }
  std::error_code failed;
  out.was_empty_ = std::filesystem::is_empty(directory, failed) && !failed;
  return out;
}

void NewDirectory::take_back() const {
  for (const auto& directory : made_) (void)::rmdir(directory.c_str());
}

}  // namespace meterd::journal
