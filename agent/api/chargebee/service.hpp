// The Usages API of seed 002 as the device serves it: calls in, answers out. Loop thread. Who may call is
// decided by the routes.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "agent/api/chargebee/calls.hpp"
#include "agent/api/chargebee/downloads.hpp"
#include "agent/api/http.hpp"
#include "agent/usages/collection.hpp"

namespace meterd::api::chargebee {

inline constexpr std::string_view kApiPath = "/api/v2/";
inline bool is_api_path(std::string_view path) { return path.starts_with(kApiPath) || path == "/api/v2"; }

class Service {
 public:
  Service(usages::Collection& collection, Downloads& downloads)
      : collection_(collection), downloads_(downloads) {}

  // The request stays until the answer is there. A change is answered after its commit.
  boost::asio::awaitable<Response> answer(const Request& request);

 private:
  boost::asio::awaitable<Response> create(Create call);
  boost::asio::awaitable<Response> remove(Delete call);
  boost::asio::awaitable<Response> retrieve(Retrieve call);
  boost::asio::awaitable<Response> list(List call);

  usages::Collection& collection_;
  Downloads& downloads_;
};

}  // namespace meterd::api::chargebee
