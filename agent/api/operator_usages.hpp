// Operators' verbs on the collection of usages, on the unix socket:
//   GET  /operator/usages     the filters of the Usages API, over every upstream; each usage with whether it
//                             is, or can be, billed
//   POST /operator/invoice    verb=open|close|void|delete, invoice=ID; for the first two also
//                             subscription, item_price (or none), until
//   POST /operator/resolve    id, verdict=delivered|not-delivered, reason: what is in doubt
//   POST /operator/retry      id, reason (or none): what is parked is tried again
//   POST /operator/withdraw   id, reason: gives a usage up; its upstream is asked to delete what it has
//   POST /operator/credit     of (a usage), quantity, reason, id (the credit's own, or none): gives back a
//                             part of what it charged
//   GET  /operator/statement  the document: of invoice=ID, or of the days from= to= (both included) and, if
//                             given, of one subscription=
// Loop thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string_view>

#include "agent/api/chargebee/downloads.hpp"
#include "agent/api/http.hpp"
#include "agent/usages/collection.hpp"

namespace meterd::api {

class OperatorUsages {
 public:
  OperatorUsages(usages::Collection& collection, chargebee::Downloads& downloads)
      : collection_(collection), downloads_(downloads) {}

  static bool has(std::string_view path);
  boost::asio::awaitable<Response> answer(const Request& request);

 private:
  boost::asio::awaitable<Response> usages(const Request& request);
  boost::asio::awaitable<Response> invoice(const Request& request);
  boost::asio::awaitable<Response> withdraw(const Request& request);
  boost::asio::awaitable<Response> credit(const Request& request);
  boost::asio::awaitable<Response> resolve(const Request& request);
  boost::asio::awaitable<Response> statement(const Request& request);

  usages::Collection& collection_;
  chargebee::Downloads& downloads_;
};

}  // namespace meterd::api
