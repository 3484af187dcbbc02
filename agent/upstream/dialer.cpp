// TLS state is made anew for each connection: it costs no memory while idle, and renewed system certificates
// are noticed without a restart.
#include "agent/upstream/dialer.hpp"

#include <openssl/x509v3.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>
#include <ctime>
#include <optional>
#include <tuple>

#include "agent/base/text.hpp"

namespace meterd::upstream {

using Stage = TransportError::Stage;

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using Endpoints = std::vector<asio::ip::tcp::endpoint>;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kEndpointsMax = 8;

class SocketStream final : public Stream {
 public:
  explicit SocketStream(const asio::any_io_executor& executor) : tcp(executor) {}

  void set_deadline(std::optional<Milliseconds> from_now) override {
    if (from_now) {
      tcp.expires_after(*from_now);
    } else {
      tcp.expires_never();
    }
  }

  asio::awaitable<Done> write_all(std::string_view bytes) override {
    Done done;
    if (tls) {
      std::tie(done.error, done.bytes) = co_await asio::async_write(*tls, asio::buffer(bytes), kToken);
    } else {
      std::tie(done.error, done.bytes) = co_await asio::async_write(tcp, asio::buffer(bytes), kToken);
    }
    co_return done;
  }

  asio::awaitable<Done> read_some(char* space, std::size_t size_bytes) override {
    Done done;
    if (tls) {
      std::tie(done.error, done.bytes) =
          co_await tls->async_read_some(asio::buffer(space, size_bytes), kToken);
    } else {
      std::tie(done.error, done.bytes) =
          co_await tcp.async_read_some(asio::buffer(space, size_bytes), kToken);
    }
    co_return done;
  }

  bool is_quiet() override {
    char byte = 0;
    error_code ec;
    tcp.socket().non_blocking(true, ec);
    if (ec) return false;
    tcp.socket().receive(asio::buffer(&byte, 1), asio::socket_base::message_peek, ec);
    // Over TLS what waits may be a session ticket, which is nobody's answer.
    return ec == asio::error::would_block || (!ec && tls.has_value());
  }

  void close() override { tcp.close(); }

  beast::tcp_stream tcp;
  std::optional<asio::ssl::context> context;
  std::optional<asio::ssl::stream<beast::tcp_stream&>> tls;
};

// A name lookup cannot be interrupted: getaddrinfo runs to its end in Asio's own thread. After the deadline
// it is left alone, and the next dial waits for the same one, so that at most one is under way.
struct Lookup {
  explicit Lookup(const asio::any_io_executor& executor) : resolver(executor), waiter(executor) {}

  asio::ip::tcp::resolver resolver;
  asio::steady_timer waiter;
  bool finished = false;
  error_code error;
  Endpoints endpoints;
};

std::shared_ptr<Lookup> start_lookup(const asio::any_io_executor& executor,
                                     const HttpClientOptions& options) {
  auto lookup = std::make_shared<Lookup>(executor);
  lookup->resolver.async_resolve(
      options.host, options.port, asio::ip::tcp::resolver::numeric_service,
      [lookup](const error_code& ec, const asio::ip::tcp::resolver::results_type& results) {
        lookup->error = ec;
        for (const auto& entry : results)
          if (lookup->endpoints.size() < kEndpointsMax) lookup->endpoints.push_back(entry.endpoint());
        lookup->finished = true;
        lookup->waiter.cancel();
      });
  return lookup;
}

std::optional<asio::ip::address> as_address(const std::string& host) {
  error_code ec;
  const auto address = asio::ip::make_address(host, ec);
  if (ec) return std::nullopt;
  return address;
}

// OpenSSL itself checks the name, so that a wrong one has an error code of its own. Returns whether all is
// set.
bool expect_host(SSL* ssl, const std::string& host) {
  X509_VERIFY_PARAM* expected = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (as_address(host)) return X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1;
  std::string server_name = host;
  // What the macro SSL_set_tlsext_host_name does, without its cast.
  return X509_VERIFY_PARAM_set1_host(expected, host.c_str(), host.size()) == 1 &&
         SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, server_name.data()) == 1;
}

