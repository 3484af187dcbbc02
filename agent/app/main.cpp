// meterd --config FILE [--check]
#include <fcntl.h>
#include <getopt.h>
#include <google/protobuf/stubs/logging.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <sstream>

#include "agent/app/config.hpp"
#include "agent/app/config_plan.hpp"
#include "agent/app/daemon.hpp"
#include "agent/app/version.hpp"
#include "agent/base/log_summary.hpp"
#include "platform/linux/linux.hpp"

namespace {

// Secrets must not reach a core file.
void forbid_core_files() {
  const rlimit none{0, 0};
  (void)setrlimit(RLIMIT_CORE, &none);  // can only fail upwards
}

// With 0, 1 or 2 closed, the journal's files would get these numbers and then the log's lines.
void open_standard_files() {
  for (int fd = 0; fd <= 2; ++fd)
    if (fcntl(fd, F_GETFD) < 0)
      (void)open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);  // the lowest free number
}

// Two servers of up to 256 connections each, the journal, and some room. Apps that count in shared memory
// have 256 connections and two for each of 256 regions besides, where that is allowed.
constexpr rlim_t kFilesNeeded = 640;
constexpr rlim_t kFilesWanted = 1'408;

bool raise_file_limit() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return true;
  if (files.rlim_cur < kFilesWanted && files.rlim_max > files.rlim_cur) {
    files.rlim_cur = std::min(kFilesWanted, files.rlim_max);
    (void)setrlimit(RLIMIT_NOFILE, &files);  // checked by what it is afterwards
    (void)getrlimit(RLIMIT_NOFILE, &files);
  }
  return files.rlim_cur >= kFilesNeeded;
}

// One line each, as they were found.
void log_problems(const std::string& problems, meterd::Log& log) {
  std::istringstream lines(problems);
  for (std::string problem; std::getline(lines, problem);)
    log.error("not_started",
              {{"error", problem},
               {"do", "correct it; meterd --check shows whether all is right; then start meterd"}});
}

int run(const std::string& path, bool check_only) {
  const char* credentials = std::getenv("CREDENTIALS_DIRECTORY");
  const meterd::app::ConfigSources sources{
      meterd::platform::read_machine_id(), credentials != nullptr ? credentials : "",
      [](const auto& name) { return meterd::platform::find_user(name).has_value(); },
      [](const auto& name) { return meterd::platform::find_group(name).has_value(); }};
  auto config = meterd::app::load_config(path, sources);
  if (!config && check_only) {
    std::fprintf(stderr, "%s\n", config.error().message.c_str());
    return meterd::app::kExitConfiguration;
  }
  if (check_only) {
    for (const auto& warning : config->warnings) std::fprintf(stderr, "warning: %s\n", warning.c_str());
    std::fputs((meterd::app::describe(*config) + meterd::app::describe_plan(*config)).c_str(), stdout);
    return meterd::app::kExitFine;
  }
  meterd::StderrLog lines;
  meterd::SummarisingLog log(lines, [] { return meterd::platform::read_boot().since_boot; });
  if (!config) {
    log_problems(config.error().message, log);
    return meterd::app::kExitConfiguration;
  }
  if (!raise_file_limit()) {
    log.error("not_started", {{"error", "too few open files are allowed"},
                              {"do", "allow at least 640: ulimit -n, or LimitNOFILE= in the unit"}});
    return meterd::app::kExitConfiguration;
  }
  for (const auto& warning : config->warnings) log.warning("configuration", {{"what", warning}});
  return meterd::app::run_daemon(std::move(*config), {path, sources}, log);
}

constexpr const char* kHelp =
    R"(meterd counts metered events on this device and delivers them to the billing system.
Usage: meterd [OPTIONS]

Options:
  -h,--help                   Print this help message and exit
  --config FILE               The configuration file (/etc/meterd/meterd.toml)
  --check                     Validate, print the effective configuration without secrets, and exit
  --version                   Display program version information and exit
)";

struct CommandLine {
  std::string config = "/etc/meterd/meterd.toml";
  bool check_only = false;
  std::optional<int> exit_code = {};  // everything asked for is answered, or it was not understood
};

// Not CLI11, as in meterctl: it would be a thirtieth of the daemon.
CommandLine read_command_line(int argc, char** argv) {
  static constexpr option kOptions[] = {{"help", no_argument, nullptr, 'h'},
                                        {"config", required_argument, nullptr, 'c'},
                                        {"check", no_argument, nullptr, 'k'},
                                        {"version", no_argument, nullptr, 'v'},
                                        {}};
  CommandLine line;
  for (int found = 0; (found = getopt_long(argc, argv, "h", kOptions, nullptr)) != -1;) {
    switch (found) {
      case 'c':
        line.config = optarg;
        break;
      case 'k':
        line.check_only = true;
        break;
      case 'h':
        std::fputs(kHelp, stdout);
        line.exit_code = meterd::app::kExitFine;
        return line;
      case 'v':
        std::printf("meterd %s\n", meterd::app::kVersion);
        line.exit_code = meterd::app::kExitFine;
        return line;
      default:
        line.exit_code = meterd::app::kExitConfiguration;  // and getopt_long has said why
    }
  }
  if (optind < argc) {
    std::fprintf(stderr, "meterd: not expected: %s\n", argv[optind]);
    line.exit_code = meterd::app::kExitConfiguration;
  }
  if (line.exit_code) std::fputs("Run with --help for more information.\n", stderr);
  return line;
}

}  // namespace

int main(int argc, char** argv) {
  // Fixed: glibc raises it with each large block that is freed, and keeps the next ones for good.
  (void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
  open_standard_files();
  forbid_core_files();
  google::protobuf::SetLogHandler(nullptr);  // a message that does not parse is ours to report
  std::signal(SIGPIPE, SIG_IGN);             // a peer, or the log's reader, that goes away is an error code
  std::signal(SIGIO, SIG_IGN);  // a lease on a file of counters was broken: it is asked, not told
  const CommandLine line = read_command_line(argc, argv);
  if (line.exit_code) return *line.exit_code;
  return run(line.config, line.check_only);
}
