// meterctl restore: a backup becomes a journal. The order makes a power cut harmless at any point: the copy
// is whole and on the disk under another name, the mark says that a copy is there, then the copy gets its
// name.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <ostream>

#include "agent/ctl/layout.hpp"
#include "agent/ctl/offline/verbs.hpp"
#include "agent/ctl/render_parts.hpp"
#include "agent/journal/files.hpp"
#include "agent/journal/lock.hpp"
#include "agent/journal/portable.hpp"
#include "agent/journal/read.hpp"
#include "platform/linux/linux.hpp"

namespace meterd::ctl::offline {
namespace {

namespace json = boost::json;

Error system_error(const std::string& doing) {
  return {errno == ENOSPC || errno == EDQUOT ? Code::full : Code::io,
          doing + ": " + std::strerror(errno) + "."};
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_;
};

// Whoever owns the directory runs meterd.
Status give_to_owner_of(const std::string& directory, int fd) {
  struct stat owner {};
  if (::stat(directory.c_str(), &owner) != 0) return system_error("cannot look at " + directory);
  if (::geteuid() == 0 && ::fchown(fd, owner.st_uid, owner.st_gid) != 0)
    return system_error("cannot give the copy to the owner of " + directory);
  return {};
}

Status copy_bytes(const std::string& from, const std::string& to, const std::string& directory) {
  const File in(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in.is_open()) return system_error("cannot open " + from);
  (void)::unlink(to.c_str());  // of one that a power cut ended
  const File out(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out.is_open()) return system_error("cannot make " + to);
  std::array<char, 64 * 1024> piece{};
  for (;;) {
    const auto got = ::read(in.fd(), piece.data(), piece.size());
    if (got < 0) return system_error("cannot read " + from);
    if (got == 0) break;
    for (ssize_t done = 0; done < got;) {
      const auto wrote = ::write(out.fd(), piece.data() + done, static_cast<std::size_t>(got - done));
      if (wrote < 0) return system_error("cannot write " + to);
      done += wrote;
    }
  }
  if (auto given = give_to_owner_of(directory, out.fd()); !given) return given;
  if (::fsync(out.fd()) != 0) return system_error("cannot write " + to);
  return {};
}

// Follows no link: whoever owns the directory could have put one there.
Status give_file(const std::string& directory, const std::string& path) {
  const File file(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!file.is_open()) return system_error("cannot open " + path);
  if (auto given = give_to_owner_of(directory, file.fd()); !given) return given;
  return ::fsync(file.fd()) == 0 ? Status() : system_error("cannot write " + path);
}

Status give_new_directory(const std::string& directory, const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0) return system_error("cannot make " + path);
  const File made(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!made.is_open()) return system_error("cannot open " + path);
  return give_to_owner_of(directory, made.fd());
}

// A stream becomes a journal's file beside the place where it is to be.
Status import_stream(const std::string& from, const std::string& to, const std::string& directory) {
  const std::string aside = directory + "/making";
  const auto clear = [&] {
    for (const char* name : {"/data.mdb", "/lock.mdb"}) (void)::unlink((aside + name).c_str());
    (void)::rmdir(aside.c_str());
  };
  clear();  // of one that a power cut ended
  auto made = give_new_directory(directory, aside);
  if (made) made = journal::import_portable(from, aside);
  if (made) made = give_file(directory, aside + "/data.mdb");
  if (made && ::rename((aside + "/data.mdb").c_str(), to.c_str()) != 0)
    made = system_error("cannot make " + to);
  clear();
  return made;
}

Status refuse_kept_journal(const std::string& data) {
  struct stat is {};
  if (::stat(data.c_str(), &is) != 0 || is.st_size == 0) return {};
  return Error{Code::rejected,
               data +
                   " is there already. Nothing was changed. Restore into an empty directory, or move "
                   "this one away first: what it counted since the backup is in it alone."};
}

// What a restore itself removes or replaces.
Status refuse_own_file(const std::string& directory, const std::string& file) {
  namespace fs = std::filesystem;
  std::error_code failed;  // of a file that is not there
  if (!fs::equivalent(file, directory + "/data.mdb", failed) &&
      !fs::equivalent(file, directory + "/data.mdb.part", failed) &&
      !fs::equivalent(fs::canonical(file, failed).parent_path(), directory + "/making", failed))
    return {};
  return Error{Code::rejected, file + " is what a restore into " + directory +
                                   " replaces. Nothing was changed. Move it elsewhere first, or restore into "
                                   "another directory."};
}

Status sync_directory(const std::string& directory) {
  const File opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.is_open() || ::fsync(opened.fd()) != 0) return system_error("cannot sync " + directory);
  return {};
}

