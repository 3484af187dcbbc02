// Heavy file 2: the only place where the device's API meets Beast.
#include "agent/api/http_server.hpp"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <chrono>
#include <map>
#include <set>

#include "agent/base/limits.hpp"

namespace meterd::api {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr std::chrono::seconds kIdle{75};  // between requests on a kept connection
constexpr std::chrono::seconds kRequestTime{
    30};  // from the first byte of a request to its last; and for the answer

using Stream = beast::basic_stream<asio::generic::stream_protocol>;

http::status status_of(unsigned code) { return http::int_to_status(code); }

http::response<http::string_body> to_beast(const Response& answer, unsigned version, bool keep_alive,
                                           bool head) {
  http::response<http::string_body> out{status_of(answer.status), version};
  out.result(answer.status);
  out.set(http::field::content_type, answer.content_type);
  for (const auto& [name, value] : answer.headers) out.set(name, value);
  out.keep_alive(keep_alive);
  out.body() = answer.body;
  out.prepare_payload();
  if (head) {
    out.content_length(answer.body.size());
    out.body().clear();
  }
  return out;
}

Response body_too_large() { return error_response(413, "too_large", "Send a body of at most 1 MiB."); }

// nullopt: the target is not an origin form that we understand.
std::optional<Request> from_beast(const http::request<http::string_body>& in, bool local) {
  const auto target = in.target();
  const auto url = boost::urls::parse_origin_form({target.data(), target.size()});
  if (url.has_error()) return std::nullopt;
  Request out;
  out.method = std::string(in.method_string());
  for (const auto& segment : url->segments()) out.path += "/" + segment;
  if (out.path.empty()) out.path = "/";
  for (const auto& parameter : url->params()) out.query.emplace_back(parameter.key, parameter.value);
  out.content_type = std::string(in[http::field::content_type]);
  out.authorization = std::string(in[http::field::authorization]);
  out.body = in.body();
  out.host = std::string(in[http::field::host]);
  out.local = local;
  return out;
}

}  // namespace

Response error_response(unsigned status, std::string_view code, std::string_view message) {
  Response out;
  out.status = status;
  out.body = "{\"error\":{\"code\":\"" + std::string(code) + "\",\"message\":\"";
  for (const char c : message) {
    if (c == '"' || c == '\\') out.body.push_back('\\');
    out.body.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  }
  out.body += "\"}}";
  return out;
}

struct HttpServer::Shared : std::enable_shared_from_this<HttpServer::Shared> {
  struct Door {
    Door(const asio::any_io_executor& loop, Listener listener)
        : descriptor(loop, listener.socket.release()), is_unix(listener.is_unix) {}
    asio::posix::stream_descriptor descriptor;
    bool is_unix;
  };
  Dependencies deps;
  std::vector<std::unique_ptr<Door>> doors;
  std::set<std::shared_ptr<Stream>> connections;
  // Those that wait for a request, or for the rest of its header, the longest first: closed at once on
  // stop(), and at the limit the first of them makes room for a new one.
  struct Waiting {
    Stream* stream;
    bool is_unix;
  };
  std::map<std::uint64_t, Waiting> waiting;
  std::uint64_t next_wait = 0;
  std::size_t tcp_connections = 0;
  bool stopping = false;
  platform::TaskGroup* tasks = nullptr;

  explicit Shared(Dependencies d) : deps(std::move(d)) {}
  asio::awaitable<void> accept(Door& door);
  struct Peer {
    bool is_unix;
    bool local;  // over the unix socket, and allowed
  };
  bool has_place(bool is_unix);
  asio::awaitable<void> serve(std::shared_ptr<Stream> stream, Peer peer);
  asio::awaitable<bool> serve_one(std::shared_ptr<Stream> stream, beast::flat_buffer& buffer, Peer peer);
  asio::awaitable<bool> send(Stream& stream, const http::request_header<>& head, const Response& answer,
                             bool keep_alive);
};

HttpServer::HttpServer(Dependencies dependencies, std::vector<Listener> listeners)
    : shared_(std::make_shared<Shared>(std::move(dependencies))) {
  for (auto& listener : listeners)
    shared_->doors.push_back(std::make_unique<Shared::Door>(shared_->deps.loop, std::move(listener)));
}
HttpServer::~HttpServer() = default;

void HttpServer::start(platform::TaskGroup& tasks) {
  shared_->tasks = &tasks;
  for (auto& door : shared_->doors) tasks.spawn(shared_->accept(*door));
}

void HttpServer::stop() {
  shared_->stopping = true;
  for (auto& door : shared_->doors) door->descriptor.cancel();
  const auto waiting = shared_->waiting;
  for (const auto& [since, one] : waiting) one.stream->cancel();
}

void HttpServer::close() {
  const auto connections = shared_->connections;
  for (const auto& stream : connections) stream->cancel();
}

