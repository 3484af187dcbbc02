#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstring>

#include "platform/linux/address.hpp"
#include "platform/sockets.hpp"

namespace meterd::platform {

// Other descriptors than sockets (what the descriptor store keeps) are others' to take.
InheritedSockets InheritedSockets::of_this_process() {
  InheritedSockets out;
  const int count = sd_listen_fds(0);
  for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; ++fd) {
    if (sd_is_socket(fd, AF_UNSPEC, 0, -1) <= 0) continue;
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    out.sockets_.emplace_back(fd);
  }
  return out;
}

Socket InheritedSockets::take(const void* address, std::size_t size, int type) {
  const auto fits = [&](const Socket& one) {
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    if (sd_is_socket(one.fd(), AF_UNSPEC, type, -1) <= 0) return false;
    return getsockname(one.fd(), reinterpret_cast<sockaddr*>(&bound), &length) == 0 && length >= size &&
           std::memcmp(&bound, address, size) == 0;
  };
  const auto found = std::find_if(sockets_.begin(), sockets_.end(), fits);
  if (found == sockets_.end()) return {};
  Socket out = std::move(*found);
  sockets_.erase(found);
  return out;
}

Socket InheritedSockets::take_path(const std::string& path, int type) {
  const auto address = unix_address(path);
  if (!address) return {};
  // With its terminator: another path may go on where this one ends.
  return take(&address->address, offsetof(sockaddr_un, sun_path) + path.size() + 1, type);
}

Socket InheritedSockets::take_unix(const std::string& path, bool datagrams) {
  auto out = take_path(path, datagrams ? SOCK_DGRAM : SOCK_STREAM);
  if (out.fd() >= 0 && datagrams) pass_credentials(out.fd());
  return out;
}

Socket InheritedSockets::take_unix_packets(const std::string& path) {
  return take_path(path, SOCK_SEQPACKET);
}

Socket InheritedSockets::take_inet(const std::string& host, std::uint16_t port, bool datagrams) {
  const auto address = inet_address(host, port);
  if (!address) return {};
  return take(&address->address, address->size, datagrams ? SOCK_DGRAM : SOCK_STREAM);
}

}  // namespace meterd::platform
