// Sockets as the system gives them: binding with stale paths replaced, sizes, peers, and many datagrams a
// call. Plain file descriptors: the layers above put them under Asio.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.hpp"

namespace meterd::platform {

// Who may connect to a unix socket, by file mode and by credentials: root, our own user, and these groups.
struct SocketAccess {
  std::vector<std::string> groups;
};

// An open, non-blocking socket; closes itself.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(other.release()) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();
  int fd() const { return fd_; }
  int release();

 private:
  int fd_ = -1;
};

// A stale socket file is replaced; one that answers is not (Code::rejected "already in use"). The directory
// is made.
Result<Socket> listen_unix(const std::string& path, const SocketAccess& access);
Result<Socket> bind_unix_datagram(const std::string& path, const SocketAccess& access, int receive_bytes);
// Loopback addresses only: there is no peer to identify.
Result<Socket> bind_udp(const std::string& host, std::uint16_t port, int receive_bytes);
Result<Socket> listen_tcp(const std::string& host, std::uint16_t port);

// Whether the process at the other end of a connected unix socket may speak to us.
bool peer_allowed(int fd, const SocketAccess& access);

// Which user's process is at the other end of a connected unix socket; nullopt: the kernel does not say.
std::optional<std::uint32_t> peer_user(int fd);

// Receives up to many datagrams without waiting (recvmmsg). `visit(bytes, truncated)`. Returns how many came;
// 0 when none waits.
class DatagramReader {
 public:
  DatagramReader(std::size_t count, std::size_t bytes_each);
  ~DatagramReader();
  template <class Visit>
  Result<std::size_t> drain(int fd, Visit&& visit) {
    auto got = receive(fd);
    if (!got) return got;
    for (std::size_t i = 0; i < *got; ++i) {
      const auto datagram = at(i);
      visit(datagram.bytes, datagram.truncated);
    }
    return got;
  }

 private:
  struct Datagram {
    std::string_view bytes;
    bool truncated = false;
  };
  struct Messages;  // what recvmmsg fills: made once
  Result<std::size_t> receive(int fd);
  Datagram at(std::size_t index) const;
  std::unique_ptr<Messages> messages_;
};

// How many datagrams the kernel has thrown away on this UDP socket so far, modulo 2^32; 0 on a unix socket,
// where senders wait.
std::uint32_t datagrams_dropped(int fd);

// net.unix.max_dgram_qlen: how many datagrams a unix socket holds before senders wait or lose them. 0:
// unknown.
int unix_datagram_queue_length();

}  // namespace meterd::platform
