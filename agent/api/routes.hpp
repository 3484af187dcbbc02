// What the device's API answers: from a request to a response. Loop thread; the journal is read on the reader
// thread. /status, /metrics and /healthz are for everyone who reaches the socket; counting needs the local
// socket, or the key over TCP; operators' verbs exist on the local socket only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>

#include "agent/api/basic_auth.hpp"
#include "agent/api/body_stream.hpp"
#include "agent/api/events.hpp"
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
      std::string refused = {};  // why not every bucket was sealed; empty: all were
    };
    std::function<boost::asio::awaitable<Result<Flushed>>(bool seal_now)> flush;
    const BasicAuth& tcp_key;  // its owner may replace the key at any time
    // A copy of the journal, one at a time; see backup.hpp.
    std::function<Result<std::shared_ptr<BodyStream>>()> backup = {};
  };
  explicit Routes(Dependencies dependencies) : deps_(std::move(dependencies)), events_(deps_.batcher) {}

  // From the header of a request with a body, before any of it is read: why it is refused. Only reports have
  // one.
  std::optional<Response> admit(const Request& request) const;
  // The request stays until the answer is there.
  boost::asio::awaitable<Response> answer(const Request& request);

 private:
  bool may_report(const Request& request) const;
  std::optional<Response> refusal(const Request& request) const;
  boost::asio::awaitable<Response> dispatch(const Request& request);
  boost::asio::awaitable<Response> status();
  boost::asio::awaitable<Response> metrics();
  boost::asio::awaitable<Response> operators(const Request& request);
  boost::asio::awaitable<Response> flush(const Request& request);
  boost::asio::awaitable<Response> backup();

  Dependencies deps_;
  Events events_;
};

}  // namespace meterd::api
