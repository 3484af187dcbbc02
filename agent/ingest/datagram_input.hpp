// A datagram socket that carries lines, such as statsd's. Loop thread. Each wake-up drains what waits, in
// bounded turns, so that a flood cannot keep other producers from being heard.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agent/ingest/access.hpp"
#include "agent/ingest/batcher.hpp"
#include "platform/sockets.hpp"

namespace meterd::ingest {

// Whose datagrams count: of a unix socket each sender for itself, of another what is allowed to the input.
struct DatagramAccess {
  const Access* access = nullptr;  // lives longer
  bool by_sender = true;
  PermitPtr permit = {};
};

class DatagramInput {
 public:
  // Counts what the line says, or refuses it: a line without its end, not empty, of a datagram that came
  // whole. `permit`: what its sender may report; null: everything.
  using TakeLine = std::function<void(std::string_view line, const meter::Permit* permit,
                                      const platform::WallReading& now)>;
  DatagramInput(boost::asio::any_io_executor loop, platform::Socket socket, Batcher& batcher,
                const DatagramAccess& access, TakeLine take_line);
  // Of statsd lines.
  DatagramInput(boost::asio::any_io_executor loop, platform::Socket socket, Batcher& batcher,
                const DatagramAccess& access);
  ~DatagramInput();

  boost::asio::awaitable<void> run();  // until stop(); then once more through what waits in the socket
  void stop();
  // Asks the kernel how many datagrams it threw away, so that the batcher's stats are true of this moment.
  void count_dropped();

 private:
  bool drain_turn();
  void take_datagram(const platform::Datagram& datagram, const platform::WallReading& now);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace meterd::ingest
