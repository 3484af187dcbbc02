#include "platform/sockets.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "platform/linux/address.hpp"

namespace meterd::platform {
namespace {

// The kernel's control-message macros are C: their casts are not ours.
#pragma GCC diagnostic ignored "-Wold-style-cast"

constexpr int kBacklog = 128;

Error failed(const std::string& what) {
  const Code code = errno == EADDRINUSE || errno == EACCES ? Code::rejected : Code::io;
  return {code, what + ": " + std::strerror(errno)};
}

// Mode 0660 and the first configured group that exists, so that its members may connect.
void open_to_groups(const std::string& path, const SocketAccess& access) {
  (void)chmod(path.c_str(), access.anybody ? 0666 : 0660);
  for (const auto& name : access.groups)
    if (const group* found = getgrnam(name.c_str()); found != nullptr)
      if (chown(path.c_str(), static_cast<uid_t>(-1), found->gr_gid) == 0) return;
}

Result<Socket> bind_unix(const std::string& path, int type, const SocketAccess& access) {
  auto address = unix_address(path);
  if (!address) return address.error();
  std::error_code ignored;  // bind() says what is wrong with the directory
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  Socket socket_fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket_fd.fd() < 0) return failed("socket");
  const auto* raw = reinterpret_cast<const sockaddr*>(&address->address);
  if (Socket probe(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      probe.fd() >= 0 && (connect(probe.fd(), raw, address->size) == 0 || errno == EAGAIN))
    return Error{Code::rejected, path + " is already in use by another process"};
  struct stat existing {};
  if (lstat(path.c_str(), &existing) == 0) {
    if (!S_ISSOCK(existing.st_mode))
      return Error{Code::rejected, path + " exists and is not a socket; move it away"};
    unlink(path.c_str());
  }
  if (type == SOCK_DGRAM) pass_credentials(socket_fd.fd());  // before anybody can send
  if (bind(socket_fd.fd(), raw, address->size) != 0) return failed(path);
  open_to_groups(path, access);
  return socket_fd;
}

void grow_receive_buffer(int fd, int bytes) {
  // FORCE needs CAP_NET_ADMIN; without it the kernel clips to net.core.rmem_max.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

Result<Socket> bind_inet(const std::string& host, std::uint16_t port, int type) {
  auto address = inet_address(host, port);
  if (!address) return address.error();
  Socket socket_fd(::socket(address->address.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket_fd.fd() < 0) return failed("socket");
  const int on = 1;
  if (type == SOCK_STREAM) (void)setsockopt(socket_fd.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(socket_fd.fd(), reinterpret_cast<const sockaddr*>(&address->address), address->size) != 0)
    return failed(host + ":" + std::to_string(port));
  return socket_fd;
}

}  // namespace

bool lets_in(const std::string& path, const SocketAccess& access) {
  struct stat file {};
  if (lstat(path.c_str(), &file) != 0) return false;
  if ((file.st_mode & S_IWOTH) != 0) return true;
  if (access.anybody || (file.st_mode & S_IWGRP) == 0) return false;
  return std::all_of(access.groups.begin(), access.groups.end(), [&](const std::string& name) {
    const auto group = find_group(name);
    return !group || group == file.st_gid;  // nobody is in a group that is not there
  });
}

Socket SocketBinder::kept(const std::string& path, Socket inherited) {
  if (inherited.fd() >= 0 && access_.anybody && !lets_in(path, access_)) closed_.push_back(path);
  return inherited;
}

Result<Socket> SocketBinder::listen_unix(const std::string& path) {
  if (auto socket = kept(path, inherited_.take_unix(path, false)); socket.fd() >= 0) return socket;
  return platform::listen_unix(path, access_);
}

Result<Socket> SocketBinder::listen_unix_packets(const std::string& path) {
  if (auto socket = kept(path, inherited_.take_unix_packets(path)); socket.fd() >= 0) return socket;
  return platform::listen_unix_packets(path, access_);
}

Result<Socket> SocketBinder::bind_unix_datagram(const std::string& path, int receive_bytes) {
  auto socket = kept(path, inherited_.take_unix(path, true));
  if (socket.fd() < 0) return platform::bind_unix_datagram(path, access_, receive_bytes);
  grow_receive_buffer(socket.fd(), receive_bytes);
  return socket;
}

Result<Socket> SocketBinder::bind_unix_datagram(const std::string& path, int receive_bytes,
                                                const SocketAccess& access) {
  auto socket = inherited_.take_unix(path, true);
  if (socket.fd() < 0) return platform::bind_unix_datagram(path, access, receive_bytes);
  grow_receive_buffer(socket.fd(), receive_bytes);
  return socket;
}

Result<Socket> SocketBinder::bind_udp(const std::string& host, std::uint16_t port, int receive_bytes) {
  auto kept = inherited_.take_inet(host, port, true);
  if (kept.fd() < 0) return platform::bind_udp(host, port, receive_bytes);
  grow_receive_buffer(kept.fd(), receive_bytes);
  return kept;
}

Result<Socket> SocketBinder::listen_tcp(const std::string& host, std::uint16_t port) {
  if (auto kept = inherited_.take_inet(host, port, false); kept.fd() >= 0) return kept;
  return platform::listen_tcp(host, port);
}

void pass_credentials(int fd) {
  const int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on,
                   sizeof on);  // without it a datagram has no sender: refused
}

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = other.release();
  }
  return *this;
}

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

