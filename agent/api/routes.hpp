// What the device's API answers: from a request to a response. Loop thread; the journal is read on the reader
// thread. /status, /metrics and /healthz are for everyone who reaches the socket; counting and operators'
// verbs need the local socket.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>

#include "agent/api/http.hpp"
#include "agent/api/status.hpp"
#include "agent/ingest/batcher.hpp"

namespace meterd::api {

class Routes {
 public:
  struct Dependencies {
    ingest::Batcher& batcher;
    const journal::Journal& journal;
    boost::asio::any_io_executor reader;
    platform::Clock& clock;
    std::function<boost::asio::awaitable<Result<Status>>()> status;
    // Commits what is counted, seals everything open if `seal_now`, clears backoff. The names of the
    // upstreams.
    struct Flushed {
      std::uint64_t sealed = 0;
      std::vector<std::string> cleared;
    };
    std::function<boost::asio::awaitable<Result<Flushed>>(bool seal_now)> flush;
  };
  explicit Routes(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  boost::asio::awaitable<Response> answer(Request request);

 private:
  boost::asio::awaitable<Response> status();
  boost::asio::awaitable<Response> metrics();
  boost::asio::awaitable<Response> events(Request request);
  boost::asio::awaitable<Response> operators(Request request);
  boost::asio::awaitable<Response> flush(Request request);

  Dependencies deps_;
};

}  // namespace meterd::api
