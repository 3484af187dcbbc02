// The HTTP client. The request is written from bytes of our own making, so that a repeat is identical; Beast
// only reads the answer. One deadline covers an exchange from its first byte to its last, however slowly it
// drips. A kept connection is used for repeatable requests only: on any other, its silent death would leave
// the outcome unknown, and one more handshake is cheaper than an operator's time.
#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "agent/base/limits.hpp"
#include "agent/upstream/dialer.hpp"

namespace meterd::upstream {

using Stage = TransportError::Stage;

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using Parser = http::response_parser<http::string_body>;

constexpr std::size_t kReadBytes = 8 * 1024;
constexpr int kInterimAnswersMax = 8;
// Home routers and mobile networks forget idle connections without a word, and servers close them after about
// a minute: an older one is more likely dead than worth its handshake.
constexpr auto kIdleMax = std::chrono::seconds(30);

// What one try on one connection came to.
struct Attempt {
  Exchange exchange;
  bool answer_began = false;  // at least one byte of an answer was read
  bool dropped = false;
  bool reusable = false;
};

Attempt failure(Stage stage, const error_code& ec, bool answer_began) {
  std::string detail = describe(ec);
  if (ec == http::error::partial_message) {
    detail = "the answer was cut short";
  } else if (ec == http::error::body_limit || ec == http::error::header_limit) {
    detail = "the answer is over the limit (" + ec.message() + ")";
  } else if (ec.category() == http::make_error_code(http::error::bad_version).category()) {
    detail = "the answer is not HTTP (" + ec.message() + ")";
  }
  return {TransportError{stage, detail}, answer_began, was_dropped(ec), false};
}

// Refuses what would be read as two header lines or two requests. Never happens with what meterd encodes.
bool is_one_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

bool is_sendable(const HttpRequest& request) {
  return is_one_line(request.method) && is_one_line(request.target) && request.target.starts_with('/') &&
         request.target.find(' ') == std::string::npos &&
         std::all_of(request.headers.begin(), request.headers.end(), [](const auto& header) {
           return is_one_line(header.first) && is_one_line(header.second);
         });
}

std::string serialise(const HttpRequest& request, const HttpClientOptions& options) {
  const bool default_port = options.port == (options.tls ? "443" : "80");
  const bool is_ipv6 = options.host.find(':') != std::string::npos;
  std::string out = request.method + " " + request.target + " HTTP/1.1\r\nHost: ";
  out += is_ipv6 ? "[" + options.host + "]" : options.host;
  if (!default_port) out += ":" + options.port;
  out += "\r\nUser-Agent: meterd\r\n";
  if (!options.authorization.empty()) out += "Authorization: " + options.authorization + "\r\n";
  for (const auto& [name, value] : request.headers) out += name + ": " + value + "\r\n";
  if (request.method == "POST" || !request.body.empty())
    out += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  return out + "\r\n" + request.body;
}

// Reads one answer, fed piece by piece. Interim answers ("100 Continue" and its like) are passed over.
class AnswerReader {
 public:
  explicit AnswerReader(std::size_t body_bytes_max) : body_bytes_max_(body_bytes_max) { restart(); }

  bool done() const { return done_; }
  bool began() const { return parser_->got_some() || interim_ > 0; }
  bool keep_alive() const { return parser_->keep_alive() && rest_.size() == 0; }

  char* space() { return static_cast<char*>(rest_.prepare(kReadBytes).data()); }

  void add(std::size_t length, error_code& ec) {
    rest_.commit(length);
    feed(ec);
    while (!ec && done_ && parser_->get().result_int() / 100 == 1) {
      if (++interim_ > kInterimAnswersMax) ec = http::make_error_code(http::error::bad_status);
      if (!ec) restart();
      if (!ec) feed(ec);
    }
  }

  // The peer closed: fine for a body without a length, too short for any other.
  void end(error_code& ec) {
    if (!began()) return;
    parser_->put_eof(ec);
    done_ = !ec && parser_->is_done();
    if (!ec && !done_) ec = http::make_error_code(http::error::partial_message);
  }

  HttpResponse take() {
    auto message = parser_->release();
    HttpResponse response;
    response.status = message.result_int();
    for (const auto& field : message) {
      std::string name(field.name_string());
      for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      response.headers.emplace_back(std::move(name), std::string(field.value()));
    }
    response.body = std::move(message.body());
    return response;
  }

