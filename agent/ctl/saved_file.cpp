#include "agent/ctl/saved_file.hpp"

#include <fcntl.h>
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

// FILE.part; goes with the object unless it got its name.
class Part {
 public:
  explicit Part(std::string file) : file_(std::move(file)), path_(file_ + ".part") {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  }
  ~Part() {
    if (fd_ < 0) return;
    ::close(fd_);
    if (!named_) (void)::unlink(path_.c_str());
  }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  bool is_open() const { return fd_ >= 0; }
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
  Part part(file);
  if (!part.is_open()) return refuse(system_error("cannot make " + part.path()), Exit::failed);
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
