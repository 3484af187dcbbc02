// Sockets as the system gives them: binding with stale paths replaced, sizes, peers, and many datagrams a
// call. Plain file descriptors: the layers above put them under Asio.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/result.hpp"
#include "platform/peer.hpp"

namespace meterd::platform {

// Who may reach a unix socket by its file's mode: our own user and the first of these groups that there is,
// or anybody, where credentials decide.
struct SocketAccess {
  std::vector<std::string> groups;
  bool anybody = false;
};

// Whether the mode of the socket's file lets them all connect, as far as it tells: one that the service
// manager made has that of its unit.
bool lets_in(const std::string& path, const SocketAccess& access);

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

// Sockets that the service manager bound before we started, and keeps while we do not run (sd_listen_fds(3)).
// Each is taken once; one without a descriptor: it has none of that address.
class InheritedSockets {
 public:
  InheritedSockets() = default;
  static InheritedSockets of_this_process();
  Socket take_unix(const std::string& path, bool datagrams);
  Socket take_unix_packets(const std::string& path);
  Socket take_inet(const std::string& host, std::uint16_t port, bool datagrams);
  std::size_t left() const { return sockets_.size(); }  // that nobody took

 private:
  Socket take(const void* address, std::size_t size, int type);
  Socket take_path(const std::string& path, int type);
  std::vector<Socket> sockets_;
};

// A stale socket file is replaced; one that answers is not (Code::rejected "already in use"). The directory
// is made.
Result<Socket> listen_unix(const std::string& path, const SocketAccess& access);
Result<Socket> listen_unix_packets(const std::string& path, const SocketAccess& access);  // packets.hpp
Result<Socket> bind_unix_datagram(const std::string& path, const SocketAccess& access, int receive_bytes);
// Loopback addresses only: there is no peer to identify.
Result<Socket> bind_udp(const std::string& host, std::uint16_t port, int receive_bytes);
Result<Socket> listen_tcp(const std::string& host, std::uint16_t port);

// The sockets that the service manager keeps for us, or else our own.
class SocketBinder {
 public:
  SocketBinder(SocketAccess access, InheritedSockets inherited)
      : access_(std::move(access)), inherited_(std::move(inherited)) {}
  Result<Socket> listen_unix(const std::string& path);
  Result<Socket> listen_unix_packets(const std::string& path);
  Result<Socket> bind_unix_datagram(const std::string& path, int receive_bytes);
  Result<Socket> bind_unix_datagram(const std::string& path, int receive_bytes, const SocketAccess& access);
  Result<Socket> bind_udp(const std::string& host, std::uint16_t port, int receive_bytes);
  Result<Socket> listen_tcp(const std::string& host, std::uint16_t port);
  std::size_t left() const { return inherited_.left(); }
  // The paths of inherited sockets that do not let in all whom `access` does.
  const std::vector<std::string>& closed() const { return closed_; }

 private:
  Socket kept(const std::string& path, Socket inherited);
  SocketAccess access_;
  InheritedSockets inherited_;
  std::vector<std::string> closed_;
};

// The kernel is to say with each datagram who sent it; by bind_unix_datagram for its own.
void pass_credentials(int fd);

struct Datagram {
  std::string_view bytes;
  bool truncated = false;
  std::optional<Sender> sender;  // of a unix socket
};

// Receives up to many datagrams without waiting (recvmmsg). `visit(datagram)`. Returns how many came; 0 when
// none waits.
class DatagramReader {
 public:
  DatagramReader(std::size_t count, std::size_t bytes_each);
  ~DatagramReader();
  template <class Visit>
  Result<std::size_t> drain(int fd, Visit&& visit) {
    auto got = receive(fd);
    if (!got) return got;
    for (std::size_t i = 0; i < *got; ++i) visit(at(i));
    return got;
  }

 private:
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
