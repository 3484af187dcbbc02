#include "tests/ingest/wire.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace meterd::test {
namespace {

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  if (path.size() >= sizeof out.sun_path) throw std::runtime_error("path too long: " + path);
  std::memcpy(out.sun_path, path.c_str(), path.size() + 1);
  return out;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

}  // namespace

Peer::Peer(boost::asio::io_context& loop, int family, int type, const void* address, std::size_t size)
    : loop_(&loop), socket_(::socket(family, type | SOCK_CLOEXEC, 0)) {
  // Connecting blocks for as long as the backlog is full only, and loopback answers from the backlog.
  if (::connect(socket_.fd(), static_cast<const sockaddr*>(address), static_cast<socklen_t>(size)) != 0)
    throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
}

Peer Peer::unix_stream(boost::asio::io_context& loop, const std::string& path) {
  const auto address = unix_address(path);
  return {loop, AF_UNIX, SOCK_STREAM, &address, sizeof address};
}
Peer Peer::unix_datagram(boost::asio::io_context& loop, const std::string& path) {
  const auto address = unix_address(path);
  return {loop, AF_UNIX, SOCK_DGRAM, &address, sizeof address};
}
Peer Peer::tcp(boost::asio::io_context& loop, std::uint16_t port) {
  const auto address = loopback(port);
  return {loop, AF_INET, SOCK_STREAM, &address, sizeof address};
}
Peer Peer::udp(boost::asio::io_context& loop, std::uint16_t port) {
  const auto address = loopback(port);
  return {loop, AF_INET, SOCK_DGRAM, &address, sizeof address};
}

std::size_t Peer::try_send(std::string_view bytes) {
  const auto sent = ::send(socket_.fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

void Peer::send(std::string_view bytes) {
  const bool all = run_until(*loop_, [&] {
    bytes.remove_prefix(try_send(bytes));
    return bytes.empty() || ended();
  });
  EXPECT_TRUE(all) << bytes.size() << " bytes could not be sent";
}

const std::string& Peer::received() {
  char piece[65'536];
  while (!ended_) {
    const auto got = ::recv(socket_.fd(), piece, sizeof piece, MSG_DONTWAIT);
    if (got > 0) {
      received_.append(piece, static_cast<std::size_t>(got));
    } else if (got == 0 || errno == ECONNRESET) {
      ended_ = true;
    } else {
      break;
    }
  }
  return received_;
}

bool Peer::ended() {
  (void)received();
  return ended_;
}

std::uint16_t port_of(const platform::Socket& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(address.sin_port);
}

}  // namespace meterd::test
