// Usages of an invoice as PDF (seed 002): a call gives a link, and whoever has the link gets the document
// until it expires, without further credentials. The link is signed with a key that follows from the
// journal's epoch, so that it lives through a restart. Loop thread; the document is made on the reader
// thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>

#include "agent/api/chargebee/calls.hpp"
#include "agent/api/http.hpp"
#include "agent/statement/statement.hpp"
#include "agent/usages/collection.hpp"
#include "platform/clock.hpp"
#include "platform/turns.hpp"

namespace meterd::api::chargebee {

inline constexpr std::string_view kDownloadPath = "/downloads/usages.pdf";

// Usages with a usage_date in [first, end).
struct Range {
  std::string title;
  std::int64_t first = 0, end = 0;
  std::optional<std::string> subscription = {};
};

class Downloads {
 public:
  Downloads(usages::Collection& collection, boost::asio::any_io_executor reader, platform::Clock& clock)
      : collection_(collection), reader_(std::move(reader)), clock_(clock), turns_(clock, kAtOnce) {}

  // The answer to the call: a link below the configured public_url.
  boost::asio::awaitable<Response> link(Pdf call);
  // The document behind a link; 403 for one that is wrong, or has expired.
  boost::asio::awaitable<Response> answer(const Request& request);
  // The documents themselves, for an operator.
  boost::asio::awaitable<Response> document(std::string invoice);
  boost::asio::awaitable<Response> document(Range range);

 private:
  std::string sign(std::string_view fields) const;
  boost::asio::awaitable<Response> make(std::string invoice, std::string disposition);
  boost::asio::awaitable<Response> print(statement::Statement printed, std::string disposition);
  static constexpr std::size_t kAtOnce = 2;  // a document of 20,000 lines takes some 10 MB until it is out

  usages::Collection& collection_;
  boost::asio::any_io_executor reader_;
  const platform::Clock& clock_;
  platform::Turns turns_;
};

// What is printed of an invoice. Pure.
statement::Statement statement_of(const std::string& id, const usages::Collection::Content& content,
                                  const DeviceId& device);

}  // namespace meterd::api::chargebee
