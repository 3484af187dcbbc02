// One HTTP exchange as plain values, and the client as an interface: only http_client.cpp knows Beast and
// TLS.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "agent/base/limits.hpp"
#include "agent/base/result.hpp"
#include "agent/base/usage_day.hpp"

namespace meterd::upstream {

// Everything that is stored and sent again byte for byte. Host, Connection, Content-Length and Authorization
// are the client's: the first three follow from the connection, the last is a secret and never stored.
struct HttpRequest {
  std::string method;  // "GET" or "POST"
  std::string target;  // origin form: path with the upstream's base path, and query
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

struct HttpResponse {
  unsigned status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  const std::string* header(std::string_view lower_case_name) const;
  // Retry-After, in seconds or as a date: the date is taken relative to the answer's own Date, so that our
  // clock does not matter. At most 24 h; nullopt if absent, negative or unreadable.
  std::optional<Milliseconds> retry_after() const;
  std::optional<WallTime> date() const;  // by the other side's clock, to the second
};

// No complete, readable answer came. `stage` is the furthest point that was reached.
struct TransportError {
  enum class Stage : std::uint8_t { resolve, connect, tls, send, receive };
  Stage stage = Stage::resolve;
  std::string detail;                   // for the operator; no URL, no secret
  bool is_of_certificate_time = false;  // tls: the certificate is not valid at this device's time

  // Whether the other side may have seen the request: true from the first byte on.
  bool may_have_arrived() const { return stage >= Stage::send; }
};

std::string_view name_of(TransportError::Stage stage);

using Exchange = std::variant<HttpResponse, TransportError>;

// One upstream's connection: kept alive and reused; one exchange at a time. Loop thread.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  // Always completes within the client's deadlines (resolve, connect, handshake, send, receive). A reused
  // connection that fails before the first byte of an answer is opened afresh once, if `repeatable`.
  virtual boost::asio::awaitable<Exchange> exchange(const HttpRequest& request, bool repeatable) = 0;
  // Drops the kept connection, so that the next exchange opens a new one.
  virtual void close() = 0;
};

struct HttpClientOptions {
  bool tls = true;
  std::string host;                       // for DNS, SNI, verification and the Host header
  std::string port;                       // decimal
  std::string authorization;              // the whole header value; a secret
  Milliseconds connect_deadline{10'000};  // name lookup, then again for TCP connect, then again for TLS
  Milliseconds exchange_deadline{30'000};
  std::size_t answer_bytes_max = limits::kUpstreamBodyBytesMax;  // of its body
  std::function<WallTime()> wall =
      {};  // by which certificates are valid; none: OpenSSL's, which may end in 2038
};

// Verifies certificates against the system's store (SSL_CERT_FILE and SSL_CERT_DIR are honoured) and the host
// name.
std::unique_ptr<HttpClient> make_http_client(boost::asio::any_io_executor executor,
                                             HttpClientOptions options);

}  // namespace meterd::upstream
