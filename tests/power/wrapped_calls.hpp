// The system calls by which LMDB and the journal change the disk, told to an observer. The linker puts the
// functions of wrapped_calls.cpp before the C library's (-Wl,--wrap), in the power test's executables only;
// LMDB comes from its static library there, or its calls could not be seen. One thread, one observer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace meterd::power {

// Every function is called after the real call has succeeded and before it returns to the caller; `fd` is one
// that opened() was told of and closed() not. Calls that an observer makes itself are not observed.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void opened(int fd, const std::string& path, int flags) = 0;  // of any file: it decides by the path
  virtual void closed(int fd) = 0;
  virtual void wrote(int fd, std::uint64_t offset, std::string_view bytes) = 0;
  virtual void reserved(int fd) = 0;  // blocks, or a length without content
  virtual void synced(int fd) = 0;    // called before the real one, which does nothing in memory
  virtual void renamed(const std::string& from, const std::string& to) = 0;
  virtual void removed(const std::string& path) = 0;
};

// nullptr: nobody. `environment_flags` are added to each mdb_env_open while somebody observes: the negative
// controls.
void observe(Observer* observer, unsigned environment_flags = 0);

// For the time of an observer's own work: calls go through unobserved.
class Unobserved {
 public:
  Unobserved();
  ~Unobserved();
  Unobserved(const Unobserved&) = delete;
  Unobserved& operator=(const Unobserved&) = delete;

 private:
  Observer* observer_;
};

}  // namespace meterd::power
