// Socket addresses as the system takes them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "agent/base/result.hpp"

namespace meterd::platform {

struct UnixAddress {
  sockaddr_un address{};
  socklen_t size = 0;
};

inline Result<UnixAddress> unix_address(const std::string& path) {
  UnixAddress out;
  if (path.size() >= sizeof out.address.sun_path)
    return Error{Code::invalid, path + ": a socket path has at most 107 characters"};
  out.address.sun_family = AF_UNIX;
  std::memcpy(out.address.sun_path, path.c_str(), path.size() + 1);
  out.size = sizeof out.address;
  return out;
}

struct InetAddress {
  sockaddr_storage address{};
  socklen_t size = 0;
};

inline Result<InetAddress> inet_address(const std::string& host, std::uint16_t port) {
  InetAddress out;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.address);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.address);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    out.size = sizeof *v4;
    return out;
  }
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    out.size = sizeof *v6;
    return out;
  }
  return Error{Code::invalid, host + " is not an IP address"};
}

}  // namespace meterd::platform
