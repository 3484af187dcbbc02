#include "tests/upstream/client_run.hpp"

#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>

namespace meterd::test {

namespace asio = boost::asio;
using asio::ip::tcp;
using upstream::Exchange;
using upstream::HttpResponse;
using upstream::TransportError;

namespace {
constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
}

ClientRun::ClientRun(upstream::HttpClientOptions options)
    : client_(upstream::make_http_client(context_.get_executor(), std::move(options))) {}

Exchange ClientRun::exchange(const upstream::HttpRequest& request, bool repeatable) {
  return run_exchange(context_, *client_, request, repeatable);
}

void start_exchange(asio::io_context& context, upstream::HttpClient& client,
                    const upstream::HttpRequest& request, bool repeatable, std::optional<Exchange>& result,
                    asio::cancellation_slot slot) {
  asio::co_spawn(
      context, client.exchange(request, repeatable),
      asio::bind_cancellation_slot(slot, [&result](const std::exception_ptr& failed, Exchange exchange) {
        EXPECT_FALSE(failed);
        result = std::move(exchange);
      }));
}

Exchange run_exchange(asio::io_context& context, upstream::HttpClient& client,
                      const upstream::HttpRequest& request, bool repeatable) {
  std::optional<Exchange> result;
  start_exchange(context, client, request, repeatable, result);
  context.restart();
  while (!result) context.run_one();
  return std::move(*result);
}

upstream::HttpClientOptions plain_options(const std::string& port) {
  upstream::HttpClientOptions options;
  options.tls = false;
  options.host = "127.0.0.1";
  options.port = port;
  options.authorization = "Basic dGVzdF9rZXk6";  // test_key, no password
  options.connect_deadline = Milliseconds(20'000);
  options.exchange_deadline = Milliseconds(20'000);
  return options;
}

const HttpResponse* response_of(const Exchange& exchange) { return std::get_if<HttpResponse>(&exchange); }
const TransportError* loss_of(const Exchange& exchange) { return std::get_if<TransportError>(&exchange); }

std::string text_of(const Exchange& exchange) {
  if (const auto* loss = loss_of(exchange)) return std::string(name_of(loss->stage)) + ": " + loss->detail;
  return std::to_string(response_of(exchange)->status) + ": " + response_of(exchange)->body.substr(0, 300);
}

Sandbox::Sandbox(const std::vector<std::string>& arguments)
    : process_([&arguments] {
        std::vector<std::string> all{METERD_SANDBOX, "--seed", "1"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        return all;
      }()) {
  const std::string line = process_.read_line().value_or("");
  EXPECT_EQ(line.substr(0, 13), "listening on ") << "the sandbox did not start";
  port_ = line.substr(line.rfind(':') + 1);
}

boost::json::value Sandbox::control(const std::string& method, const std::string& name,
                                    const std::string& body) {
  ClientRun run(plain_options(port_));
  const Exchange exchange =
      run.exchange({method, "/_sandbox/" + name, {{"accept", "application/json"}}, body});
  const HttpResponse* response = response_of(exchange);
  if (response == nullptr || response->status != 200) {
    ADD_FAILURE() << name << ": " << text_of(exchange);
    return {};
  }
  return boost::json::parse(response->body);
}

void Sandbox::set_faults(const std::string& json) { control("POST", "faults", json); }

bool Sandbox::has_usage(const std::string& id) {
  const auto ledger = control("GET", "ledger", "");
  for (const auto& usage : ledger.at("usages").as_array())
    if (usage.at("id").as_string() == id) return true;
  return false;
}

boost::json::array Sandbox::requests() { return control("GET", "requests", "").at("requests").as_array(); }

ScriptedServer::ScriptedServer(asio::io_context& context, std::deque<Reply> script, std::string greeting)
    : acceptor_(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
      script_(std::move(script)),
      greeting_(std::move(greeting)) {
  asio::co_spawn(context, accept(), asio::detached);
}

void ScriptedServer::reset() {
  newest_->set_option(asio::socket_base::linger(true, 0));
  newest_->close();
}

asio::awaitable<void> ScriptedServer::accept() {
  for (;;) {
    auto [ec, socket] = co_await acceptor_.async_accept(kToken);
    if (ec) co_return;
    ++connections_;
    asio::co_spawn(acceptor_.get_executor(), serve(std::move(socket)), asio::detached);
  }
}

asio::awaitable<void> ScriptedServer::serve(tcp::socket socket) {
  newest_ = &socket;
  std::string pending;
  const auto [greeting_ec, greeted] = co_await asio::async_write(socket, asio::buffer(greeting_), kToken);
  if (greeting_ec) co_return;
  for (;;) {
    const auto [ec, head_bytes] =
        co_await asio::async_read_until(socket, asio::dynamic_buffer(pending), "\r\n\r\n", kToken);
    if (ec) co_return;
    std::size_t body_bytes = 0;
    if (const auto at = pending.find("Content-Length: "); at < head_bytes)
      body_bytes = std::stoul(pending.substr(at + 16));
    while (pending.size() < head_bytes + body_bytes) {
      char piece[1024];
      const auto [read_ec, length] = co_await socket.async_read_some(asio::buffer(piece), kToken);
      if (read_ec) co_return;
      pending.append(piece, length);
    }
    received_.push_back(pending.substr(0, head_bytes + body_bytes));
    pending.erase(0, head_bytes + body_bytes);
    if (script_.empty()) continue;  // says nothing, until the client leaves
    const Reply reply = script_.front();
    script_.pop_front();
    const std::size_t step = reply.byte_by_byte ? 1 : std::max<std::size_t>(reply.bytes.size(), 1);
    for (std::size_t at = 0; at < reply.bytes.size(); at += step) {
      const std::string piece = reply.bytes.substr(at, step);
      const auto [write_ec, written] = co_await asio::async_write(socket, asio::buffer(piece), kToken);
      if (write_ec) co_return;
    }
    if (reply.then_close) co_return;
  }
}

}  // namespace meterd::test
