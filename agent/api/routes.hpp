// What the device's API answers: from a request to a response. Loop thread; the journal is read on the reader
// thread. /status, /metrics and /healthz are for everyone who reaches the socket; counting, and the Usages
// API (chargebee/), need the local socket, or the key over TCP; operators' verbs exist on the local socket
// only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>

#include "agent/api/basic_auth.hpp"
#include "agent/api/body_stream.hpp"
#include "agent/api/chargebee/service.hpp"
#include "agent/api/events.hpp"
#include "agent/api/http.hpp"
#include "agent/api/operator_upstreams.hpp"
#include "agent/api/operator_usages.hpp"
#include "agent/api/status.hpp"
#include "agent/api/twilio/service.hpp"
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
    // Their owner may replace them at any time.
    const BasicAuth& tcp_key;
    const BasicAuth& twilio_key;  // of callers of Twilio's APIs
    // A copy of the journal, one at a time; see backup.hpp.
    std::function<Result<std::shared_ptr<BodyStream>>(journal::CopyForm)> backup = {};
    OperatorUpstreams::Dependencies upstreams = {};
  };
  // `collection`: what the Usages API serves.
  Routes(Dependencies dependencies, usages::Collection& collection)
      : deps_(std::move(dependencies)),
        collection_(collection),
        events_(deps_.batcher),
        downloads_(collection, deps_.reader, deps_.clock),
        usages_(collection, downloads_),
        charges_(collection),
        operator_usages_(collection, downloads_),
        operator_upstreams_(deps_.upstreams) {}

  // From the header of a request with a body, before any of it is read: why it is refused. Only reports and
  // calls of the Usages API have one.
  std::optional<Response> admit(const Request& request) const;
  // The request stays until the answer is there.
  boost::asio::awaitable<Response> answer(const Request& request);
  // An error in meterd's own shape, in that of the API that was asked.
  static Response shape(const Request& request, Response response);

 private:
  bool may_report(const Request& request) const;
  std::optional<Response> refusal(const Request& request) const;
  boost::asio::awaitable<Response> dispatch(const Request& request);
  boost::asio::awaitable<Response> status();
  boost::asio::awaitable<Response> metrics();
  boost::asio::awaitable<Response> operators(const Request& request);
  boost::asio::awaitable<Response> flush(const Request& request);
  boost::asio::awaitable<Response> date(const Request& request);
  boost::asio::awaitable<Response> backup(const Request& request);
  void show_sending_as_waiting(std::vector<journal::StoredUsage>& rows, bool only_in_doubt) const;

  Dependencies deps_;
  usages::Collection& collection_;
  Events events_;
  chargebee::Downloads downloads_;
  chargebee::Service usages_;
  twilio::Service charges_;
  OperatorUsages operator_usages_;
  OperatorUpstreams operator_upstreams_;
};

}  // namespace meterd::api
