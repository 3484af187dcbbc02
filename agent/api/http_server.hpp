// The device's HTTP server: loopback TCP and unix sockets, keep-alive, pipelining, limits on header, body,
// connections and time. Loop thread. A slow client holds nothing up but itself.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "agent/api/http.hpp"
#include "agent/base/log.hpp"
#include "platform/sockets.hpp"
#include "platform/task_group.hpp"

namespace meterd::api {

using Handler = std::function<boost::asio::awaitable<Response>(Request)>;

class HttpServer {
 public:
  struct Listener {
    platform::Socket socket;
    bool is_unix = false;
  };
  struct Dependencies {
    boost::asio::any_io_executor loop;
    platform::Clock& clock;
    Log& log;
    platform::SocketAccess access;
    Handler handler;
  };
  HttpServer(Dependencies dependencies, std::vector<Listener> listeners);
  ~HttpServer();

  void start(platform::TaskGroup& tasks);
  void stop();   // no new connections; requests being answered still are
  void close();  // hard: every connection

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace meterd::api
