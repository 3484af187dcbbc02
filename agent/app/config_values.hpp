// The values that a configuration writes as text: durations, sizes, URLs, sockets. Pure functions; each
// parser has its inverse, so that what is described can be loaded again. An error's message is a phrase
// without the input: it could hold a password.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/base/result.hpp"
#include "agent/base/usage_day.hpp"

namespace meterd::app {

// "250ms", "10s", "5m", "1h", "1d", "10y": a whole number and one unit, at most 100 years. A year is 365
// days.
Result<Milliseconds> parse_duration(std::string_view text);
std::string duration_text(Milliseconds duration);  // in the largest unit that keeps it exact

// "512KiB", "64MiB", "1GiB".
Result<std::uint64_t> parse_size(std::string_view text);
std::string size_text(std::uint64_t bytes);  // `bytes` is a whole number of KiB

struct HttpUrl {
  bool tls = true;
  std::string host;       // lower case; an IPv6 address without brackets
  std::string port;       // never empty
  std::string base_path;  // "" or "/...", without a trailing slash
};
// http or https, a host, perhaps a port and a path. No user or password, no query, no fragment.
Result<HttpUrl> parse_url(std::string_view text);
std::string url_text(const HttpUrl& url);

struct SocketAddress {
  enum class Kind : std::uint8_t { unix_path, udp, tcp };
  Kind kind = Kind::unix_path;
  std::string path;  // unix_path
  std::string host;  // a numeric address without brackets
  std::uint16_t port = 0;
};
// "unix:/absolute/path", "udp:127.0.0.1:8125", "127.0.0.1:8480", "[::1]:8480".
Result<SocketAddress> parse_socket(std::string_view text);

// An absolute path that fits the kernel's 108 bytes for a Unix socket.
bool is_socket_path(std::string_view path);

// "127.0.0.0/8" or "::1", as a number; a name is none.
bool is_loopback_address(const std::string& host);

}  // namespace meterd::app
