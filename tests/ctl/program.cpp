#include "tests/ctl/program.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace meterd::test {
namespace {

struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
  }
  std::string drain() {
    ::close(ends[1]);
    std::string out;
    char piece[4096];
    for (ssize_t length = 0; (length = ::read(ends[0], piece, sizeof piece)) > 0;)
      out.append(piece, static_cast<std::size_t>(length));
    ::close(ends[0]);
    return out;
  }
};

}  // namespace

Finished run_program(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  Pipe out;
  Pipe err;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, out.ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err.ends[1], STDERR_FILENO);
  pid_t pid = -1;
  if (::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ) != 0) std::abort();
  ::posix_spawn_file_actions_destroy(&actions);
  Finished finished;
  finished.out = out.drain();
  finished.err = err.drain();
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  finished.exit_code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  return finished;
}

Finished run_bound_by_modes(std::vector<std::string> arguments) {
  if (::geteuid() == 0)
    arguments.insert(arguments.begin(), {"/usr/bin/setpriv", "--inh-caps=-all",
                                         "--bounding-set=-dac_override,-dac_read_search"});
  return run_program(arguments);
}

}  // namespace meterd::test
