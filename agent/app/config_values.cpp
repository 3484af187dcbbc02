#include "agent/app/config_values.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/base/text.hpp"

namespace meterd::app {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t size;
};

// Largest first.
constexpr std::array<Unit, 6> kTimes{
    {{"y", 365LL * 86'400'000}, {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 3> kSizes{{{"GiB", 1LL << 30}, {"MiB", 1LL << 20}, {"KiB", 1LL << 10}}};

constexpr std::int64_t kTimeMax = 100 * kTimes.front().size;
constexpr std::int64_t kSizeMax = 1LL << 50;
constexpr std::size_t kHostMax = 253;
constexpr std::size_t kSocketPathMax = 107;

template <std::size_t N>
Result<std::int64_t> parse_with_unit(std::string_view text, const std::array<Unit, N>& units,
                                     std::int64_t most) {
  const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_unsigned(text.substr(0, digits));
  const auto unit =
      std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == text.substr(digits); });
  if (!number || unit == units.end()) return Error{Code::invalid, "not a whole number with a unit"};
  if (*number > static_cast<std::uint64_t>(most / unit->size)) return Error{Code::invalid, "too large"};
  return static_cast<std::int64_t>(*number) * unit->size;
}

template <std::size_t N>
std::string text_with_unit(std::int64_t value, const std::array<Unit, N>& units) {
  const auto unit =
      std::find_if(units.begin(), units.end() - 1, [&](const Unit& u) { return value % u.size == 0; });
  return std::to_string(value / unit->size) + std::string(unit->name);
}

bool is_address(int family, const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(family, host.c_str(), bytes.data()) == 1;
}

bool is_host_name(std::string_view host) {
  return !host.empty() && host.size() <= kHostMax && host.front() != '.' &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

bool is_path(std::string_view path) {
  return percent_decode(path, false) && std::all_of(path.begin(), path.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view("/-._~%!$&'()*+,;=:@").find(c) != std::string_view::npos;
         });
}

bool is_port(std::string_view text) {
  const auto port = parse_unsigned(text);
  return port && *port >= 1 && *port <= 65'535;
}

struct HostPort {
  std::string host;
  std::string_view port;  // empty: none
  bool bracketed = false;
  bool ok = false;
};

HostPort split_host_port(std::string_view text) {
  HostPort out;
  auto host_end = text.find(':');
  if (!text.empty() && text.front() == '[') {
    host_end = text.find(']');
    if (host_end == std::string_view::npos) return out;
    out.bracketed = true;
    out.host = std::string(text.substr(1, host_end - 1));
    ++host_end;
  } else {
    out.host = std::string(text.substr(0, host_end));
  }
  const auto rest = host_end >= text.size() ? std::string_view() : text.substr(host_end);
  out.port = rest.empty() ? rest : rest.substr(1);
  out.ok = rest.empty() || (rest.front() == ':' && is_port(out.port));
  return out;
}

}  // namespace

Result<Milliseconds> parse_duration(std::string_view text) {
  const auto value = parse_with_unit(text, kTimes, kTimeMax);
  if (!value) return value.error();
  return Milliseconds(*value);
}

std::string duration_text(Milliseconds duration) {
  return duration.count() == 0 ? "0s" : text_with_unit(duration.count(), kTimes);
}

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto value = parse_with_unit(text, kSizes, kSizeMax);
  if (!value) return value.error();
  return static_cast<std::uint64_t>(*value);
}

std::string size_text(std::uint64_t bytes) {
  return bytes == 0 ? "0KiB" : text_with_unit(static_cast<std::int64_t>(bytes), kSizes);
}

Result<HttpUrl> parse_url(std::string_view text) {
  const auto refuse = [](const char* why) { return Error{Code::invalid, why}; };
  HttpUrl url;
  if (text.starts_with("https://")) {
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
    url.tls = false;
  } else {
    return refuse("it must start with https:// or http://");
  }
  if (text.find('?') != std::string_view::npos) return refuse("it must not have a query");
  if (text.find('#') != std::string_view::npos) return refuse("it must not have a fragment");
  const auto authority_end = std::min(text.find('/'), text.size());
  const auto authority = text.substr(0, authority_end);
  if (authority.find('@') != std::string_view::npos)
    return refuse("no user name or password belongs into it; secrets have keys of their own");
  auto parts = split_host_port(authority);
  if (!parts.ok) return refuse("after the host there may be a port from 1 to 65535");
  std::transform(parts.host.begin(), parts.host.end(), parts.host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (parts.bracketed ? !is_address(AF_INET6, parts.host) : !is_host_name(parts.host))
    return refuse("the host must be a name, an IPv4 address or an IPv6 address in brackets");
  auto path = text.substr(authority_end);
  while (path.ends_with('/')) path.remove_suffix(1);
  if (!is_path(path)) return refuse("its path has a character that must be percent-encoded");
  url.host = std::move(parts.host);
  url.port = parts.port.empty() ? (url.tls ? "443" : "80") : std::string(parts.port);
  url.base_path = std::string(path);
  return url;
}

std::string url_text(const HttpUrl& url) {
  std::string out = url.tls ? "https://" : "http://";
  out += url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
  if (url.port != (url.tls ? "443" : "80")) out += ":" + url.port;
  return out + url.base_path;
}

bool is_socket_path(std::string_view path) {
  return path.size() > 1 && path.front() == '/' && path.back() != '/' && is_clean_text(path, kSocketPathMax);
}

bool is_loopback_address(const std::string& host) {
  if (host.find(':') == std::string::npos) return host.starts_with("127.") && is_address(AF_INET, host);
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1) return false;
  return bytes.back() == 1 &&
         std::all_of(bytes.begin(), bytes.end() - 1, [](unsigned char b) { return b == 0; });
}

Result<SocketAddress> parse_socket(std::string_view text) {
  SocketAddress out;
  if (text.starts_with("unix:")) {
    out.path = std::string(text.substr(5));
    if (!is_socket_path(out.path))
      return Error{Code::invalid, "a Unix socket needs an absolute path of at most 107 bytes"};
    return out;
  }
  out.kind = SocketAddress::Kind::tcp;
  if (text.starts_with("udp:")) {
    out.kind = SocketAddress::Kind::udp;
    text.remove_prefix(4);
  }
  const auto parts = split_host_port(text);
  if (!parts.ok || parts.port.empty()) return Error{Code::invalid, "a port from 1 to 65535 is needed"};
  if (!is_address(parts.bracketed ? AF_INET6 : AF_INET, parts.host))
    return Error{Code::invalid, "the host must be a numeric IPv4 address, or an IPv6 address in brackets"};
  out.host = parts.host;
  out.port = static_cast<std::uint16_t>(*parse_unsigned(parts.port));
  return out;
}

}  // namespace meterd::app
