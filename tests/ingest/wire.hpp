// The other end of a socket, on the thread of the server's loop: it never blocks, and whatever it waits for
// lets the loop run. Ten seconds of patience end a wait that nobody answers; no test depends on how long one
// takes.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "platform/sockets.hpp"

namespace meterd::test {

template <class Holds>
bool run_until(boost::asio::io_context& loop, Holds holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    loop.restart();
    loop.run_one_for(std::chrono::milliseconds(20));
  }
  return true;
}

class Peer {
 public:
  static Peer unix_stream(boost::asio::io_context& loop, const std::string& path);
  static Peer unix_datagram(boost::asio::io_context& loop, const std::string& path);
  static Peer tcp(boost::asio::io_context& loop, std::uint16_t port);
  static Peer udp(boost::asio::io_context& loop, std::uint16_t port);

  // How much the kernel took at once: less than all when the other side does not read.
  std::size_t try_send(std::string_view bytes);
  void send(std::string_view bytes);  // all of it, running the loop while the socket is full
  void finish_sending() { ::shutdown(socket_.fd(), SHUT_WR); }
  void close() { socket_ = platform::Socket(); }

  // What has come so far; take_received() empties it.
  const std::string& received();
  void take(std::size_t bytes) { received_.erase(0, bytes); }
  bool ended();  // the other side closed; whatever it sent before is in received()
  bool wait_for_end() {
    return run_until(*loop_, [this] { return ended(); });
  }
  template <class Holds>
  bool wait_until(Holds holds) {
    return run_until(*loop_, [&] { return holds(received()); });
  }

 private:
  Peer(boost::asio::io_context& loop, int family, int type, const void* address, std::size_t size);
  boost::asio::io_context* loop_;
  platform::Socket socket_;
  std::string received_;
  bool ended_ = false;
};

// The port that the system chose for a socket bound to port 0.
std::uint16_t port_of(const platform::Socket& socket);

}  // namespace meterd::test
