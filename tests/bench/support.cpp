#include "tests/bench/support.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>

namespace meterd::bench {

void fail(const std::string& what) {
  const std::string reason = errno != 0 ? std::string(": ") + std::strerror(errno) : std::string();
  std::fprintf(stderr, "%s%s\n", what.c_str(), reason.c_str());
  std::exit(1);
}

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void wait_until_ns(std::int64_t at_ns) {
  const timespec at{at_ns / 1'000'000'000, at_ns % 1'000'000'000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) == EINTR) {
  }
}

Options::Options(int argc, char** argv, std::initializer_list<std::string_view> known) {
  for (int i = 1; i < argc; i += 2) {
    const std::string_view given = argv[i];
    const auto name = given.starts_with("--") ? given.substr(2) : std::string_view();
    if (i + 1 >= argc || std::find(known.begin(), known.end(), name) == known.end()) {
      std::string usage = std::string(argv[0]) + ": not understood: " + argv[i] + "; there are";
      for (const auto one : known) usage += " --" + std::string(one);
      errno = 0;
      fail(usage);
    }
    values_[std::string(name)] = argv[i + 1];
  }
}

std::string Options::text(std::string_view name, std::string fallback) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::move(fallback) : found->second;
}

std::int64_t Options::number(std::string_view name, std::int64_t fallback) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return fallback;
  const auto& digits = found->second;
  std::int64_t value = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size())
    fail("--" + std::string(name) + " takes a whole number");
  return value;
}

namespace {

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) fail(path + " is too long for a socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

template <typename Address>
const sockaddr* raw(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

int open_socket(int family, int type) {
  const int fd = socket(family, type | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  return fd;
}

}  // namespace

int connect_unix(const std::string& path, int type) {
  const int fd = open_socket(AF_UNIX, type);
  const auto address = unix_address(path);
  if (connect(fd, raw(address), sizeof address) != 0) fail(path);
  return fd;
}

int connect_udp(std::uint16_t port) {
  const int fd = open_socket(AF_INET, SOCK_DGRAM);
  const auto address = loopback(port);
  if (connect(fd, raw(address), sizeof address) != 0) fail("connect");
  return fd;
}

int listen_unix(const std::string& path, int type) {
  const int fd = open_socket(AF_UNIX, type);
  const auto address = unix_address(path);
  unlink(path.c_str());
  if (bind(fd, raw(address), sizeof address) != 0) fail(path);
  if (type == SOCK_STREAM && listen(fd, 128) != 0) fail(path);
  return fd;
}

int bind_udp(std::uint16_t port) {
  const int fd = open_socket(AF_INET, SOCK_DGRAM);
  const auto address = loopback(port);
  if (bind(fd, raw(address), sizeof address) != 0) fail("bind");
  return fd;
}

void set_receive_buffer(int fd, int bytes) {
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      fail("send");
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string subscription_name(std::size_t number) {
  char text[16];
  std::snprintf(text, sizeof text, "sub_%05zu", number % 100'000);
  return text;
}

std::vector<std::size_t> shuffled(std::size_t count) {
  std::vector<std::size_t> order(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = i;
  std::uint64_t state = 0x9E3779B97F4A7C15U;
  for (std::size_t i = count; i > 1; --i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    std::swap(order[i - 1], order[(state >> 33U) % i]);
  }
  return order;
}

Spread spread_of(std::vector<std::int64_t> durations_ns) {
  if (durations_ns.empty()) return {};
  std::sort(durations_ns.begin(), durations_ns.end());
  const auto at = [&](std::size_t percent) {
    return static_cast<double>(durations_ns[(durations_ns.size() - 1) * percent / 100]) / 1000.0;
  };
  return {at(50), at(99), at(100)};
}

void JsonLine::begin(std::string_view name) {
  text_ += text_.empty() ? "{\"" : ", \"";
  text_ += name;
  text_ += "\": ";
}

JsonLine& JsonLine::add(std::string_view name, std::uint64_t value) {
  begin(name);
  text_ += std::to_string(value);
  return *this;
}

JsonLine& JsonLine::add(std::string_view name, double value) {
  begin(name);
  text_ += std::to_string(value);
  return *this;
}

JsonLine& JsonLine::add(const Spread& spread) {
  return add("p50_us", spread.p50_us).add("p99_us", spread.p99_us).add("max_us", spread.max_us);
}

void JsonLine::print() const {
  std::printf("%s}\n", text_.c_str());
  std::fflush(stdout);
}

std::uint64_t written_bytes() {
  std::ifstream io("/proc/self/io");
  std::string name;
  std::uint64_t value = 0;
  while (io >> name >> value)
    if (name == "write_bytes:") return value;
  return 0;
}

}  // namespace meterd::bench
