// How long the HTTP server waits for whom. The clock is the test's: it moves by hand.
#include "tests/api/http_server_fixture.hpp"

namespace meterd::api {
namespace {

using test::Peer;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr Milliseconds kSecond{1'000};
constexpr Milliseconds kMargin{3'000};  // deadlines are looked at once a second

class HttpTimeTest : public HttpServerTest {
 protected:
  void pass(Milliseconds time) {
    for (; time > Milliseconds(0); time -= kSecond) {
      clock_.advance(kSecond);
      clock_.settle();
    }
  }
};

TEST_F(HttpTimeTest, AnIdleConnectionIsClosedAfter75Seconds) {
  auto fresh = local();
  auto used = local();
  clock_.settle();
  pass(40 * kSecond);
  EXPECT_EQ(exchange(used, get("/a")).body, "GET /a local 0:");
  pass(34 * kSecond);
  EXPECT_FALSE(fresh.ended());
  pass(kMargin);
  EXPECT_TRUE(fresh.wait_for_end());
  EXPECT_FALSE(used.ended()) << "its time began again with its request";
  pass(39 * kSecond);
  EXPECT_TRUE(used.wait_for_end());
  EXPECT_EQ(server_->connections().late, 0U) << "idle is not late";
}

TEST_F(HttpTimeTest, AHeaderThatTricklesIsRefusedAfter30SecondsWhileOthersAreServed) {
  auto slow = remote();
  auto peer = local();
  clock_.settle();
  pass(50 * kSecond);  // of being idle: its header's time begins with its first byte
  slow.send("GET /slow HTTP/1.1\r\n");
  for (int i = 0; i < 29; ++i) {
    pass(kSecond);
    slow.send("X: y\r\n");
    clock_.settle();
    EXPECT_EQ(exchange(peer, get("/a")).body, "GET /a local 0:");
  }
  EXPECT_FALSE(slow.ended());
  pass(kSecond + kMargin);
  EXPECT_TRUE(slow.wait_for_end());
  EXPECT_THAT(slow.received(), StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(slow.received(), HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(slow.received(), HasSubstr(R"({"error":{"code":"late",)"));
  EXPECT_EQ(exchange(peer, get("/b")).body, "GET /b local 0:");
  EXPECT_EQ(server_->connections().late, 1U);
  EXPECT_EQ(server_->answers().at(408), 1U);
}

TEST_F(HttpTimeTest, APipelinedHalfHeaderHasItsOwn30Seconds) {
  auto peer = local();
  peer.send(get("/a") + "GET /b HT");
  EXPECT_EQ(next(peer).body, "GET /a local 0:");
  pass(29 * kSecond);
  EXPECT_FALSE(peer.ended());
  pass(kSecond + kMargin);
  EXPECT_THAT(next(peer).head, StartsWith("HTTP/1.1 408 "));
  EXPECT_TRUE(peer.wait_for_end());
}

TEST_F(HttpTimeTest, ABodyThatTricklesIsRefusedAfter30Seconds) {
  auto slow = local();
  slow.send("POST /a HTTP/1.1\r\nHost: d\r\n");
  clock_.settle();
  pass(20 * kSecond);
  slow.send("Content-Length: 100\r\n\r\n");
  for (int i = 0; i < 29; ++i) {
    slow.send("x");
    pass(kSecond);
  }
  EXPECT_FALSE(slow.ended()) << "the header's time is not the body's";
  pass(kSecond + kMargin);
  EXPECT_THAT(next(slow).head, StartsWith("HTTP/1.1 408 "));
  EXPECT_TRUE(slow.wait_for_end());
  EXPECT_EQ(requests_, 0);
}

TEST_F(HttpTimeTest, AChunkThatDoesNotEndIsRefusedInTheShapeOfItsApi) {
  auto slow = remote();
  slow.send("POST /shaped HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal");
  clock_.settle();
  pass(31 * kSecond + kMargin);
  const auto answer = next(slow);
  EXPECT_THAT(answer.head, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(answer.body, StartsWith("shaped "));
  EXPECT_TRUE(slow.wait_for_end());
}

TEST_F(HttpTimeTest, AnInvitedBodyThatDoesNotComeIsRefused) {
  auto peer = local();
  peer.send("POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(next(peer, true).head, StartsWith("HTTP/1.1 100 "));
  pass(31 * kSecond + kMargin);
  EXPECT_THAT(next(peer).head, StartsWith("HTTP/1.1 408 "));
  EXPECT_TRUE(peer.wait_for_end());
}

TEST_F(HttpTimeTest, AnAnswerThatTakesLongIsWaitedFor) {
  auto peer = local();
  peer.send(get("/hold"));
  ASSERT_TRUE(test::run_until(loop_, [this] { return requests_ == 1; }));
  pass(100 * kSecond);
  EXPECT_FALSE(peer.ended());
  let_go();
  EXPECT_EQ(next(peer).body, "GET /hold local 0:");
}

TEST_F(HttpTimeTest, AClientThatDoesNotTakeItsAnswerIsClosedAfter30Seconds) {
  auto deaf = local();
  deaf.send(get("/large"));
  ASSERT_TRUE(test::run_until(loop_, [this] { return requests_ == 1; }));
  pass(29 * kSecond);
  auto peer = local();
  EXPECT_EQ(exchange(peer, get("/a")).body, "GET /a local 0:");
  pass(kSecond + kMargin);
  EXPECT_TRUE(deaf.wait_for_end());
  EXPECT_LT(deaf.received().size(), 8U << 20U) << "what the socket held, not the whole answer";
}

TEST_F(HttpTimeTest, ALargeAnswerArrivesWholeAtAClientThatReads) {
  auto peer = remote();
  const auto answer = exchange(peer, get("/large"));
  EXPECT_EQ(answer.body, std::string(8U << 20U, 'x'));
  EXPECT_EQ(exchange(peer, get("/a")).body, "GET /a remote 0:");
}

TEST_F(HttpTimeTest, ARefusedClientThatGoesOnSendingGetsItsAnswerAndIsClosed) {
  auto peer = remote();
  peer.send("POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 99999999\r\n\r\n");
  peer.send(std::string(100'000, 'x'));
  EXPECT_THAT(next(peer).head, StartsWith("HTTP/1.1 413 "));
  pass(3 * kSecond + kMargin);
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_EQ(requests_, 0);
}

}  // namespace
}  // namespace meterd::api
