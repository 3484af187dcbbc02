// The daemon: the core with its sockets, signals and the service manager. One call runs it from start to
// polite end.
#pragma once

#include "agent/app/config.hpp"
#include "agent/base/log.hpp"

namespace meterd::app {

// Exit codes of the program (README): what an operator's script may rely on.
inline constexpr int kExitFine = 0;
inline constexpr int kExitFailed = 1;         // while running: the disk refused, or an invariant broke
inline constexpr int kExitConfiguration = 2;  // meterd.toml, a secret, or the command line
inline constexpr int kExitJournal = 3;        // in use, unreadable, newer, or no room: nothing was touched
inline constexpr int kExitSocket = 4;         // an address is taken or not allowed

// Where the configuration came from: a reload (SIGHUP) reads it again.
struct Start {
  std::string config_path;
  ConfigSources sources;
};

int run_daemon(Config config, const Start& start, Log& log);

}  // namespace meterd::app