int Socket::release() { return std::exchange(fd_, -1); }

Result<Socket> listen_unix(const std::string& path, const SocketAccess& access) {
  auto socket_fd = bind_unix(path, SOCK_STREAM, access);
  if (!socket_fd) return socket_fd;
  if (listen(socket_fd->fd(), kBacklog) != 0) return failed(path);
  return socket_fd;
}

Result<Socket> listen_unix_packets(const std::string& path, const SocketAccess& access) {
  auto socket_fd = bind_unix(path, SOCK_SEQPACKET, access);
  if (!socket_fd) return socket_fd;
  if (listen(socket_fd->fd(), kBacklog) != 0) return failed(path);
  return socket_fd;
}

Result<Socket> bind_unix_datagram(const std::string& path, const SocketAccess& access, int receive_bytes) {
  auto socket_fd = bind_unix(path, SOCK_DGRAM, access);
  if (!socket_fd) return socket_fd;
  grow_receive_buffer(socket_fd->fd(), receive_bytes);
  return socket_fd;
}

Result<Socket> bind_udp(const std::string& host, std::uint16_t port, int receive_bytes) {
  auto socket_fd = bind_inet(host, port, SOCK_DGRAM);
  if (socket_fd) grow_receive_buffer(socket_fd->fd(), receive_bytes);
  return socket_fd;
}

Result<Socket> listen_tcp(const std::string& host, std::uint16_t port) {
  auto socket_fd = bind_inet(host, port, SOCK_STREAM);
  if (!socket_fd) return socket_fd;
  if (listen(socket_fd->fd(), kBacklog) != 0) return failed(host + ":" + std::to_string(port));
  return socket_fd;
}

struct DatagramReader::Messages {
  // Room for the sender's credentials alone, which the kernel writes first: a unix sender could pass file
  // descriptors, which would stay open here.
  struct alignas(cmsghdr) Control {
    char bytes[CMSG_SPACE(sizeof(ucred))];
  };
  Messages(std::size_t count, std::size_t each)
      : buffer(count * (each + kApart)), parts(count), controls(count), headers(count) {
    for (std::size_t i = 0; i < count; ++i) {
      parts[i] = {buffer.data() + i * (each + kApart), each};
      headers[i].msg_hdr.msg_iov = &parts[i];
      headers[i].msg_hdr.msg_iovlen = 1;
      headers[i].msg_hdr.msg_control = controls[i].bytes;
    }
  }
  // The kernel writes how much of it was used.
  void make_room() {
    for (auto& header : headers) header.msg_hdr.msg_controllen = sizeof(Control::bytes);
  }
  // Buffers a power of two apart would all begin in the same set of the processor's cache.
  static constexpr std::size_t kApart = 64;
  std::vector<char> buffer;
  std::vector<iovec> parts;
  std::vector<Control> controls;
  std::vector<mmsghdr> headers;
};

DatagramReader::DatagramReader(std::size_t count, std::size_t bytes_each)
    : messages_(std::make_unique<Messages>(count, bytes_each)) {}
DatagramReader::~DatagramReader() = default;

Datagram DatagramReader::at(std::size_t index) const {
  const auto& header = messages_->headers[index];
  Datagram out{{static_cast<const char*>(messages_->parts[index].iov_base), header.msg_len},
               (header.msg_hdr.msg_flags & MSG_TRUNC) != 0,
               std::nullopt};
  const auto* control = CMSG_FIRSTHDR(&header.msg_hdr);
  if (control == nullptr || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_CREDENTIALS)
    return out;
  ucred credentials{};
  std::memcpy(&credentials, CMSG_DATA(control), sizeof credentials);
  out.sender = Sender{credentials.uid, credentials.gid, credentials.pid};
  return out;
}

Result<std::size_t> DatagramReader::receive(int fd) {
  auto& headers = messages_->headers;
  messages_->make_room();
  const int got = recvmmsg(fd, headers.data(), static_cast<unsigned>(headers.size()), MSG_DONTWAIT, nullptr);
  if (got >= 0) return static_cast<std::size_t>(got);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return std::size_t{0};
  return failed("datagram socket");
}

std::uint32_t datagrams_dropped(int fd) {
  std::array<std::uint32_t, SK_MEMINFO_VARS> use{};
  socklen_t size = sizeof use;
  (void)getsockopt(fd, SOL_SOCKET, SO_MEMINFO, use.data(), &size);  // a kernel without it leaves the zeros
  return use[SK_MEMINFO_DROPS];
}

int unix_datagram_queue_length() {
  std::ifstream file("/proc/sys/net/unix/max_dgram_qlen");
  int value = 0;
  file >> value;
  return file ? value : 0;
}

}  // namespace meterd::platform