asio::awaitable<void> HttpServer::Shared::accept(Door& door) {
  auto self = shared_from_this();
  auto breath = deps.clock.make_alarm();
  while (!stopping) {
    auto [error] = co_await door.descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                                       asio::as_tuple(asio::use_awaitable));
    if (error) continue;  // cancelled by stop(), or a spurious wake-up
    const int fd = ::accept4(door.descriptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        co_await breath->wait_for(Milliseconds(100));
      continue;
    }
    if (!has_place(door.is_unix)) {
      ::close(fd);
      deps.log.warning("api_connection_refused", {{"limit", limits::kHttpConnectionsMax}});
      co_await breath->wait_for(Milliseconds(10));
      continue;
    }
    const bool local = door.is_unix && platform::peer_allowed(fd, deps.access);
    const int family = door.is_unix ? AF_UNIX : AF_INET;
    auto stream = std::make_shared<Stream>(
        asio::generic::stream_protocol::socket(deps.loop, asio::generic::stream_protocol(family, 0), fd));
    connections.insert(stream);
    tcp_connections += door.is_unix ? 0 : 1;
    tasks->spawn(serve(stream, {door.is_unix, local}));
  }
}

// Anyone on the device reaches loopback TCP: half of the places are kept for the unix socket and meterctl. At
// the limit the connection that has waited longest without a whole request goes.
bool HttpServer::Shared::has_place(bool is_unix) {
  const bool tcp_full = !is_unix && tcp_connections >= limits::kHttpConnectionsMax / 2;
  if (!tcp_full && connections.size() < limits::kHttpConnectionsMax) return true;
  for (auto one = waiting.begin(); one != waiting.end(); ++one) {
    if (tcp_full && one->second.is_unix) continue;
    one->second.stream->cancel();
    waiting.erase(one);
    return true;
  }
  return false;
}

asio::awaitable<void> HttpServer::Shared::serve(std::shared_ptr<Stream> stream, Peer peer) {
  auto self = shared_from_this();
  beast::flat_buffer buffer(limits::kHttpHeaderBytesMax + limits::kHttpBodyBytesMax);
  bool keep = true;
  while (keep && !stopping) keep = co_await serve_one(stream, buffer, peer);
  boost::system::error_code ignored;  // the peer may have closed first
  stream->socket().shutdown(asio::socket_base::shutdown_send, ignored);
  stream->close();
  connections.erase(stream);
  tcp_connections -= peer.is_unix ? 0 : 1;
}

// Reads one request and answers it. False: the connection is over.
asio::awaitable<bool> HttpServer::Shared::serve_one(std::shared_ptr<Stream> stream,
                                                    beast::flat_buffer& buffer, Peer peer) {
  http::request_parser<http::string_body> parser;
  parser.header_limit(limits::kHttpHeaderBytesMax);
  parser.body_limit(limits::kHttpBodyBytesMax);
  parser.eager(false);

  stream->expires_after(kIdle);
  const auto turn = next_wait++;
  waiting.emplace(turn, Waiting{stream.get(), peer.is_unix});
  auto [header_error, header_bytes] =
      co_await http::async_read_header(*stream, buffer, parser, asio::as_tuple(asio::use_awaitable));
  waiting.erase(turn);
  if (header_error == http::error::header_limit) {
    (void)co_await send(*stream, parser.get(),
                        error_response(431, "header_too_large", "Send a smaller header."), false);
    co_return false;
  }
  if (header_error == http::error::body_limit) {  // by its Content-Length
    (void)co_await send(*stream, parser.get(), body_too_large(), false);
    co_return false;
  }
  if (header_error) {
    const bool not_http =
        header_error.category() == http::make_error_code(http::error::bad_method).category() &&
        header_error != http::error::end_of_stream && header_error != http::error::partial_message;
    if (not_http)
      (void)co_await send(*stream, parser.get(),
                          error_response(400, "malformed", "This is not an HTTP/1.1 request."), false);
    co_return false;
  }
  stream->expires_after(kRequestTime);
  if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    http::response<http::empty_body> go_on{http::status::continue_, parser.get().version()};
    auto [error, sent] = co_await http::async_write(*stream, go_on, asio::as_tuple(asio::use_awaitable));
    if (error) co_return false;
  }
  auto [error, got] = co_await http::async_read(*stream, buffer, parser, asio::as_tuple(asio::use_awaitable));
  if (error == http::error::body_limit) {
    (void)co_await send(*stream, parser.get(), body_too_large(), false);
    co_return false;
  }
  if (error) co_return false;

  const auto request = parser.release();
  const bool keep_alive = request.keep_alive() && !stopping;
  auto ours = from_beast(request, peer.local);
  if (ours) ours->over_tcp = !peer.is_unix;
  if (!ours)
    co_return co_await send(
        *stream, request, error_response(400, "malformed", "The request target is not a path."), keep_alive);
  stream->expires_never();  // the handler has deadlines of its own; a commit may take long on a slow disk
  const auto answer = co_await deps.handler(std::move(*ours));
  co_return co_await send(*stream, request, answer, keep_alive);
}

asio::awaitable<bool> HttpServer::Shared::send(Stream& stream, const http::request_header<>& head,
                                               const Response& answer, bool keep_alive) {
  const unsigned version = head.version() == 0 ? 11 : head.version();
  auto out = to_beast(answer, version, keep_alive, head.method() == http::verb::head);
  stream.expires_after(kRequestTime);
  http::response_serializer<http::string_body> serializer(out);
  boost::system::error_code failed;
  if (head.method() == http::verb::head) {
    auto [error, sent] =
        co_await http::async_write_header(stream, serializer, asio::as_tuple(asio::use_awaitable));
    failed = error;
  } else {
    auto [error, sent] = co_await http::async_write(stream, serializer, asio::as_tuple(asio::use_awaitable));
    failed = error;
  }
  co_return !failed && keep_alive;
}

}  // namespace meterd::api
