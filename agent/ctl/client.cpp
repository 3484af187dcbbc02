// The only file of meterctl that knows Asio and Beast.
#include "agent/ctl/client.hpp"

#include <sys/un.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

namespace meterd::ctl {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::uint64_t kAnswerBytesMax = 64U
                                          << 20U;  // a listing of 10,000 rows with the longest ids is 8 MB
constexpr std::uint32_t kHeaderBytesMax = 16U << 10U;
constexpr std::chrono::milliseconds kBusyPause{20};
constexpr std::size_t kPieceBytes = 64U << 10U;

using TimePoint = std::chrono::steady_clock::time_point;
using Stream = beast::basic_stream<asio::local::stream_protocol>;

// A connection whose every step ends at the deadline.
class Connection {
 public:
  explicit Connection(TimePoint deadline) { set_deadline(deadline); }
  void set_deadline(TimePoint deadline) { stream_.expires_at(deadline); }

  error_code connect(const std::string& path) {
    return step(
        [&](auto done) { stream_.async_connect(asio::local::stream_protocol::endpoint(path), done); });
  }
  error_code write(const http::request<http::string_body>& request) {
    return step([&](auto done) {
      http::async_write(stream_, request, [done](error_code error, std::size_t) { done(error); });
    });
  }
  template <class Body>
  error_code read_header(http::response_parser<Body>& parser) {
    return step([&](auto done) {
      http::async_read_header(stream_, buffer_, parser,
                              [done](error_code error, std::size_t) { done(error); });
    });
  }
  template <class Body>
  error_code read(http::response_parser<Body>& parser) {
    return step([&](auto done) {
      http::async_read(stream_, buffer_, parser, [done](error_code error, std::size_t) { done(error); });
    });
  }

 private:
  template <class Start>
  error_code step(Start start) {
    error_code result;
    start([&result](error_code error) { result = error; });
    context_.restart();
    context_.run();
    return result;
  }

  asio::io_context context_{1};
  Stream stream_{context_};
  beast::flat_buffer buffer_;
};

Error late(const Daemon& daemon) {
  return {Code::cancelled,
          "meterd did not answer within " + std::to_string(daemon.timeout.count()) +
              " ms. Try again or allow more with --timeout 60s; if it stays so, read its log: "
              "journalctl -u meterd"};
}

Error not_reached(const Daemon& daemon, const error_code& error) {
  std::string message = "meterd is not reachable: ";
  if (error == boost::system::errc::no_such_file_or_directory)
    message += "there is no socket " + daemon.socket +
               ". Start it (systemctl start meterd), or name its API socket with --socket PATH.";
  else if (error == asio::error::connection_refused)
    message += "nobody listens on " + daemon.socket + ". Start it: systemctl start meterd.";
  else if (error == asio::error::access_denied)
    message += "this user may not open " + daemon.socket +
               ". Run meterctl as root or as a member of a group in [access] of meterd.toml.";
  else
    message += daemon.socket + ": " + error.message() + ". Name meterd's API socket with --socket PATH.";
  return {Code::io, std::move(message)};
}

Error failed(const Daemon& daemon, const error_code& error) {
  if (error == beast::error::timeout) return late(daemon);
  const bool is_broken = error == http::error::end_of_stream || error == http::error::partial_message ||
                         error.category() != http::make_error_code(http::error::end_of_stream).category();
  if (is_broken)
    return {Code::retry, "meterd closed the connection before it had answered (" + error.message() +
                             "). Try again; if it stays so, read its log: journalctl -u meterd"};
  return {Code::corrupt, "what answers on " + daemon.socket + " does not speak meterd's HTTP (" +
                             error.message() + "). Name meterd's API socket with --socket PATH."};
}

http::request<http::string_body> to_beast(const Request& request) {
  http::request<http::string_body> out;
  out.version(11);
  out.method_string(request.method);
  out.target(request.target);
  out.set(http::field::host, "meterd");
  out.set(http::field::accept, "application/json");
  if (!request.content_type.empty()) out.set(http::field::content_type, request.content_type);
  out.keep_alive(false);
  out.body() = request.body;
  out.prepare_payload();
  return out;
}

}  // namespace

namespace {

// Sends the request; an error says why it was not, or may not have been.
std::optional<Error> send(Connection& connection, const Daemon& daemon,
                          const http::request<http::string_body>& message, bool& busy) {
  busy = false;
  if (const auto error = connection.connect(daemon.socket))
    return error == beast::error::timeout ? late(daemon) : not_reached(daemon, error);
  const auto error = connection.write(message);
  // With the listener's queue full, Linux refuses a non-blocking connect on a unix socket with EAGAIN, which
  // Asio takes for "in progress"; the first write then says that there is no connection. Nothing was sent.
  busy = error == asio::error::not_connected;
  if (busy) return late(daemon);
  if (error) return failed(daemon, error);
  return std::nullopt;
}

// A connection with the request sent on it. Waits while the listener's queue is full.
Result<std::unique_ptr<Connection>> ask(const Daemon& daemon, const Request& request) {
  if (daemon.socket.empty() || daemon.socket.size() >= sizeof(sockaddr_un::sun_path))
    return Error{Code::invalid, "a socket's path has 1 to 107 bytes: --socket PATH"};
  const auto deadline = std::chrono::steady_clock::now() + daemon.timeout;
  const auto message = to_beast(request);
  for (;;) {
    auto connection = std::make_unique<Connection>(deadline);
    bool busy = false;
    auto error = send(*connection, daemon, message, busy);
    if (!error) return connection;
    if (!busy || std::chrono::steady_clock::now() >= deadline) return *error;
    std::this_thread::sleep_for(kBusyPause);
  }
}

}  // namespace

Result<Answer> exchange(const Daemon& daemon, const Request& request) {
  auto connection = ask(daemon, request);
  if (!connection) return connection.error();
  http::response_parser<http::string_body> parser;
  parser.header_limit(kHeaderBytesMax);
  parser.body_limit(kAnswerBytesMax);
  if (const auto error = (*connection)->read(parser)) return failed(daemon, error);
  return Answer{parser.get().result_int(), std::move(parser.get().body())};
}

Result<Answer> download(const Daemon& daemon, const Request& request, const Take& take) {
  constexpr unsigned kOk = 200;
  auto connection = ask(daemon, request);
  if (!connection) return connection.error();
  http::response_parser<http::buffer_body> parser;
  parser.header_limit(kHeaderBytesMax);
  parser.body_limit(boost::none);
  if (const auto error = (*connection)->read_header(parser)) return failed(daemon, error);
  Answer answer{parser.get().result_int(), {}};
  std::string piece(kPieceBytes, '\0');
  while (!parser.is_done()) {
    auto& body = parser.get().body();
    body.data = piece.data();
    body.size = piece.size();
    (*connection)->set_deadline(std::chrono::steady_clock::now() + daemon.timeout);
    const auto error = (*connection)->read(parser);
    if (error && error != http::error::need_buffer) return failed(daemon, error);
    const std::string_view got(piece.data(), piece.size() - body.size);
    if (answer.status != kOk) {
      if (answer.body.size() + got.size() > kAnswerBytesMax) return failed(daemon, http::error::body_limit);
      answer.body += got;
    } else if (auto taken = take(got); !taken) {
      return taken.error();
    }
  }
  return answer;
}

}  // namespace meterd::ctl