// In seconds since 1970. ASN1_TIME_to_tm asks no clock and fits every year, where OpenSSL's own comparison is
// done with the C library's time_t, which ends in 2038 on 32-bit machines: behind it OpenSSL calls every
// certificate not yet valid.
std::optional<std::int64_t> seconds_of(const ASN1_TIME* time) {
  std::tm at{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &at) != 1) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(at.tm_year + 1'900),
                                         std::chrono::month(static_cast<unsigned>(at.tm_mon) + 1),
                                         std::chrono::day(static_cast<unsigned>(at.tm_mday)));
  if (!date.ok()) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((days * 24 + at.tm_hour) * 60 + at.tm_min) * 60 + at.tm_sec;
}

int validity_error(const X509* certificate, WallTime now) {
  const auto from = seconds_of(X509_get0_notBefore(certificate));
  if (!from) return X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD;
  const auto until = seconds_of(X509_get0_notAfter(certificate));
  if (!until) return X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD;
  if (now.seconds().count() < *from) return X509_V_ERR_CERT_NOT_YET_VALID;
  return now.seconds().count() > *until ? X509_V_ERR_CERT_HAS_EXPIRED : X509_V_OK;
}

// For each certificate of the chain, and once more for each time of one that OpenSSL finds wrong. Its own
// check stays on: by it OpenSSL chooses among issuers of one name.
bool is_valid_now(bool verified, asio::ssl::verify_context& at, WallTime now) {
  X509_STORE_CTX* const chain = at.native_handle();
  const int found = verified ? X509_V_OK : X509_STORE_CTX_get_error(chain);
  const bool is_of_time = found == X509_V_ERR_CERT_NOT_YET_VALID || found == X509_V_ERR_CERT_HAS_EXPIRED;
  const X509* const certificate = X509_STORE_CTX_get_current_cert(chain);
  if ((!verified && !is_of_time) || certificate == nullptr) return verified;
  const int error = validity_error(certificate, now);
  X509_STORE_CTX_set_error(chain, error);
  return error == X509_V_OK;
}

// Certificates are judged by the client's clock, if it has one, and not by OpenSSL's.
bool set_clock(asio::ssl::stream<beast::tcp_stream&>& tls, const std::function<WallTime()>& wall,
               error_code& ec) {
  if (!wall) return true;
  tls.set_verify_callback(
      [wall](bool verified, asio::ssl::verify_context& at) { return is_valid_now(verified, at, wall()); },
      ec);
  return !ec;
}

std::optional<std::string> prepare_tls(SocketStream& stream, const HttpClientOptions& options) {
  error_code ec;
  auto& context = stream.context.emplace(asio::ssl::context::tls_client);
  context.set_default_verify_paths(ec);
  if (ec) return "the system's certificates cannot be read: " + ec.message();
  auto& tls = stream.tls.emplace(stream.tcp, context);
  tls.set_verify_mode(asio::ssl::verify_peer, ec);
  if (ec) return "the certificate check cannot be set up: " + ec.message();
  SSL* ssl = tls.native_handle();
  if (!set_clock(tls, options.wall, ec) || !expect_host(ssl, options.host) ||
      SSL_set_min_proto_version(ssl, TLS1_2_VERSION) != 1)
    return "the certificate check cannot be set up for this host";
  return std::nullopt;
}

std::string describe_tls(const error_code& ec, long verify_result) {
  if (ec.category() != asio::error::get_ssl_category()) return describe(ec);
  switch (verify_result) {
    case X509_V_OK:
      return ec.message() + " (not a TLS server, or a proxy in between?)";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "the certificate looks not yet valid: is this device's clock wrong?";
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "the certificate looks expired: it is, or this device's clock is wrong";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "the certificate is for another host";
    default:
      return std::string("the certificate is not trusted: ") + X509_verify_cert_error_string(verify_result);
  }
}

class AsioDialer final : public Dialer {
 public:
  AsioDialer(asio::any_io_executor executor, const HttpClientOptions& options)
      : executor_(std::move(executor)), options_(options) {}

  asio::awaitable<std::variant<StreamPtr, TransportError>> dial() override;
  void cancel() override {
    if (lookup_) lookup_->waiter.cancel();
    if (dialing_) dialing_->close();
  }

 private:
  asio::awaitable<std::variant<StreamPtr, TransportError>> connect(const Endpoints& endpoints);
  asio::awaitable<std::variant<Endpoints, TransportError>> resolve();
  asio::awaitable<std::optional<TransportError>> handshake(SocketStream& stream);

