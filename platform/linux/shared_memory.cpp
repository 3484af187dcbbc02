#include "platform/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

namespace meterd::platform {
namespace {

constexpr long kTmpfsMagic = 0x01021994;
constexpr std::string_view kNamesSuffix = ".names";
constexpr std::string_view kStorePrefix = "meterd-counters-";

Error failed(const std::string& what) {
  const Code code = errno == ENOSPC || errno == EMFILE || errno == ENFILE ? Code::full : Code::io;
  return {code, what + ": " + std::strerror(errno)};
}

Status set_size(const MemoryFile& file, std::size_t size) {
  if (ftruncate(file.fd(), static_cast<off_t>(size)) != 0) return failed("memory for counters");
  return {};
}

bool is_sealed(const MemoryFile& memory) {
  const int seals = fcntl(memory.fd(), F_GET_SEALS);
  return seals >= 0 && (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) == (F_SEAL_SHRINK | F_SEAL_GROW);
}

MemoryFile open_at(const std::string& path, int flags) {
  // A lease that a reader thread has on it for a moment is no reason to wait.
  return MemoryFile(open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, 0600));
}

MemoryFile open_again(const MemoryFile& file, int flags) {
  return open_at("/proc/self/fd/" + std::to_string(file.fd()), flags);
}

// What both have in common: memory of either kind, since an app may give back what a meterd that ran
// elsewhere made.
class LinuxMemory : public SharedMemory {
 public:
  Id random_id() override {
    Id id{};
    check(getrandom(id.data(), id.size(), 0) == static_cast<ssize_t>(id.size()),
          "the kernel gives random bytes");
    return id;
  }
  bool same_memory(const Kept& kept, const MemoryFile& other) const override {
    struct stat a {};
    struct stat b {};
    return fstat(kept.memory.fd(), &a) == 0 && fstat(other.fd(), &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
  }
  bool cut_to_size(const Kept& kept, std::size_t size) override {
    if (kept.memory.size() <= size) return false;
    const MemoryFile own = open_again(kept.memory, O_RDWR);
    return own.fd() >= 0 && set_size(own, size).ok();
  }
  Result<MemoryFile> share(const Kept& kept) override {
    MemoryFile out = open_again(kept.memory, O_RDWR);
    if (out.fd() < 0) return failed("memory for counters");
    return out;
  }
  // Sealed memory: a seal against writing is refused by the kernel while anybody has it mapped for writing,
  // and keeps everybody from doing so later. A file: a write lease is refused while anybody else has it open
  // for writing or mapped; nobody but us can open it by its name, and our own descriptor only reads.
  bool is_in_use(const Kept& kept) const override {
    if (is_sealed(kept.memory)) {
      if (fcntl(kept.memory.fd(), F_ADD_SEALS, F_SEAL_WRITE) == 0) return false;
      return errno == EBUSY ||
             errno == EINTR;  // else the app sealed it: it has no say in how long it is kept
    }
    if (fcntl(kept.memory.fd(), F_SETLEASE, F_WRLCK) != 0) return true;
    (void)fcntl(kept.memory.fd(), F_SETLEASE, F_UNLCK);
    return false;
  }

  // Of a file system that never waits: an app could pass a descriptor of any kind.
  Result<MemoryFile> recognise(MemoryFile memory, std::size_t size) override {
    struct stat info {};
    struct statfs system {};
    const bool ours = fstat(memory.fd(), &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == geteuid() &&
                      info.st_size == static_cast<off_t>(size) && fstatfs(memory.fd(), &system) == 0 &&
                      system.f_type == kTmpfsMagic;
    if (!ours) return Error{Code::rejected, "this memory was not made by meterd"};
    if (is_sealed(memory)) {
      if ((fcntl(memory.fd(), F_GET_SEALS) & F_SEAL_WRITE) == 0) return memory;
      return Error{Code::rejected, "this memory was counted to its end"};
    }
    memory = open_again(memory, O_RDONLY);
    if (memory.fd() < 0) return failed("memory for counters");
    return memory;
  }
};

// Sealed memory without a name: no app can cut it short.
class StoredMemory final : public LinuxMemory {
 public:
  std::vector<Kept> find() override {
    std::map<std::string, Kept> found;
    char** names = nullptr;
    const int count = sd_listen_fds_with_names(0, &names);
    for (int i = 0; i < count; ++i) {
      MemoryFile file(SD_LISTEN_FDS_START + i);
      std::string_view name = names[i];
      const bool ours = name.starts_with(kStorePrefix);
      if (ours) name.remove_prefix(kStorePrefix.size());
      const bool is_names = name.ends_with(kNamesSuffix);
      if (is_names) name.remove_suffix(kNamesSuffix.size());
      const auto id = ours ? parse_id(name) : std::nullopt;
      if (!id) {
        (void)file.release();  // a socket, which is others' to take
        continue;
      }
      auto& kept = found[std::string(name)];
      kept.id = *id;
      (is_names ? kept.names : kept.memory) = std::move(file);
    }
    for (int i = 0; i < count; ++i) std::free(names[i]);
    std::free(names);
    std::vector<Kept> out;
    for (auto& [name, kept] : found) {
      // A process that was killed had got no further: without its memory it is nothing.
      if (kept.memory.fd() < 0)
        (void)drop(kept);  // found again at worst
      else
        out.push_back(std::move(kept));
    }
    return out;
  }

  Result<Kept> make(const Sizes& sizes) override {
    auto memory = sealed(sizes.memory);
    if (!memory) return memory.error();
    return keep({random_id(), std::move(*memory), {}}, sizes);
  }

  Result<Kept> take_back(const Id& id, MemoryFile memory, const Sizes& sizes) override {
    return keep({id, std::move(memory), {}}, sizes);
  }

  Status drop(const Kept& kept) override {
    const auto name = std::string(kStorePrefix) + text_of(kept.id);
    for (const auto& each : {name, name + std::string(kNamesSuffix)})
      if (const int sent = sd_notify(0, ("FDSTOREREMOVE=1\nFDNAME=" + each).c_str()); sent < 0) {
        errno = -sent;
        return failed("the service manager");
      }
    return {};
  }

 private:
  static Result<MemoryFile> sealed(std::size_t size) {
    MemoryFile file(memfd_create("meterd-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (file.fd() < 0) return failed("memory for counters");
    if (auto s = set_size(file, size); !s) return s.error();
    if (fcntl(file.fd(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) return failed("memory for counters");
    return file;
  }
  Result<Kept> keep(Kept kept, const Sizes& sizes) {
    auto names = sealed(sizes.names);
    if (!names) return names.error();
    kept.names = std::move(*names);
    const auto name = std::string(kStorePrefix) + text_of(kept.id);
    if (auto s = push(name + std::string(kNamesSuffix), kept.names); !s) return s.error();
    if (auto s = push(name, kept.memory); !s) {
      (void)drop(kept);
      return s.error();
    }
    return kept;
  }
  static Status push(const std::string& name, const MemoryFile& file) {
    const int fd = file.fd();
    const int sent = sd_pid_notify_with_fds(0, 0, ("FDSTORE=1\nFDNAME=" + name).c_str(), &fd, 1);
    if (sent > 0) return {};
    errno = sent < 0 ? -sent : ENOTCONN;
    return failed("the service manager");
  }
};

// Files below the runtime directory. Whoever cuts his own short is refused by the source; they outlive also a
// stop, where the directory does.
class DirectoryMemory final : public LinuxMemory {
 public:
  explicit DirectoryMemory(std::string directory) : directory_(std::move(directory)) {}

  std::vector<Kept> find() override {
    std::vector<Kept> out;
    std::vector<std::string> left;
    std::error_code error;
    for (std::filesystem::directory_iterator at(directory_, error), end; !error && at != end;
         at.increment(error)) {
      const auto id = parse_id(at->path().filename().string());
      if (!id) {
        if (is_left_alone(at->path())) left.push_back(at->path());
        continue;
      }
      Kept kept{*id, open_at(path_of(*id), O_RDONLY), open_at(names_of(*id), O_RDWR)};
      if (kept.memory.fd() >= 0) out.push_back(std::move(kept));
    }
    for (const auto& path : left) (void)unlink(path.c_str());  // found again at worst
    return out;
  }

  Result<Kept> make(const Sizes& sizes) override {
    Kept kept{random_id(), {}, {}};
    if (auto s = make_files(kept, sizes); !s) {
      (void)drop(kept);
      return s.error();
    }
    return kept;
  }

  Result<Kept> take_back(const Id& id, MemoryFile memory, const Sizes& sizes) override {
    Kept kept{id, std::move(memory), {}, true};
    kept.names = MemoryFile(memfd_create("meterd-names", MFD_CLOEXEC));
    if (kept.names.fd() < 0) return failed("memory for counters");
    if (auto s = set_size(kept.names, sizes.names); !s) return s.error();
    return kept;
  }

  Status drop(const Kept& kept) override {
    if (kept.in_memory_only) return {};
    if (unlink(path_of(kept.id).c_str()) != 0 && errno != ENOENT) return failed(path_of(kept.id));
    (void)unlink(names_of(kept.id).c_str());  // without its memory it is nothing
    return {};
  }

 private:
  // Names without memory: a process was killed before it made that, or after it had dropped it.
  static bool is_left_alone(const std::filesystem::path& path) {
    std::error_code error;
    return path.extension() == kNamesSuffix && parse_id(path.stem().string()) &&
           !std::filesystem::exists(std::filesystem::path(path).replace_extension(), error) && !error;
  }
  std::string path_of(const Id& id) const { return directory_ + "/" + text_of(id); }
  std::string names_of(const Id& id) const { return path_of(id) + std::string(kNamesSuffix); }
  Status make_files(Kept& kept, const Sizes& sizes) {
    auto names = make_names(kept.id, sizes);
    if (!names) return names.error();
    kept.names = std::move(*names);
    MemoryFile made = open_at(path_of(kept.id), O_RDWR | O_CREAT | O_EXCL);
    if (made.fd() < 0) return failed(path_of(kept.id));
    if (auto s = set_size(made, sizes.memory); !s) return s.error();
    kept.memory = open_at(path_of(kept.id), O_RDONLY);
    if (kept.memory.fd() < 0) return failed(path_of(kept.id));
    return {};
  }
  Result<MemoryFile> make_names(const Id& id, const Sizes& sizes) {
    (void)mkdir(directory_.c_str(), 0700);  // what is in the way is said by open
    MemoryFile names = open_at(names_of(id), O_RDWR | O_CREAT | O_EXCL);
    if (names.fd() < 0) return failed(names_of(id));
    if (auto s = set_size(names, sizes.names); !s) return s.error();
    return names;
  }

  std::string directory_;
};

}  // namespace

std::unique_ptr<SharedMemory> make_shared_memory(const std::string& directory) {
  const char* places = std::getenv("FDSTORE");
  if (places != nullptr && std::atoi(places) > 0 && std::getenv("NOTIFY_SOCKET") != nullptr)
    return std::make_unique<StoredMemory>();
  return std::make_unique<DirectoryMemory>(directory);
}

}  // namespace meterd::platform