// What is wrong with this machine says nothing of the backup.
Error refused(const Error& why, const std::string& file) {
  if (why.code != Code::corrupt && why.code != Code::invalid)
    return {why.code, "cannot restore " + file + ": " + why.message};
  return {why.code, file + " is no backup that can be restored: " + why.message +
                        ". Nothing was changed; take another backup."};
}

Result<journal::Inspection> checked(const std::string& part, const std::string& file) {
  auto found = journal::inspect_file(part);
  if (!found) return refused(found.error(), file);
  return found;
}

// The whole copy, checked and on the disk, as `part` in the directory, which holds no journal.
Result<journal::Inspection> make_part(const std::string& directory, const std::string& file,
                                      const std::string& part) {
  if (auto free = refuse_kept_journal(directory + "/data.mdb"); !free) return free.error();
  if (auto other = refuse_own_file(directory, file); !other) return other.error();
  const bool portable = journal::is_portable(file);
  const auto copied = portable ? import_stream(file, part, directory) : copy_bytes(file, part, directory);
  auto found = copied
                   ? checked(part, file)
                   : Result<journal::Inspection>(portable ? refused(copied.error(), file) : copied.error());
  if (!found) (void)::unlink(part.c_str());  // what is left of it is refused by nobody and used by nobody
  return found;
}

Status name_part(const journal::DirectoryLock& lock, const std::string& directory, const std::string& part,
                 const std::string& data) {
  if (auto marked = lock.write({true, true}); !marked) return marked;
  if (::rename(part.c_str(), data.c_str()) != 0) return system_error("cannot rename " + part);
  auto synced = sync_directory(directory);
  if (!synced) (void)::unlink(data.c_str());
  return synced;
}

// A restore that fails leaves the directory as it was.
Result<journal::Inspection> put_in_place(const std::string& directory, const std::string& file) {
  if (auto suits = platform::make_disk()->suits_journal(directory); !suits) return suits.error();
  auto lock = journal::DirectoryLock::take(directory);
  if (!lock) return lock.error();
  const auto before = lock->read();
  if (!before) return before.error();
  const std::string data = directory + "/data.mdb";
  const std::string part = data + ".part";
  const auto given = lock->give_to_owner();
  auto found = given ? make_part(directory, file, part) : Result<journal::Inspection>(given.error());
  if (found) {
    const auto named = name_part(*lock, directory, part, data);
    if (named) return found;
    (void)::unlink(part.c_str());
    if (before->kept) (void)lock->write(*before);
    found = named.error();
  }
  if (!before->kept) (void)::unlink((directory + "/meterd.lock").c_str());
  return found;
}

std::string holds(const journal::CheckReport& report, const char* between) {
  return counted(report.balances, "balance", "balances") + between +
         counted(report.usages, "usage", "usages");
}

}  // namespace

Result<std::string> check_copy(const std::string& path) {
  const auto found = journal::inspect_file(path);
  if (!found) return found.error();
  const auto& report = found->report;
  if (!report.problems.empty())
    return Error{Code::corrupt, "its sums do not add up: " + report.problems.front()};
  return holds(report, ", ");
}

Result<std::string> check_portable(const std::string& path) {
  const auto records = journal::read_portable(path);
  if (!records) return records.error();
  return counted(*records, "record", "records");
}

Exit restore(const Session& session, const std::string& file) {
  const auto made = journal::NewDirectory::make(session.directory);
  const auto found = made ? put_in_place(session.directory, file) : made.error();
  if (!found) {
    if (made) made->take_back();
    complain(session.err, found.error().message);
    return Exit::failed;
  }
  const auto& report = found->report;
  if (session.json) {
    json::array problems(report.problems.begin(), report.problems.end());
    session.out << json::serialize(json::object{{"restored", session.directory},
                                                {"balances", report.balances},
                                                {"usages", report.usages},
                                                {"problems", std::move(problems)}})
                << '\n';
  } else {
    std::string text = "restored " + holds(report, " and ") + " into " + session.directory +
                       ". Start meterd, then run meterctl reconcile: nothing is sent before.";
    session.out << join(wrap_words(text, {0, 2}));
    for (const auto& problem : report.problems)
      session.out << join(wrap_words("problem: " + problem, {0, 2}));
  }
  return report.problems.empty() ? Exit::fine : Exit::attention;
}

}  // namespace meterd::ctl::offline
