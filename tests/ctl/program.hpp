// Runs a program to its end with its two outputs kept apart.
#pragma once

#include <string>
#include <vector>

namespace meterd::test {

struct Finished {
  int exit_code = -1;  // minus the signal, if one ended it
  std::string out;
  std::string err;
};

// `arguments[0]` is the program's path. Both outputs together stay below a pipe's 64 KiB each.
Finished run_program(const std::vector<std::string>& arguments);
// As a user whom the modes of files bind, which they do not bind root.
Finished run_bound_by_modes(std::vector<std::string> arguments);

}  // namespace meterd::test
