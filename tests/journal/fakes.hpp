// Fakes of the platform's seams that the journal needs, and a directory that goes with the test.
#pragma once

#include <stdlib.h>  // mkdtemp
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "platform/disk.hpp"
#include "platform/random.hpp"

namespace meterd::journal {

class FakeDisk final : public platform::Disk {
 public:
  Status suits = {};
  Status suits_journal(const std::string&) const override { return suits; }
};

// Counts on: every call gives other bytes, and a test can tell whether it was asked at all.
class FakeRandom final : public platform::Random {
 public:
  std::uint64_t asked = 0;
  std::uint64_t next() override { return ++asked; }
  std::string bytes(std::size_t count) override {
    return std::string(count, static_cast<char>('a' + asked++ % 26));
  }
};

// In memory where the system has that: thousands of commits then cost neither time nor flash. TMPDIR
// overrules it.
class TempDirectory {
 public:
  TempDirectory() {
    constexpr const char* kMemory = "/dev/shm";
    const bool in_memory = std::getenv("TMPDIR") == nullptr && access(kMemory, W_OK) == 0;
    path_ = ((in_memory ? std::filesystem::path(kMemory) : std::filesystem::temp_directory_path()) /
             "meterd-journal-XXXXXX")
                .string();
    if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error("no temporary directory");
  }
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace meterd::journal
