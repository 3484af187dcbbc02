// A program started by a test, spoken to over its standard output, stopped by its process id. The program
// dies with the test (PR_SET_PDEATHSIG), however the test ends. Start it before the test starts threads of
// its own.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace meterd::test {

class ChildProcess {
 public:
  // `arguments[0]` is the program's path. A program that cannot be started ends with exit code 127.
  explicit ChildProcess(const std::vector<std::string>& arguments);
  ~ChildProcess();  // stops it
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The next line of its standard output without its end; nullopt if it closed its output or `patience` is
  // over.
  std::optional<std::string> read_line(std::chrono::milliseconds patience = std::chrono::seconds(20));

  // Sends the signal and waits for the end. Returns the exit code, or minus the signal that ended it.
  int stop();  // SIGTERM
  int kill();  // SIGKILL
  int wait();  // no signal: it ends by itself
  pid_t pid() const { return pid_; }

 private:
  int end_with(int signal);

  pid_t pid_ = -1;
  int output_ = -1;
  int exit_code_ = 0;
  std::string pending_;
};

// Runs it to its end; its exit code.
int run_process(const std::vector<std::string>& arguments);

}  // namespace meterd::test
