// One HTTP request to the daemon over its unix socket, and the answer. Blocks the caller, never longer than
// the timeout: it bounds the whole exchange, from connecting to the last byte of the answer.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "agent/base/result.hpp"
#include "agent/base/usage_day.hpp"

namespace meterd::ctl {

struct Daemon {
  std::string socket;
  Milliseconds timeout{};
};

struct Request {
  std::string method = "GET";
  std::string target;
  std::string content_type;  // with a body
  std::string body;
};

struct Answer {
  unsigned status = 0;
  std::string body;
};

// An answer of any status is an Answer. Errors:
//   invalid    the socket's path cannot be one; nothing was sent
//   io         nobody is reached at the socket; nothing was sent
//   cancelled  the timeout is over; whether the request took effect is unknown
//   retry      the connection broke before the whole answer was there; whether it took effect is unknown
//   corrupt    what came back is not HTTP, or beyond all limits
Result<Answer> exchange(const Daemon& daemon, const Request& request);

// The same for a body that may be large: of a 200 it goes to `take`, piece by piece, and is not in the
// answer. The timeout bounds each wait instead of the whole. An error of `take` ends it and is returned. A
// body that was cut short is an error (retry), never an answer.
using Take = std::function<Status(std::string_view)>;
Result<Answer> download(const Daemon& daemon, const Request& request, const Take& take);

}  // namespace meterd::ctl