 private:
  // Beast 1.81 asserts that it never sees less than "0\r\n\r\n" once it has seen its beginning. Every chunked
  // body has that much to come until its end.
  std::size_t least() const { return parser_->is_header_done() && parser_->chunked() ? 5 : 1; }

  void restart() {
    parser_.emplace();
    parser_->header_limit(limits::kUpstreamHeaderBytesMax);
    parser_->body_limit(body_bytes_max_);
    parser_->eager(true);
    done_ = false;
  }

  void feed(error_code& ec) {
    while (!parser_->is_done() && rest_.size() >= least()) {
      const std::size_t used = parser_->put(rest_.data(), ec);
      rest_.consume(used);
      if (ec == http::error::need_more) {
        ec = {};
        return;
      }
      if (ec) return;
      if (used == 0) break;
    }
    done_ = parser_->is_done();
  }

  std::size_t body_bytes_max_;
  std::optional<Parser> parser_;
  boost::beast::flat_buffer rest_;
  int interim_ = 0;
  bool done_ = false;
};

asio::awaitable<Attempt> attempt_on(Stream& stream, const std::string& wire,
                                    const HttpClientOptions& options) {
  stream.set_deadline(options.exchange_deadline);
  const Stream::Done sent = co_await stream.write_all(wire);
  if (sent.error) co_return failure(Stage::send, sent.error, false);
  AnswerReader reader(options.answer_bytes_max);
  while (!reader.done()) {
    Stream::Done read = co_await stream.read_some(reader.space(), kReadBytes);
    if (read.error == asio::error::eof) reader.end(read.error);
    if (read.error) co_return failure(Stage::receive, read.error, reader.began());
    if (!reader.done()) reader.add(read.bytes, read.error);
    if (read.error) co_return failure(Stage::receive, read.error, true);
  }
  const bool reusable = reader.keep_alive();
  co_return Attempt{reader.take(), true, false, reusable};
}

class BeastClient final : public HttpClient {
 public:
  BeastClient(asio::any_io_executor executor, HttpClientOptions options) : options_(std::move(options)) {
    if (options_.host.starts_with('[') && options_.host.ends_with(']'))
      options_.host = options_.host.substr(1, options_.host.size() - 2);
    dialer_ = make_dialer(std::move(executor), options_);
  }

  asio::awaitable<Exchange> exchange(const HttpRequest& request, bool repeatable) override {
    if (!is_sendable(request))
      co_return TransportError{Stage::resolve, "the request is not one HTTP request"};
    const std::string wire = serialise(request, options_);
    if (const StreamPtr kept = take_kept(repeatable)) {
      Attempt attempt = co_await attempt_on(*kept, wire, options_);
      const bool was_stale = attempt.dropped && !attempt.answer_began && stream_ == kept;
      Exchange result = settle(kept, attempt);
      if (!was_stale) co_return result;
    }
    auto dialed = co_await dialer_->dial();
    if (auto* failed = std::get_if<TransportError>(&dialed)) co_return std::move(*failed);
    const StreamPtr fresh = std::get<StreamPtr>(dialed);
    stream_ = fresh;
    Attempt attempt = co_await attempt_on(*fresh, wire, options_);
    co_return settle(fresh, attempt);
  }

  void close() override {
    dialer_->cancel();
    drop();
  }

 private:
  // The kept connection if it may still serve this request; otherwise it is closed.
  StreamPtr take_kept(bool repeatable) {
    const bool usable = stream_ && repeatable && std::chrono::steady_clock::now() - idle_since_ < kIdleMax &&
                        stream_->is_quiet();
    if (!usable) drop();
    return stream_;
  }
  void drop() {
    if (stream_) stream_->close();
    stream_.reset();
  }

  // Keeps the connection if that is right and nobody closed it meanwhile.
  Exchange settle(const StreamPtr& stream, Attempt& attempt) {
    if (attempt.reusable && stream_ == stream) {
      stream->set_deadline(std::nullopt);
      idle_since_ = std::chrono::steady_clock::now();
    } else {
      stream->close();
      if (stream_ == stream) stream_.reset();
    }
    return std::move(attempt.exchange);
  }

  HttpClientOptions options_;
  std::unique_ptr<Dialer> dialer_;
  StreamPtr stream_;  // kept, or of the exchange under way
  std::chrono::steady_clock::time_point idle_since_;
};

}  // namespace

std::unique_ptr<HttpClient> make_http_client(asio::any_io_executor executor, HttpClientOptions options) {
  return std::make_unique<BeastClient>(std::move(executor), std::move(options));
}

}  // namespace meterd::upstream
