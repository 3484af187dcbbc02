// An HTTP server over real sockets, a unix socket and loopback TCP, whose handler says what it understood.
// Time is the fake clock's.
#pragma once

#include <boost/asio/co_spawn.hpp>

#include "agent/api/body_stream.hpp"
#include "agent/api/http_server.hpp"
#include "agent/base/limits.hpp"
#include "tests/ingest/bench.hpp"
#include "tests/ingest/wire.hpp"

namespace meterd::api {

struct Answer {
  std::string head, body;
};

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    auto tcp = test::must(platform::listen_tcp("127.0.0.1", 0));
    port_ = test::port_of(tcp);
    std::vector<HttpServer::Listener> listeners;
    listeners.push_back({test::must(platform::listen_unix(path_, {})), true});
    listeners.push_back({std::move(tcp), false});
    const HttpServer::Dependencies dependencies{loop_.get_executor(),
                                                clock_,
                                                log_,
                                                access_,
                                                [this](const Request& request) { return admission(request); },
                                                [this](const Request& request) { return answer(request); },
                                                shape};
    server_ = std::make_unique<HttpServer>(dependencies, std::move(listeners));
    server_->start(tasks_);
    clock_.settle();
  }
  ~HttpServerTest() override {
    let_go();
    server_->stop();
    server_->close();
    clock_.advance(Milliseconds(1'000));
    EXPECT_TRUE(test::run_until(loop_, [this] { return tasks_.running() == 0; }));
  }

  // "/private" takes no body.
  std::optional<Response> admission(const Request& request) {
    ++admissions_;
    if (request.path != "/private") return std::nullopt;
    return error_response(401, "unauthorised", request.local ? "local" : "remote");
  }

  // "/shaped" has a shape of its own.
  static Response shape(const Request& request, Response response) {
    if (request.path == "/shaped") response.body.insert(0, "shaped ");
    return response;
  }

  // Says what it understood of the request. "/hold" waits until the test lets it go.
  boost::asio::awaitable<Response> answer(const Request& request) {
    ++requests_;
    if (request.path == "/hold") {
      auto& hold = *holds_.emplace_back(clock_.make_alarm());
      co_await hold.wait_for(Milliseconds(3'600'000));
    }
    Response out;
    if (request.path == "/missing") co_return error_response(404, "not_found", "There is nothing here.");
    if (request.path == "/wrong") {
      out = error_response(405, "method_not_allowed", "Use GET.");
      out.headers.emplace_back("Allow", "GET");
      co_return out;
    }
    if (!request.local && request.path.starts_with("/operator/"))
      co_return error_response(401, "unauthorised", "No.");
    out.content_type = "text/plain";
    if (request.path == "/stream") out.stream = stream_;
    if (request.path == "/stream") co_return out;
    if (request.path == "/large") out.body.assign(8U << 20U, 'x');
    if (request.path == "/large") co_return out;
    out.body = request.method + " " + request.path;
    for (const auto& [name, value] : request.query) out.body += " " + name + "=" + value;
    out.body += request.local ? " local" : " remote";
    out.body += " " + std::to_string(request.body.size()) + ":" + request.body.substr(0, 20);
    co_return out;
  }

  void let_go() {
    for (const auto& hold : holds_) hold->notify();
  }
  test::Peer local() { return test::Peer::unix_stream(loop_, path_); }
  test::Peer remote() { return test::Peer::tcp(loop_, port_); }

  // One answer with its body by Content-Length; `head_only` for the answer to a HEAD.
  Answer next(test::Peer& peer, bool head_only = false) {
    Answer out;
    const auto head_came = [](const std::string& bytes) {
      return bytes.find("\r\n\r\n") != std::string::npos;
    };
    EXPECT_TRUE(peer.wait_until(head_came)) << peer.received();
    const auto end = peer.received().find("\r\n\r\n");
    if (end == std::string::npos) return out;
    out.head = peer.received().substr(0, end + 2);
    const auto field = out.head.find("Content-Length: ");
    const std::size_t length =
        field == std::string::npos || head_only ? 0 : std::stoul(out.head.substr(field + 16));
    EXPECT_TRUE(peer.wait_until([&](const std::string& bytes) { return bytes.size() >= end + 4 + length; }));
    out.body = peer.received().substr(end + 4, length);
    peer.take(end + 4 + length);
    return out;
  }
  Answer exchange(test::Peer& peer, const std::string& bytes) {
    peer.send(bytes);
    return next(peer);
  }
  static std::string get(const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: d\r\n\r\n";
  }

  boost::asio::io_context loop_{1};
  const ingest::Access access_{{}};
  platform::FakeClock clock_{loop_};
  test::RecordingLog log_;
  platform::TaskGroup tasks_{loop_.get_executor(), clock_};
  std::vector<std::unique_ptr<platform::Alarm>> holds_;  // an alarm has one waiter
  journal::TempDirectory directory_;
  std::string path_ = directory_ / "api.sock";
  std::uint16_t port_ = 0;
  std::shared_ptr<BodyStream> stream_;  // what "/stream" answers
  std::unique_ptr<HttpServer> server_;
  int requests_ = 0, admissions_ = 0;
};

}  // namespace meterd::api
