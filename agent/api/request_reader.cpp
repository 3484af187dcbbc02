// Heavy file 2: the only place where the device's API meets Beast.
#include "agent/api/request_reader.hpp"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <cstring>

#include "agent/api/request_target.hpp"
#include "agent/base/limits.hpp"

namespace meterd::api {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using beast::string_view;
using boost::system::error_code;

namespace {

constexpr std::size_t kBufferBytes = 4 * 1024;
constexpr std::size_t kRoomMin = 1024;
constexpr std::size_t kHeaderBytesKept = 2 * 1024;  // a larger one's memory is not kept for the next
constexpr std::size_t kBufferBytesMax = limits::kHttpHeaderBytesMax + kRoomMin;
// Beast 1.81 asserts that it never sees less than "0\r\n\r\n" once it has seen its beginning: a client that
// sends it byte by byte would end the process. Every chunked body has that much to come until its end.
constexpr std::size_t kLastChunkBytes = 5;

std::string_view plain(string_view text) { return {text.data(), text.size()}; }

}  // namespace

// One request's parser. Writes into the reader's Request as it goes.
class RequestReader::Parser final : public http::basic_parser<true> {
 public:
  Parser(Request& request, BodyBudget& bodies) : share(bodies), request_(request) {
    header_limit(2 * limits::kHttpHeaderBytesMax);  // the reader has its own
    body_limit(limits::kHttpBodyBytesMax);
    eager(true);
  }

  bool head = false;
  bool version_10 = false;
  bool too_many = false;          // fields
  bool waits = false;             // for "100 Continue"
  std::string_view expects_what;  // not empty: an expectation that is not ours
  std::string_view ambiguous;     // not empty: why the request is refused
  std::string target;
  BodyShare share;

 private:
  void on_request_impl(http::verb, string_view method, string_view request_target, int version,
                       error_code&) override {
    request_.method.assign(method.data(), method.size());
    target.assign(request_target.data(), request_target.size());
    version_10 = version < 11;
    head = method == "HEAD";
  }
  void on_response_impl(int, string_view, int, error_code&) override {}

  void on_field_impl(http::field field, string_view name, string_view value, error_code&) override {
    if (in_body_) return;  // a trailer: nothing that comes after the body changes what was asked
    if ((too_many = ++fields_ > limits::kHttpFieldsMax)) return;
    switch (field) {
      case http::field::host:
        return once(kHost, request_.host, value, "Host");
      case http::field::content_type:
        return once(kContentType, request_.content_type, value, "Content-Type");
      case http::field::authorization:
        return once(kAuthorization, request_.authorization, value, "Authorization");
      case http::field::content_length:
        if ((seen_ & kContentLength) != 0 || value.find(',') != string_view::npos)
          ambiguous = "Send one Content-Length.";
        seen_ |= kContentLength;
        return;
      case http::field::transfer_encoding:
        if (version_10 || !beast::iequals(value, "chunked"))
          ambiguous = "The only Transfer-Encoding here is \"chunked\", in HTTP/1.1.";
        return;
      case http::field::expect:
        if (version_10) return;
        waits = beast::iequals(value, "100-continue");
        if (!waits) expects_what = "Only \"Expect: 100-continue\" is understood here.";
        return;
      default:
        break;
    }
    auto& [key, text] = request_.headers.emplace_back(std::string(plain(name)), std::string(plain(value)));
    for (char& c : key)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  void on_header_impl(error_code&) override {
    if (!version_10 && (seen_ & kHost) == 0) ambiguous = "Send a Host header.";
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
    in_body_ = true;
    share.expect(length ? static_cast<std::size_t>(*length) : limits::kHttpBodyBytesMax);
  }
  std::size_t on_body_impl(string_view piece, error_code& failed) override {
    if (!share.append(request_.body, plain(piece))) failed = http::error::buffer_overflow;
    return piece.size();
  }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view piece, error_code& failed) override {
    return on_body_impl(piece, failed);
  }
  void on_finish_impl(error_code&) override {}

