// Twilio's usage APIs on the device: each call's items are usages, committed before the answer says so.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "agent/api/twilio/call.hpp"
#include "agent/usages/collection.hpp"

namespace meterd::api::twilio {

class Service {
 public:
  explicit Service(usages::Collection& collection) : collection_(collection) {}
  boost::asio::awaitable<Response> answer(const Request& request);

 private:
  usages::Collection& collection_;
};

}  // namespace meterd::api::twilio
