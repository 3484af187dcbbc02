#include "agent/ctl/saved_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <ostream>

#include "agent/ctl/layout.hpp"
#include "agent/ctl/show.hpp"

namespace meterd::ctl {
namespace {

namespace json = boost::json;

Error system_error(const std::string& doing) {
  return {Code::rejected, doing + ": " + std::strerror(errno) + "."};
}

const char* kind_of(const struct stat& is) {
  if (S_ISLNK(is.st_mode)) return "a symbolic link";
  if (S_ISDIR(is.st_mode)) return "a directory";
  if (S_ISFIFO(is.st_mode)) return "a pipe";
  return S_ISSOCK(is.st_mode) ? "a socket" : "a device";
}

// Whoever names a device or a link wants it written to, and not another file in its place.
Status may_be_replaced(const std::string& file) {
  struct stat is {};
  if (::lstat(file.c_str(), &is) != 0 || S_ISREG(is.st_mode)) return {};
  return Error{Code::rejected, file + " is " + kind_of(is) +
                                   " and stays as it is. Name a regular file, which is replaced, or one that "
                                   "is not there yet."};
}

Error in_use(const std::string& path) {
  return {Code::rejected, path + " is being written by another meterctl. Wait for it, or name another file."};
}

// False: another run, which is writing it or about to remove it, has it locked.
bool lock(int fd) { return ::flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; }

// Whether the path is still this file's: not removed, and no other one in its place.
bool is_at(int fd, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(fd, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

// Of a run that was killed. What another run is still writing stays, and so does what is no file or cannot
// be opened: nobody knows then who has it locked.
Status clear_stale(const std::string& path) {
  const auto refuse = [&] {
    return Error{Code::rejected, path + " is in the way and cannot be opened: " + std::strerror(errno) +
                                     ". It may be another user's who is writing it. Wait for it, or name "
                                     "another file."};
  };
  struct stat is {};
  if (::lstat(path.c_str(), &is) != 0) return errno == ENOENT ? Status() : refuse();
  if (!S_ISREG(is.st_mode) && !S_ISLNK(is.st_mode))
    return Error{Code::rejected, path + " is in the way: it is " + kind_of(is) + ". Remove it."};
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return {};
  if (fd < 0 && errno != ELOOP) return refuse();  // a link has no lock, and no run makes one
  const bool is_free = fd < 0 || (lock(fd) && is_at(fd, path));
  Status cleared = is_free ? Status() : in_use(path);
  if (is_free && ::unlink(path.c_str()) != 0) cleared = system_error("cannot remove " + path);
  if (fd >= 0) ::close(fd);
  return cleared;
}

// FILE.part, made anew: whoever put something there before gets nothing written to it. Goes with the object
// unless it got its name.
class Part {
 public:
  explicit Part(std::string file) : file_(std::move(file)), path_(file_ + ".part") {}
  ~Part() {
    if (fd_ < 0) return;
    if (!named_ && is_at(fd_, path_)) (void)::unlink(path_.c_str());
    ::close(fd_);
  }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  Status make() {
    if (auto cleared = clear_stale(path_); !cleared) return cleared;
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return system_error("cannot make " + path_);
    if (!lock(fd) || !is_at(fd, path_)) {  // another run took it for a stale one
      ::close(fd);
      return in_use(path_);
    }
    fd_ = fd;
    return {};
  }
  const std::string& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }

  Status append(std::string_view piece) {
    while (!piece.empty()) {
      const auto wrote = ::write(fd_, piece.data(), piece.size());
      if (wrote < 0) return system_error("cannot write " + path_);
      bytes_ += static_cast<std::uint64_t>(wrote);
      piece.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return {};
  }
  Status sync() const {
    if (::fsync(fd_) != 0) return system_error("cannot write " + path_);
    return {};
  }
  Status name() {
    if (!is_at(fd_, path_))
      return Error{Code::rejected,
                   path_ + " was replaced while it was being written. Nothing was saved; do it again."};
    if (::rename(path_.c_str(), file_.c_str()) != 0) return system_error("cannot rename " + path_);
    named_ = true;
    const auto slash = file_.rfind('/');
    const auto directory = slash == std::string::npos ? std::string(".") : file_.substr(0, slash + 1);
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = fd >= 0 && ::fsync(fd) == 0;
    if (fd >= 0) ::close(fd);
    if (!synced) return system_error("cannot sync " + directory);
    return {};
  }

 private:
  std::string file_, path_;
  int fd_ = -1;
  bool named_ = false;
  std::uint64_t bytes_ = 0;
};

}  // namespace

Exit save(Session& session, const Request& request, const std::string& file, const CheckCopy& check) {
  const auto refuse = [&](const Error& error, Exit exit) {
    complain(session.err, error.message);
    return exit;
  };
  if (auto may = may_be_replaced(file); !may) return refuse(may.error(), Exit::failed);
  Part part(file);
  if (auto made = part.make(); !made) return refuse(made.error(), Exit::failed);
  const auto answer =
      download(session.daemon, request, [&part](std::string_view piece) { return part.append(piece); });
  if (!answer) return refuse(answer.error(), exit_for(answer.error().code));
  if (answer->status != kOk) return refuse({Code::rejected, reason_in(*answer)}, Exit::failed);
  if (auto synced = part.sync(); !synced) return refuse(synced.error(), Exit::failed);
  const auto found = check(part.path());
  if (!found) return refuse(found.error(), Exit::failed);
  if (auto named = part.name(); !named) return refuse(named.error(), Exit::failed);
  if (session.json)
    session.out << json::serialize(json::object{{"file", file}, {"bytes", part.bytes()}}) << '\n';
  else
    session.out << join(
        wrap_words(clean(file) + ": " + std::to_string(part.bytes()) + " bytes, " + *found, {0, 2}));
  return Exit::fine;
}

}  // namespace meterd::ctl