  static constexpr unsigned kHost = 1, kContentType = 2, kAuthorization = 4, kContentLength = 8;
  void once(unsigned bit, std::string& out, string_view value, std::string_view name) {
    if ((seen_ & bit) != 0) ambiguous = name == "Host" ? "Send one Host." : "Send no header field twice.";
    seen_ |= bit;
    out.assign(value.data(), value.size());
  }

  Request& request_;
  unsigned seen_ = 0;
  std::size_t fields_ = 0;
  bool in_body_ = false;
};

struct RequestReader::Slot {
  std::optional<Parser> parser;
};

RequestReader::RequestReader(BodyBudget& bodies) : bodies_(bodies), slot_(std::make_unique<Slot>()) {
  parser_ = &slot_->parser.emplace(request_, bodies_);
}
RequestReader::~RequestReader() = default;

std::span<char> RequestReader::room() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (capacity_ - end_ < kRoomMin && begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const bool wants_more = phase_ == Phase::body && capacity_ < kBufferBytesMax;
  if (capacity_ - end_ < kRoomMin || wants_more) {
    const std::size_t size = capacity_ == 0 ? kBufferBytes : kBufferBytesMax;
    auto larger = std::make_unique_for_overwrite<char[]>(size);
    if (end_ > begin_) std::memcpy(larger.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    buffer_ = std::move(larger);
    capacity_ = size;
  }
  return {buffer_.get() + end_, capacity_ - end_};
}

void RequestReader::received(std::size_t bytes) { end_ += bytes; }

AnswerFrame RequestReader::frame() const {
  return {parser_->version_10 ? 10U : 11U, refusal_.status == 200 && parser_->keep_alive()};
}
bool RequestReader::is_head() const { return parser_->head; }

void RequestReader::release_body() { parser_->share.end(request_.body); }

void RequestReader::next() {
  release_body();
  parser_ = &slot_->parser.emplace(request_, bodies_);
  if (header_size_ > kHeaderBytesKept) {
    Request fresh;
    fresh.over_tcp = request_.over_tcp;
    fresh.local = request_.local;
    fresh.only = request_.only;
    fresh.peer = request_.peer;
    std::swap(request_, fresh);
    std::string().swap(target_);
  }
  request_.headers.clear();
  request_.content_type.clear();
  request_.authorization.clear();
  request_.host.clear();
  request_.admitted = false;
  if (begin_ == end_ && capacity_ > kBufferBytes) {
    buffer_.reset();
    capacity_ = begin_ = end_ = 0;
  }
  scanned_ = header_size_ = 0;
  phase_ = Phase::idle;
}

RequestReader::Step RequestReader::refuse_with(unsigned status, std::string_view code,
                                               std::string_view message) {
  return refuse(error_response(status, code, message));
}

RequestReader::Step RequestReader::refuse(Response answer) {
  if (phase_ != Phase::body) guess_path();
  refusal_ = std::move(answer);
  release_body();
  return Step::refused;
}

// Of a header that was not read: whose API was asked, for the shape of the refusal.
void RequestReader::guess_path() {
  std::string_view line(buffer_.get() + begin_, end_ - begin_);
  line = line.substr(0, line.find_first_of("\r\n"));
  line.remove_prefix(std::min(line.size(), line.find(' ')));
  line.remove_prefix(std::min<std::size_t>(line.size(), 1));
  request_.path = line.substr(0, line.find_first_of(" ?"));
  target_.clear();
}

RequestReader::Step RequestReader::step() {
  if (phase_ != Phase::body) return read_header();
  if (std::exchange(parser_->waits, false) && begin_ == end_) return Step::invite;
  return read_body();
}

// Looks at each line's end once. False: it has not come yet. A line that is folded or does not end in CRLF
// leaves header_size_ at 0 with all that came as scanned.
bool RequestReader::find_header_end() {
  const char* bytes = buffer_.get() + begin_;
  const std::size_t size = end_ - begin_;
  while (scanned_ < size) {
    const auto* found = static_cast<const char*>(std::memchr(bytes + scanned_, '\n', size - scanned_));
    if (found == nullptr) {
      scanned_ = size;
      return false;
    }
    const auto at = static_cast<std::size_t>(found - bytes);
    if (at == 0 || bytes[at - 1] != '\r') return true;
    if (at >= 3 && bytes[at - 2] == '\n') {
      header_size_ = at + 1;
      return true;
    }
    if (at + 1 >= size) {
      scanned_ = at;  // what the next line begins with is not known
      return false;
    }
    if (bytes[at + 1] == ' ' || bytes[at + 1] == '\t') return true;
    scanned_ = at + 1;
  }
  return false;
}

RequestReader::Step RequestReader::read_header() {
  // An empty line before a request is a leftover of a careless client.
  while (phase_ == Phase::idle && end_ - begin_ >= 2 && std::memcmp(buffer_.get() + begin_, "\r\n", 2) == 0)
    begin_ += 2;
  if (begin_ == end_) return Step::more;
  if (phase_ == Phase::idle && end_ - begin_ == 1 && buffer_[begin_] == '\r') return Step::more;
  phase_ = Phase::header;
  const auto not_http = [this] {
    return refuse_with(400, "malformed",
                       "This is not an HTTP/1.1 request, or not one that reads one way only.");
  };
  // TLS, for one: no answer would come to what has no lines.
  if (static_cast<unsigned char>(buffer_[begin_]) < 0x20 && buffer_[begin_] != '\r') return not_http();
  if (!find_header_end()) {
    if (end_ - begin_ > limits::kHttpHeaderBytesMax)
      return refuse_with(431, "header_too_large", "Send a smaller header.");
    return Step::more;
  }
  if (header_size_ > limits::kHttpHeaderBytesMax)
    return refuse_with(431, "header_too_large", "Send a smaller header.");
  if (header_size_ == 0) return not_http();

  error_code failed;
  const auto used = parser_->put({buffer_.get() + begin_, header_size_}, failed);
  const bool known = know_target(parser_->target);  // also of what is refused: for the shape of the refusal
  if (failed == http::error::body_limit)
    return refuse_with(413, "too_large", "Send a body of at most 1 MiB.");
  if (failed == http::error::need_more && parser_->is_header_done()) failed = {};
  if (failed || used != header_size_) return not_http();
  begin_ += used;
  phase_ = Phase::body;
  if (parser_->too_many) return refuse_with(431, "header_too_large", "Send fewer header fields.");
  if (!parser_->ambiguous.empty()) return refuse_with(400, "malformed", parser_->ambiguous);
  if (!parser_->expects_what.empty()) return refuse_with(417, "expectation_failed", parser_->expects_what);
  if (!known)
    return refuse_with(400, "malformed", "The request target is no path with at most 32 parameters.");
  return parser_->is_done() ? Step::request : Step::admit;
}

RequestReader::Step RequestReader::read_body() {
  while (!parser_->is_done()) {
    const std::size_t least = parser_->chunked() ? kLastChunkBytes : 1;
    if (end_ - begin_ < least) return Step::more;
    error_code failed;
    begin_ += parser_->put({buffer_.get() + begin_, end_ - begin_}, failed);
    if (failed == http::error::body_limit)
      return refuse_with(413, "too_large", "Send a body of at most 1 MiB.");
    if (failed == http::error::buffer_overflow) {
      refuse_with(503, "busy", "Too many bodies are on their way: send it again.");
      refusal_.headers.emplace_back("Retry-After", "1");
      return Step::refused;
    }
    if (failed == http::error::need_more) {
      // A chunk's head or the trailer that does not end.
      if (end_ - begin_ > limits::kHttpHeaderBytesMax)
        return refuse_with(431, "header_too_large", "Send a smaller trailer.");
      return Step::more;
    }
    if (failed) return refuse_with(400, "malformed", "The chunked body is broken.");
  }
  return Step::request;
}

// Most requests of a connection name the same target.
bool RequestReader::know_target(std::string_view target) {
  if (!target_.empty() && target == target_) return true;
  target_.clear();
  if (!read_target(target, request_)) {
    request_.path = target.substr(0, target.find('?'));  // as sent: for whoever shapes the refusal
    return false;
  }
  if (target.starts_with('/')) target_ = target;  // another form says more than the path
  return true;
}

}  // namespace meterd::api
