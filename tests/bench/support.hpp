// What the bench programs share: command lines, time, sockets, percentiles and the one JSON line that each
// prints. A program that cannot go on says why on stderr and exits with 1: the orchestrator then shows the
// row as failed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace meterd::bench {

// Prints `what`, and errno's text if it is set, and exits with 1.
[[noreturn]] void fail(const std::string& what);

// Monotonic, in nanoseconds.
std::int64_t now_ns();
// Returns at `at_ns` of that clock.
void wait_until_ns(std::int64_t at_ns);

// "--name value" pairs; a name that is not in `known` ends the program.
class Options {
 public:
  Options(int argc, char** argv, std::initializer_list<std::string_view> known);
  std::string text(std::string_view name, std::string fallback = {}) const;
  std::int64_t number(std::string_view name, std::int64_t fallback) const;

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

// All sockets block. `type`: SOCK_STREAM or SOCK_DGRAM.
int connect_unix(const std::string& path, int type);
int connect_udp(std::uint16_t port);  // on 127.0.0.1
int listen_unix(const std::string& path, int type);
int bind_udp(std::uint16_t port);
void set_receive_buffer(int fd, int bytes);  // beyond net.core.rmem_max where that is allowed
void send_all(int fd, std::string_view bytes);

// "sub_00042" and the like: the same width for every number, so that all lines and frames are as long.
std::string subscription_name(std::size_t number);
// 0 to count - 1 in an order that looks random and is the same every time.
std::vector<std::size_t> shuffled(std::size_t count);

struct Spread {
  double p50_us = 0, p99_us = 0, max_us = 0;
};
Spread spread_of(std::vector<std::int64_t> durations_ns);

// One flat JSON object, printed as a line.
class JsonLine {
 public:
  JsonLine& add(std::string_view name, std::uint64_t value);
  JsonLine& add(std::string_view name, double value);
  JsonLine& add(const Spread& spread);
  void print() const;

 private:
  void begin(std::string_view name);
  std::string text_;
};

// The block device's bytes on this process's account so far (/proc/self/io).
std::uint64_t written_bytes();

// For totals keyed by text that is looked up as string_view.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

}  // namespace meterd::bench
