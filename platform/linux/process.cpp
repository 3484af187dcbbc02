// From /proc/self, which costs no disk access.
#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "platform/linux/linux.hpp"

namespace meterd::platform {
namespace {

std::optional<std::uint64_t> written_bytes() {
  std::ifstream file("/proc/self/io");  // absent without CONFIG_TASK_IO_ACCOUNTING
  std::string name;
  std::uint64_t value = 0;
  while (file >> name >> value)
    if (name == "write_bytes:") return value;
  return std::nullopt;
}

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  file >> all >> resident;  // in pages; nothing is read where /proc is not mounted
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t open_files() {
  DIR* files = opendir("/proc/self/fd");
  if (files == nullptr) return 0;
  std::uint64_t count = 0;
  while (const dirent* one = readdir(files)) count += one->d_name[0] != '.' ? 1U : 0U;
  closedir(files);
  return count - 1;  // the directory's own
}

Microseconds span_of(const timeval& time) { return Seconds(time.tv_sec) + Microseconds(time.tv_usec); }

class LinuxProcess final : public Process {
 public:
  ProcessUse use() const override {
    ProcessUse out;
    out.written_bytes = written_bytes();
    out.resident_bytes = resident_bytes();
    out.open_files = open_files();
    rusage used{};
    if (getrusage(RUSAGE_SELF, &used) == 0) out.cpu = span_of(used.ru_utime) + span_of(used.ru_stime);
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) out.open_files_max = files.rlim_cur;
    return out;
  }
};

}  // namespace

std::unique_ptr<Process> make_process() { return std::make_unique<LinuxProcess>(); }

}  // namespace meterd::platform
