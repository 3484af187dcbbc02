// A body that is made while it is sent: for what is too large to hold in memory. Loop thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string_view>

#include "agent/base/result.hpp"

namespace meterd::api {

class BodyStream {
 public:
  // May come before the end: the client has gone, or was too slow.
  virtual ~BodyStream() = default;
  // The next piece, good until the next call or the end of the stream; an empty one is the end. An error cuts
  // the connection, so that what was sent so far is not taken for the whole. Has a deadline of its own.
  virtual boost::asio::awaitable<Result<std::string_view>> next() = 0;
};

}  // namespace meterd::api
