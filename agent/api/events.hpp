// POST /events: CloudEvents in, counted and answered after their commit (?ack=committed, the default) or at
// once (?ack=received). Loop thread.
//
// What is received is not looked up: a duplicate among it is answered as counted, and counts nothing.
//
// The answer: {"counted":N,"duplicates":N,"errors":[{"position","id","code","message"}]}, and of a body that
// is no events at all {"error":{"code","message"}}. Status: 200 when everything was counted or a duplicate;
// 503 with Retry-After when something is to be reported again later; else 400 when something is wrong for
// good. Whatever the status, what `errors` does not name was counted. A repeat of the whole body is always
// safe: source and id say which events were counted before.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <vector>

#include "agent/api/cloud_event.hpp"
#include "agent/api/http.hpp"
#include "agent/ingest/batcher.hpp"

namespace meterd::api {

// Waits for the commit of the window that is open now: its outcome, and how many of the events at these
// positions in the window were duplicates.
struct CommitResult {
  meterd::Status status;
  std::size_t duplicates = 0;
};
boost::asio::awaitable<CommitResult> committed(ingest::Batcher& batcher, std::vector<std::size_t> identified);

class Events {
 public:
  explicit Events(ingest::Batcher& batcher) : batcher_(batcher) {}

  // The sender is authorised and the method is POST. The request stays until the answer is there.
  boost::asio::awaitable<Response> answer(const Request& request);

 private:
  struct Taken;  // what was counted of one request, and what was not
  std::optional<Response> take(const Request& request, bool received, Taken& taken);

  ingest::Batcher& batcher_;
  CloudEventReader reader_;
};

}  // namespace meterd::api
