// A byte stream to an upstream, over TCP or TLS, and how one is opened: name lookup, connect, handshake, each
// under its deadline. Internal to this layer; it keeps Asio's TLS out of the HTTP client.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "agent/upstream/http.hpp"

namespace meterd::upstream {

// Loop thread; one operation at a time. An operation that fails leaves a stream that is only good for
// close().
class Stream {
 public:
  struct Done {
    boost::system::error_code error;  // eof: a clean end; over TLS only after the peer's close_notify
    std::size_t bytes = 0;
  };
  virtual ~Stream() = default;
  // For everything that follows together, until set again; without a value, none.
  virtual void set_deadline(std::optional<Milliseconds> from_now) = 0;
  virtual boost::asio::awaitable<Done> write_all(std::string_view bytes) = 0;
  virtual boost::asio::awaitable<Done> read_some(char* space, std::size_t size_bytes) = 0;
  // Whether an idle stream is still open and has nothing to say, as far as can be told without waiting.
  virtual bool is_quiet() = 0;
  virtual void close() = 0;
};

using StreamPtr = std::shared_ptr<Stream>;

class Dialer {
 public:
  virtual ~Dialer() = default;
  virtual boost::asio::awaitable<std::variant<StreamPtr, TransportError>> dial() = 0;
  // Ends the dial under way with an error; nothing if there is none.
  virtual void cancel() = 0;
};

// `options.host` is a name or an address without brackets. One dial at a time; outlives it.
std::unique_ptr<Dialer> make_dialer(boost::asio::any_io_executor executor, const HttpClientOptions& options);

// The peer closed or reset, as opposed to being slow, garbled or cancelled.
bool was_dropped(const boost::system::error_code& error);

// For the operator, without names or addresses.
std::string describe(const boost::system::error_code& error);

}  // namespace meterd::upstream