  asio::any_io_executor executor_;
  HttpClientOptions options_;
  std::shared_ptr<Lookup> lookup_;
  std::shared_ptr<SocketStream> dialing_;
};

asio::awaitable<std::variant<Endpoints, TransportError>> AsioDialer::resolve() {
  if (const auto address = as_address(options_.host)) {
    const auto port = parse_unsigned(options_.port);
    co_return Endpoints{{*address, static_cast<std::uint16_t>(port.value_or(0))}};
  }
  if (!lookup_ || lookup_->finished)
    lookup_ = start_lookup(executor_, options_);  // a late result may be stale
  const auto lookup = lookup_;
  lookup->waiter.expires_after(options_.connect_deadline);
  const auto [ec] = co_await lookup->waiter.async_wait(kToken);
  if (!lookup->finished && ec) co_return TransportError{Stage::resolve, describe(ec)};
  if (!lookup->finished)
    co_return TransportError{Stage::resolve, "no name server answered within the deadline"};
  lookup_.reset();
  if (lookup->error) co_return TransportError{Stage::resolve, describe(lookup->error)};
  co_return lookup->endpoints;
}

// Each address gets its share of the deadline, so that one that swallows packets does not hide the ones
// behind it.
asio::awaitable<std::variant<StreamPtr, TransportError>> AsioDialer::dial() {
  auto resolved = co_await resolve();
  if (auto* failed = std::get_if<TransportError>(&resolved)) co_return std::move(*failed);
  auto connected = co_await connect(std::get<Endpoints>(resolved));
  dialing_.reset();
  co_return connected;
}

asio::awaitable<std::variant<StreamPtr, TransportError>> AsioDialer::connect(const Endpoints& endpoints) {
  const auto deadline = std::chrono::steady_clock::now() + options_.connect_deadline;
  TransportError failure{Stage::connect, "the name has no address"};
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    auto stream = std::make_shared<SocketStream>(executor_);
    dialing_ = stream;
    const auto left = deadline - std::chrono::steady_clock::now();
    stream->tcp.expires_after(left / static_cast<int>(endpoints.size() - i));
    const auto [ec] = co_await stream->tcp.async_connect(endpoints[i], kToken);
    if (!ec) {
      error_code only_latency;
      stream->tcp.socket().set_option(asio::ip::tcp::no_delay(true), only_latency);
      if (!options_.tls) co_return stream;
      auto refused = co_await handshake(*stream);
      if (refused) co_return std::move(*refused);
      co_return stream;
    }
    failure.detail = describe(ec);
    if (ec == asio::error::operation_aborted) break;  // cancelled: nothing may be awaited any more
  }
  co_return failure;
}

asio::awaitable<std::optional<TransportError>> AsioDialer::handshake(SocketStream& stream) {
  if (auto problem = prepare_tls(stream, options_)) co_return TransportError{Stage::tls, std::move(*problem)};
  stream.tcp.expires_after(options_.connect_deadline);
  const auto [ec] = co_await stream.tls->async_handshake(asio::ssl::stream_base::client, kToken);
  if (!ec) co_return std::nullopt;
  const long verified = SSL_get_verify_result(stream.tls->native_handle());
  const bool of_time = verified == X509_V_ERR_CERT_NOT_YET_VALID || verified == X509_V_ERR_CERT_HAS_EXPIRED;
  co_return TransportError{Stage::tls, describe_tls(ec, verified), of_time};
}

}  // namespace

std::unique_ptr<Dialer> make_dialer(asio::any_io_executor executor, const HttpClientOptions& options) {
  return std::make_unique<AsioDialer>(std::move(executor), options);
}

bool was_dropped(const error_code& error) {
  return error == asio::error::eof || error == asio::error::connection_reset ||
         error == asio::error::broken_pipe || error == asio::error::connection_aborted ||
         error == asio::ssl::error::stream_truncated;
}

std::string describe(const error_code& error) {
  if (error == beast::error::timeout) return "no answer within the deadline";
  if (error == asio::error::operation_aborted) return "cancelled";
  if (error == asio::error::eof || error == asio::ssl::error::stream_truncated)
    return "the connection was closed";
  return error.message();
}

}  // namespace meterd::upstream
