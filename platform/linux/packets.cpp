#include "platform/packets.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace meterd::platform {
namespace {

// The kernel's control-message macros are C: their casts are not ours.
#pragma GCC diagnostic ignored "-Wold-style-cast"

union Control {
  cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

Error failed(const char* what) {
  const bool waits = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ECONNABORTED;
  return {waits ? Code::retry : Code::io, std::string(what) + ": " + std::strerror(errno)};
}

}  // namespace

Result<Socket> accept_packets(int listening) {
  Socket out(accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (out.fd() < 0) return failed("accept");
  return out;
}

Result<Packet> receive_packet(int fd, std::span<char> into) {
  Control control{};
  iovec part{into.data(), into.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = &control;
  message.msg_controllen = CMSG_LEN(sizeof(int));  // room for one: the kernel closes what more is sent
  const auto got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0) return failed("receive");
  Packet out{static_cast<std::size_t>(got), (message.msg_flags & MSG_TRUNC) != 0, {}};
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len >= CMSG_LEN(sizeof(int))) {
    int passed = -1;
    std::memcpy(&passed, CMSG_DATA(header), sizeof passed);
    out.passed = MemoryFile(passed);
  }
  return out;
}

Status send_packet(int fd, std::span<const char> bytes, const MemoryFile* passed) {
  Control control{};
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (passed != nullptr) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int raw = passed->fd();
    std::memcpy(CMSG_DATA(header), &raw, sizeof raw);
  }
  if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return failed("send");
  return {};
}

}  // namespace meterd::platform
