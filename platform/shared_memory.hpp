// Memory that apps write and meterd reads, and that outlives both: in the service manager's store of file
// descriptors, or in files below a directory in memory. Nothing here maps it: whatever an app does to its
// memory, reading ours fails at worst. All calls are quick but `is_in_use`. One thread, but for that.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.hpp"

namespace meterd::platform {

// A file in memory; closes itself.
class MemoryFile {
 public:
  MemoryFile() = default;
  explicit MemoryFile(int fd) : fd_(fd) {}
  MemoryFile(MemoryFile&& other) noexcept : fd_(other.release()) {}
  MemoryFile& operator=(MemoryFile&& other) noexcept;
  ~MemoryFile();
  int fd() const { return fd_; }
  int release();

  std::size_t size() const;  // 0 also if it has none
  // How many bytes were read: fewer than asked for at the file's end.
  Result<std::size_t> read_at(std::size_t offset, std::span<char> into) const;
  Status write_at(std::size_t offset, std::string_view bytes) const;  // all of them

 private:
  int fd_ = -1;
};

class SharedMemory {
 public:
  using Id = std::array<std::uint8_t, 16>;
  struct Sizes {
    std::size_t memory = 0, names = 0;
  };
  // `memory` is what an app writes. `names` is ours alone. Either may be missing in what is found.
  struct Kept {
    Id id{};
    MemoryFile memory, names;
    bool in_memory_only = false;  // the file that an app gave back: it does not outlive this process
  };

  virtual ~SharedMemory() = default;
  virtual Id random_id() = 0;
  // What an earlier process left. Once, at the start.
  virtual std::vector<Kept> find() = 0;
  // New and zero. It outlives this process from now on.
  virtual Result<Kept> make(const Sizes& sizes) = 0;
  // Memory that an app has and an earlier process made, to be read and nothing more. Code::rejected: it is
  // none of ours, or nobody can write it any more.
  virtual Result<MemoryFile> recognise(MemoryFile memory, std::size_t size) = 0;
  // What was recognised, kept under that id.
  virtual Result<Kept> take_back(const Id& id, MemoryFile memory, const Sizes& sizes) = 0;
  virtual bool same_memory(const Kept& kept, const MemoryFile& other) const = 0;
  // What its app made longer is cut to its size again: it would fill the file system. False: it was not.
  virtual bool cut_to_size(const Kept& kept, std::size_t size) = 0;
  // For an app: it may write through that, the caller closes it once it is passed on.
  virtual Result<MemoryFile> share(const Kept& kept) = 0;
  // Whether anybody can still write it, by a mapping or a descriptor, whichever process has it. Once it is
  // false it stays so. Any thread; may take a tenth of a second.
  virtual bool is_in_use(const Kept& kept) const = 0;
  // A later process does not find it any more.
  virtual Status drop(const Kept& kept) = 0;
};

// Sixteen bytes as a name, and back.
std::string text_of(const SharedMemory::Id& id);
std::optional<SharedMemory::Id> parse_id(std::string_view text);

// In the service manager's store where it says that there is one (FDSTORE), else in files of `directory`.
std::unique_ptr<SharedMemory> make_shared_memory(const std::string& directory);

}  // namespace meterd::platform
