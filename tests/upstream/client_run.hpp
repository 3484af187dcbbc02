// Running the HTTP client from a plain test, and two peers for it: the billing sandbox, and a server that
// says exactly what a test tells it to.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/json/value.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/upstream/http.hpp"
#include "tests/support/child_process.hpp"

namespace meterd::test {

// Starts an exchange; `result` is filled when it is complete.
void start_exchange(boost::asio::io_context& context, upstream::HttpClient& client,
                    const upstream::HttpRequest& request, bool repeatable,
                    std::optional<upstream::Exchange>& result, boost::asio::cancellation_slot slot = {});
upstream::Exchange run_exchange(boost::asio::io_context& context, upstream::HttpClient& client,
                                const upstream::HttpRequest& request, bool repeatable);

// One client on an io_context of its own; each exchange runs until it is complete.
class ClientRun {
 public:
  explicit ClientRun(upstream::HttpClientOptions options);
  upstream::Exchange exchange(const upstream::HttpRequest& request, bool repeatable = true);
  upstream::HttpClient& client() { return *client_; }

 private:
  boost::asio::io_context context_;
  std::unique_ptr<upstream::HttpClient> client_;
};

// No TLS, the sandbox's key, deadlines that no healthy exchange on a loaded machine meets.
upstream::HttpClientOptions plain_options(const std::string& port);

const upstream::HttpResponse* response_of(const upstream::Exchange& exchange);
const upstream::TransportError* loss_of(const upstream::Exchange& exchange);
std::string text_of(const upstream::Exchange& exchange);  // for a failed test's message

class Sandbox {
 public:
  explicit Sandbox(const std::vector<std::string>& arguments = {});
  const std::string& port() const { return port_; }

  // Of a sandbox without TLS.
  void set_faults(const std::string& json);
  bool has_usage(const std::string& id);
  boost::json::array requests();  // what the API was asked, oldest first

 private:
  boost::json::value control(const std::string& method, const std::string& name, const std::string& body);

  ChildProcess process_;
  std::string port_;
};

// Answers the n-th request on any connection with the n-th script entry, and none after the last; runs on the
// client's own io_context.
class ScriptedServer {
 public:
  struct Reply {
    std::string bytes;
    bool then_close = false;
    bool byte_by_byte = false;
  };
  // `greeting` is sent to everybody who connects, before any request.
  ScriptedServer(boost::asio::io_context& context, std::deque<Reply> script, std::string greeting = {});

  std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }
  int connections() const { return connections_; }
  void reset();                                                           // the newest connection, with RST
  const std::vector<std::string>& received() const { return received_; }  // heads and bodies, one by one

 private:
  boost::asio::awaitable<void> accept();
  boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket socket);

  boost::asio::ip::tcp::acceptor acceptor_;
  std::deque<Reply> script_;
  std::string greeting_;
  std::vector<std::string> received_;
  int connections_ = 0;
  boost::asio::ip::tcp::socket* newest_ = nullptr;
};

}  // namespace meterd::test
