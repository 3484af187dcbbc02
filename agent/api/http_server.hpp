// The device's HTTP server: loopback TCP and unix sockets, keep-alive, pipelining, limits on header, body,
// connections and time. Loop thread. A slow client holds nothing up but itself.
//
// Time, by the server's clock, to the second: 75 s between requests, 30 s from a request's first byte to its
// header's end, 30 s for its body, 30 s for the answer to be taken. A handler has deadlines of its own. A
// request that is late is answered with 408, one that has to make room for another connection with 503.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "agent/api/http.hpp"
#include "agent/base/connections.hpp"
#include "agent/base/log.hpp"
#include "agent/ingest/access.hpp"
#include "platform/sockets.hpp"
#include "platform/task_group.hpp"

namespace meterd::api {

// From a header that announces a body: what to answer instead of reading it. The connection ends with that.
using Admission = std::function<std::optional<Response>(const Request&)>;
// What the server itself refuses, in the shape of the API that was asked.
using Shape = std::function<Response(const Request&, Response)>;
// The request stays where it is until the answer is there.
using Handler = std::function<boost::asio::awaitable<Response>(const Request&)>;

class HttpServer {
 public:
  struct Listener {
    platform::Socket socket;
    bool is_unix = false;
    ingest::PermitPtr permit = {};  // over TCP: what it may report
  };
  struct Dependencies {
    boost::asio::any_io_executor loop;
    platform::Clock& clock;
    Log& log;
    const ingest::Access& access;
    Admission admission;
    Handler handler;
    Shape shape;
  };
  HttpServer(Dependencies dependencies, std::vector<Listener> listeners);
  ~HttpServer();

  void start(platform::TaskGroup& tasks);
  void stop();   // no new connections; requests being answered still are
  void close();  // hard: every connection

  ConnectionStats connections() const;
  const std::map<unsigned, std::uint64_t>& answers() const;  // by status code, those not taken included

 private:
  struct Connection;
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace meterd::api
