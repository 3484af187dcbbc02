// The framed protobuf socket: connections, deadlines and backpressure. Loop thread. Bounded: so many
// connections, one frame of at most 1 MiB being read, so many acknowledgements waiting per connection.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>

#include "agent/base/connections.hpp"
#include "agent/ingest/access.hpp"
#include "agent/ingest/batch.hpp"
#include "platform/sockets.hpp"

namespace meterd::ingest {

class FramedServer {
 public:
  struct Dependencies {
    boost::asio::any_io_executor loop;
    boost::asio::any_io_executor reader;  // for the journal's sequence of a producer not seen yet
    const journal::Journal& journal;
    Batcher& batcher;
    platform::Clock& clock;
    Log& log;
    const Access& access;
  };
  FramedServer(Dependencies dependencies, platform::Socket socket);
  ~FramedServer();

  boost::asio::awaitable<void> run();    // accepts until stop(), then waits for the connections to end
  boost::asio::awaitable<void> sweep();  // closes connections whose half frame is overdue, until stop()
  void stop();                           // no new connections, no new frames; acks on their way still leave
  void close();                          // hard: every connection

  ConnectionStats connections() const;

 private:
  struct Connection;
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace meterd::ingest
