// The client's HTTP on the wire, byte by byte, against a server that says exactly what the test tells it to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/upstream/client_run.hpp"

namespace meterd::upstream {
namespace {

using test::ClientRun;
using test::loss_of;
using test::plain_options;
using test::response_of;
using test::ScriptedServer;
using test::text_of;
using Reply = ScriptedServer::Reply;
using Stage = TransportError::Stage;

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HttpRequest kPost{"POST", "/api/v2/x?y=%20", {{"content-type", "text/plain"}, {"X-Odd", " v "}}, "a=1"};

// A client and a scripted server on one io_context.
struct Pair {
  explicit Pair(std::deque<Reply> script) : server(context, std::move(script)) {
    client = make_http_client(context.get_executor(), plain_options(server.port()));
  }

  Exchange exchange(const HttpRequest& request = kPost, bool repeatable = true) {
    return test::run_exchange(context, *client, request, repeatable);
  }

  boost::asio::io_context context;
  ScriptedServer server;
  std::unique_ptr<HttpClient> client;
};

TEST(HttpClientWire, SendsTheRequestsBytesAndItsOwnFourHeaders) {
  Pair pair({{kOk}, {kOk}});
  const Exchange exchange = pair.exchange();
  ASSERT_NE(response_of(exchange), nullptr) << text_of(exchange);
  EXPECT_EQ(pair.server.received().at(0),
            "POST /api/v2/x?y=%20 HTTP/1.1\r\nHost: 127.0.0.1:" + pair.server.port() +
                "\r\nUser-Agent: meterd\r\nAuthorization: Basic dGVzdF9rZXk6\r\n"
                "content-type: text/plain\r\nX-Odd:  v \r\nContent-Length: 3\r\n\r\na=1");
  pair.exchange({"GET", "/", {}, ""});
  EXPECT_EQ(pair.server.received().at(1),
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:" + pair.server.port() +
                "\r\nUser-Agent: meterd\r\nAuthorization: Basic dGVzdF9rZXk6\r\n\r\n");
  EXPECT_EQ(pair.server.connections(), 1);
}

TEST(HttpClientWire, HeaderNamesArriveInLowerCase) {
  Pair pair(
      {{"HTTP/1.1 429 Slow Down\r\nRetry-AFTER:  7 \r\nSet-Cookie: a\r\nSet-Cookie: b\r\ncontent-length: "
        "0\r\n\r\n"}});
  const Exchange exchange = pair.exchange();
  ASSERT_NE(response_of(exchange), nullptr) << text_of(exchange);
  EXPECT_EQ(response_of(exchange)->status, 429U);
  EXPECT_EQ(*response_of(exchange)->header("retry-after"), "7");
  EXPECT_EQ(*response_of(exchange)->header("set-cookie"), "a");
  EXPECT_EQ(response_of(exchange)->header("absent"), nullptr);
}

struct Framing {
  const char* what;
  Reply reply;
  bool kept;
};

TEST(HttpClientWire, ReadsEveryFramingAndKeepsOnlyWhatMayBeKept) {
  const Framing cases[] = {
      {"length", {kOk}, true},
      {"length, byte by byte", {kOk, false, true}, true},
      {"chunked",
       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nT: t\r\n\r\n"},
       true},
      {"chunked, byte by byte",
       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, true},
       true},
      {"chunked and empty before its end, byte by byte",
       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nT: t\r\n\r\n", false, true},
       true},
      {"interim answers",
       {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + kOk, false, true},
       true},
      {"connection: close", {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"}, false},
      {"until the end", {"HTTP/1.1 200 OK\r\n\r\nok", true}, false},
      {"HTTP/1.0", {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"}, false},
      {"bytes behind the answer", {kOk + "HTTP/1.1 200 OK\r\n"}, false},
      {"closed afterwards", {kOk, true}, false},
  };
  for (const auto& c : cases) {
    Pair pair({c.reply, {kOk}});
    const Exchange first = pair.exchange();
    ASSERT_NE(response_of(first), nullptr) << c.what << ": " << text_of(first);
    EXPECT_EQ(response_of(first)->body, "ok") << c.what;
    const Exchange second = pair.exchange();
    ASSERT_NE(response_of(second), nullptr) << c.what << ": " << text_of(second);
    EXPECT_EQ(pair.server.connections(), c.kept ? 1 : 2) << c.what;
  }
}

// Beast 1.81 asserts on it: an upstream, or a proxy before it, would end the daemon.
TEST(HttpClientWire, ReadsAnEmptyChunkedAnswerThatComesByteByByte) {
  for (const char* end : {"0\r\n\r\n", "0;x=y\r\n\r\n", "0\r\nT: t\r\n\r\n"}) {
    const std::string answer = "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n";
    Pair pair({{answer + end, false, true}, {kOk}});
    const Exchange exchange = pair.exchange();
    ASSERT_NE(response_of(exchange), nullptr) << end << text_of(exchange);
    EXPECT_EQ(response_of(exchange)->status, 503U);
    EXPECT_EQ(response_of(exchange)->body, "");
  }
}

TEST(HttpClientWire, AnIncompleteOrSenselessAnswerIsLostWhileReceiving) {
  const std::string head = "HTTP/1.1 200 OK\r\n";
  const std::pair<std::string, const char*> cases[] = {
      {"", "closed"},
      {"HTT", "cut short"},
      {head + "Content-Le", "cut short"},
      {head + "Content-Length: 3\r\n\r\nok", "cut short"},
      {head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "cut short"},
      {head + "Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n", "not HTTP"},
      {head + "Content-Length: -1\r\n\r\n", "not HTTP"},
      {head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", "not HTTP"},
      {head + "Content-Length: 99999999999\r\n\r\n", "over the limit"},
      {head + "X: " + std::string(40'000, 'x') + "\r\n\r\n", "over the limit"},
      {head + "\r\n" + std::string((1 << 20) + 1, 'x'), "over the limit"},
      {"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"},
      {"HTTP/2 200 OK\r\n\r\n", "not HTTP"},
      {"HTTP/1.1 20\r\n\r\n", "not HTTP"},
  };
  for (const auto& [bytes, detail] : cases) {
    Pair pair({{bytes, true}});
    const Exchange exchange = pair.exchange();
    ASSERT_NE(loss_of(exchange), nullptr) << bytes.substr(0, 60) << " " << text_of(exchange);
    EXPECT_EQ(loss_of(exchange)->stage, Stage::receive) << bytes.substr(0, 60);
    EXPECT_THAT(loss_of(exchange)->detail, ::testing::HasSubstr(detail)) << bytes.substr(0, 60);
  }
}

TEST(HttpClientWire, EndlessInterimAnswersEnd) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += "HTTP/1.1 100 Continue\r\n\r\n";
  Pair pair({{many + kOk}});
  EXPECT_NE(loss_of(pair.exchange()), nullptr);
}

TEST(HttpClientWire, ARedirectIsAnAnswer) {
  Pair pair({{"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"}, {kOk}});
  const Exchange exchange = pair.exchange();
  ASSERT_NE(response_of(exchange), nullptr) << text_of(exchange);
  EXPECT_EQ(response_of(exchange)->status, 302U);
  EXPECT_EQ(pair.server.received().size(), 1U);
}

TEST(HttpClientWire, AKeptConnectionThatDiesAfterTheFirstByteIsNotRepeated) {
  Pair pair({{kOk}, {"HTTP"}});
  pair.exchange();
  std::optional<Exchange> result;
  test::start_exchange(pair.context, *pair.client, kPost, true, result);
  while (pair.server.received().size() < 2) pair.context.run_one();
  for (int i = 0; i < 10; ++i) pair.context.poll();  // the client has the first bytes
  pair.server.reset();
  while (!result) pair.context.run_one();
  ASSERT_NE(loss_of(*result), nullptr) << text_of(*result);
  EXPECT_EQ(loss_of(*result)->stage, Stage::receive);
  EXPECT_EQ(pair.server.connections(), 1);
}

TEST(HttpClientWire, AKeptConnectionIsReopenedOnlyOnce) {
  Pair pair({{kOk}, {"", true}, {"", true}, {kOk}});
  pair.exchange();
  const Exchange exchange = pair.exchange();
  ASSERT_NE(loss_of(exchange), nullptr) << text_of(exchange);
  EXPECT_EQ(pair.server.received().size(), 3U);
  EXPECT_EQ(pair.server.received().at(1), pair.server.received().at(2));
}

TEST(HttpClientWire, ARequestThatIsNotOneRequestNeverLeaves) {
  Pair pair({{kOk}});
  const HttpRequest bad[] = {
      {"POST", "/x\r\nHost: evil", {}, ""}, {"POST", "/x y", {}, ""},
      {"POST", "http://evil/", {}, ""},     {"POST", "/", {{"k", "v\r\nHost: evil"}}, ""},
      {"POST", "/", {{"k\n", "v"}}, ""},    {"POST", "/", {{"k", std::string("v\0w", 3)}}, ""}};
  for (const auto& request : bad) {
    const Exchange exchange = pair.exchange(request);
    ASSERT_NE(loss_of(exchange), nullptr) << request.target;
    EXPECT_FALSE(loss_of(exchange)->may_have_arrived());
  }
  EXPECT_EQ(pair.server.connections(), 0);
}

TEST(HttpClientWire, ARefusedConnectionAndAnUnknownNameNeverArrived) {
  std::string free_port;
  {
    boost::asio::io_context context;
    free_port = ScriptedServer(context, {}).port();
  }
  ClientRun refused(plain_options(free_port));
  const Exchange nobody = refused.exchange(kPost);
  ASSERT_NE(loss_of(nobody), nullptr) << text_of(nobody);
  EXPECT_EQ(loss_of(nobody)->stage, Stage::connect);
  EXPECT_FALSE(loss_of(nobody)->may_have_arrived());

  auto options = plain_options("80");
  options.host = "no..name";  // refused by the resolver itself: no query leaves the machine
  options.connect_deadline = Milliseconds(5'000);
  ClientRun unknown(options);
  const Exchange nowhere = unknown.exchange(kPost);
  ASSERT_NE(loss_of(nowhere), nullptr) << text_of(nowhere);
  EXPECT_EQ(loss_of(nowhere)->stage, Stage::resolve);
}

TEST(HttpClientWire, ACloseWhileAnExchangeIsUnderWayEndsIt) {
  Pair pair({});  // accepts, never answers
  std::optional<Exchange> result;
  test::start_exchange(pair.context, *pair.client, kPost, true, result);
  while (pair.server.connections() == 0) pair.context.run_one();
  pair.context.poll();
  pair.client->close();
  while (!result) pair.context.run_one();
  EXPECT_NE(loss_of(*result), nullptr);
}

TEST(HttpClientWire, ACancelledExchangeEndsAtOnceWithoutARetry) {
  Pair pair({{kOk}});  // answers once, then nothing
  pair.exchange();
  boost::asio::cancellation_signal cancel;
  std::optional<Exchange> result;
  test::start_exchange(pair.context, *pair.client, kPost, true, result, cancel.slot());
  pair.context.poll();
  ASSERT_FALSE(result);
  cancel.emit(boost::asio::cancellation_type::terminal);
  while (!result) pair.context.run_one();
  ASSERT_NE(loss_of(*result), nullptr) << text_of(*result);
  EXPECT_EQ(loss_of(*result)->detail, "cancelled");
  EXPECT_EQ(pair.server.connections(), 1);
}

}  // namespace
}  // namespace meterd::upstream
