// The HTTP server over real sockets: a unix socket and loopback TCP, byte by byte as a client would send it.
#include <deque>

#include "tests/api/http_server_fixture.hpp"

namespace meterd::api {
namespace {

using test::Peer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::StartsWith;

TEST_F(HttpServerTest, AnswersOverBothSocketsAndKnowsWhichIsLocal) {
  auto near = local();
  auto far = remote();
  const auto one = exchange(near, get("/a"));
  EXPECT_THAT(one.head, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(one.head, HasSubstr("Content-Type: text/plain\r\n"));
  EXPECT_EQ(one.body, "GET /a local 0:");
  EXPECT_EQ(exchange(far, get("/a")).body, "GET /a remote 0:");
}

TEST_F(HttpServerTest, RefusesOperatorsVerbsOverTcp) {
  auto far = remote();
  EXPECT_THAT(exchange(far, get("/operator/buckets")).head, StartsWith("HTTP/1.1 401 "));
  auto near = local();
  EXPECT_THAT(exchange(near, get("/operator/buckets")).head, StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, KeepsAConnectionForTheNextRequest) {
  auto peer = local();
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(exchange(peer, get("/" + std::to_string(i))).body, "GET /" + std::to_string(i) + " local 0:");
  EXPECT_FALSE(peer.ended());
}

TEST_F(HttpServerTest, ClosesWhenTheClientAsksForIt) {
  auto peer = local();
  const auto answer = exchange(peer, "GET /a HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer.head, HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(peer.wait_for_end());
  auto old = local();
  EXPECT_THAT(exchange(old, "GET /a HTTP/1.0\r\n\r\n").head, StartsWith("HTTP/1.0 200 "));
  EXPECT_TRUE(old.wait_for_end());
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  auto peer = local();
  peer.send(get("/1") + "POST /2 HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\n\r\nabc" + get("/3"));
  EXPECT_EQ(next(peer).body, "GET /1 local 0:");
  EXPECT_EQ(next(peer).body, "POST /2 local 3:abc");
  EXPECT_EQ(next(peer).body, "GET /3 local 0:");
}

TEST_F(HttpServerTest, AnswersHeadWithTheLengthAndWithoutTheBody) {
  auto peer = local();
  peer.send("HEAD /a HTTP/1.1\r\nHost: d\r\n\r\n" + get("/b"));
  const auto head = next(peer, true);
  EXPECT_THAT(head.head, HasSubstr("Content-Length: 16\r\n"));
  EXPECT_EQ(next(peer).body, "GET /b local 0:") << "no byte of a body lies between the answers";
}

TEST_F(HttpServerTest, ReadsARequestThatComesByteByByte) {
  auto peer = remote();
  for (const char byte : std::string("POST /a?x=1 HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nhello")) {
    peer.send({&byte, 1});
    clock_.settle();
  }
  EXPECT_EQ(next(peer).body, "POST /a x=1 remote 5:hello");
}

TEST_F(HttpServerTest, InvitesABodyThatIsAskedForFirst) {
  auto peer = local();
  peer.send("POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(next(peer, true).head, StartsWith("HTTP/1.1 100 "));
  EXPECT_EQ(requests_, 0);
  EXPECT_EQ(exchange(peer, "body").body, "POST /a local 4:body");
}

TEST_F(HttpServerTest, ReadsAChunkedBody) {
  auto peer = local();
  const auto answer = exchange(peer,
                               "POST /a HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(answer.body, "POST /a local 5:abcde");
}

TEST_F(HttpServerTest, DecodesThePathAndTheQuery) {
  auto peer = local();
  EXPECT_EQ(exchange(peer, get("/a%20b/c?k=%C3%A9&k=2&empty=&plus=a+b")).body,
            "GET /a b/c k=\xc3\xa9 k=2 empty= plus=a b local 0:");
  EXPECT_EQ(exchange(peer, get("/")).body, "GET / local 0:");
}

TEST_F(HttpServerTest, RefusesAHeaderAboveItsLimit) {
  auto peer = local();
  const auto answer =
      exchange(peer, "GET /a HTTP/1.1\r\nX: " + std::string(limits::kHttpHeaderBytesMax, 'x') + "\r\n\r\n");
  EXPECT_THAT(answer.head, StartsWith("HTTP/1.1 431 "));
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_EQ(requests_, 0);
}

TEST_F(HttpServerTest, RefusesABodyAboveItsLimitFromItsLengthAlone) {
  auto peer = local();
  const auto answer = exchange(peer, "POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: " +
                                         std::to_string(limits::kHttpBodyBytesMax + 1) + "\r\n\r\n");
  EXPECT_THAT(answer.head, StartsWith("HTTP/1.1 413 "));
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_EQ(requests_, 0);
}

TEST_F(HttpServerTest, RefusesAChunkedBodyAboveItsLimit) {
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
  for (auto& peer : {std::make_unique<Peer>(local()), std::make_unique<Peer>(remote())}) {
    peer->send("POST /a HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20 && !peer->ended(); ++i) peer->send(chunk);
    EXPECT_THAT(next(*peer).head, StartsWith("HTTP/1.1 413 "));
  }
  EXPECT_EQ(requests_, 0);
}

TEST_F(HttpServerTest, TakesABodyAtItsLimit) {
  auto peer = remote();
  const std::string body(limits::kHttpBodyBytesMax, 'x');
  const auto answer =
      exchange(peer, "POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: " + std::to_string(body.size()) +
                         "\r\n\r\n" + body);
  EXPECT_THAT(answer.body, StartsWith("POST /a remote 1048576:"));
}

TEST_F(HttpServerTest, AnswersGarbageWith400AndCloses) {
  for (const std::string& garbage :
       {std::string("garbage\r\n\r\n"), std::string("\x16\x03\x01\x02\x00\r\n\r\n", 9),
        std::string("GET /a HTTP/9.9\r\n\r\n"), std::string("GET /a HTTP/1.1\r\nno colon\r\n\r\n"),
        std::string("POST /a HTTP/1.1\r\nContent-Length: x\r\n\r\n"),
        std::string("POST /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")}) {
    auto peer = local();
    EXPECT_THAT(exchange(peer, garbage).head, HasSubstr(" 400 ")) << garbage;
    EXPECT_TRUE(peer.wait_for_end());
  }
  EXPECT_EQ(requests_, 0);
  EXPECT_THAT(server_->answers(), ElementsAre(Pair(400, 6)));
}

TEST_F(HttpServerTest, AnswersATargetThatIsNoPathWith400) {
  for (const auto& request : {std::string("OPTIONS * HTTP/1.1\r\nHost: d\r\n\r\n"), get("/a%zz")}) {
    auto peer = local();
    EXPECT_THAT(exchange(peer, request).head, StartsWith("HTTP/1.1 400 "));
    EXPECT_TRUE(peer.wait_for_end());
  }
}

TEST_F(HttpServerTest, PassesStatusAndHeadersOn) {
  auto peer = local();
  const auto missing = exchange(peer, get("/missing"));
  EXPECT_THAT(missing.head, StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(missing.head, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_EQ(missing.body, R"({"error":{"code":"not_found","message":"There is nothing here."}})");
  const auto wrong = exchange(peer, "DELETE /wrong HTTP/1.1\r\nHost: d\r\n\r\n");
  EXPECT_THAT(wrong.head, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(wrong.head, HasSubstr("Allow: GET\r\n"));
}

TEST_F(HttpServerTest, AClientThatStallsBlocksNoOther) {
  auto stalled_head = local();
  stalled_head.send("G");
  auto stalled_body = remote();
  stalled_body.send("POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 10\r\n\r\nhalf");
  auto waiting = local();
  waiting.send(get("/hold"));
  clock_.settle();
  auto peer = local();
  EXPECT_EQ(exchange(peer, get("/a")).body, "GET /a local 0:");
  let_go();
  EXPECT_EQ(next(waiting).body, "GET /hold local 0:");
  stalled_body.send("finish");
  EXPECT_EQ(next(stalled_body).body, "POST /a remote 10:halffinish");
}

TEST_F(HttpServerTest, AtItsLimitTheLongestIdleConnectionMakesRoom) {
  std::deque<Peer> peers;
  for (std::size_t i = 0; i < limits::kHttpConnectionsMax; ++i) {
    peers.push_back(local());
    clock_.settle();
  }
  auto late = local();
  EXPECT_EQ(exchange(late, get("/a")).body, "GET /a local 0:");
  EXPECT_TRUE(peers.front().wait_for_end());
  EXPECT_EQ(exchange(peers.back(), get("/b")).body, "GET /b local 0:");
  EXPECT_EQ(server_->connections().displaced, 1U);
  EXPECT_EQ(server_->connections().accepted, limits::kHttpConnectionsMax + 1);
}

TEST_F(HttpServerTest, WhileAllPlacesAreBeingAnsweredOneMoreWaitsForItsTurn) {
  std::deque<Peer> busy;
  for (std::size_t i = 0; i < limits::kHttpConnectionsMax / 2; ++i) {
    busy.push_back(remote());
    busy.back().send(get("/hold"));
    clock_.settle();
  }
  auto waiting = remote();
  waiting.send(get("/b"));
  for (int i = 0; i < 5; ++i) {
    clock_.advance(Milliseconds(10));
    clock_.settle();
  }
  EXPECT_EQ(log_.times("api_connections_full"), 1U) << "once, however often a place is looked for";
  EXPECT_FALSE(waiting.ended());
  EXPECT_EQ(waiting.received(), "");
  auto peer = local();
  EXPECT_EQ(exchange(peer, get("/a")).body, "GET /a local 0:") << "the unix socket has places of its own";
  let_go();
  EXPECT_EQ(next(busy.front()).body, "GET /hold remote 0:");
  clock_.advance(Milliseconds(1'000));
  EXPECT_EQ(next(waiting).body, "GET /b remote 0:");
}

TEST_F(HttpServerTest, AnswersAHundredRequestsOfOneReadInOrder) {
  auto peer = local();
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += get("/" + std::to_string(i));
  peer.send(requests);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(next(peer).body, "GET /" + std::to_string(i) + " local 0:");
}

TEST_F(HttpServerTest, APipelinedRequestWaitsForTheAnswerBeforeIt) {
  auto peer = local();
  peer.send(get("/hold") + get("/b"));
  ASSERT_TRUE(test::run_until(loop_, [this] { return requests_ == 1; }));
  clock_.settle();
  EXPECT_EQ(requests_, 1);
  let_go();
  EXPECT_EQ(next(peer).body, "GET /hold local 0:");
  EXPECT_EQ(next(peer).body, "GET /b local 0:");
}

TEST_F(HttpServerTest, NothingBehindARefusedRequestIsAnswered) {
  auto peer = local();
  peer.send("POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" +
            get("/b"));
  EXPECT_THAT(next(peer).head, StartsWith("HTTP/1.1 400 "));
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_EQ(peer.received(), "");
  EXPECT_EQ(requests_, 0);
}

TEST_F(HttpServerTest, RefusesAnotherExpectation) {
  auto peer = local();
  EXPECT_THAT(exchange(peer, "POST /a HTTP/1.1\r\nHost: d\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n").head,
              StartsWith("HTTP/1.1 417 "));
}

TEST_F(HttpServerTest, StopsAtOnceWhileIdle) {
  auto peer = local();
  EXPECT_EQ(exchange(peer, get("/a")).body, "GET /a local 0:");
  server_->stop();
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_TRUE(test::run_until(loop_, [this] { return tasks_.running() == 0; }));
}

TEST_F(HttpServerTest, StopLetsAnAnswerOnItsWayLeave) {
  auto peer = local();
  peer.send(get("/hold"));
  ASSERT_TRUE(test::run_until(loop_, [this] { return requests_ == 1; }));
  server_->stop();
  clock_.settle();
  EXPECT_FALSE(peer.ended());
  let_go();
  EXPECT_EQ(next(peer).body, "GET /hold local 0:");
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_TRUE(test::run_until(loop_, [this] { return tasks_.running() == 0; }));
}

TEST_F(HttpServerTest, ARequestThatIsCutShortByAClientThatStillReadsIsAnswered) {
  for (const char* part : {"GET /a HT", "POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 10\r\n\r\nhalf",
                           "POST /a HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha"}) {
    auto peer = remote();
    peer.send(part);
    peer.finish_sending();
    const auto answer = next(peer);
    EXPECT_THAT(answer.head, StartsWith("HTTP/1.1 400 ")) << part;
    EXPECT_THAT(answer.body, HasSubstr("cut_short"));
    EXPECT_TRUE(peer.wait_for_end());
  }
  auto idle = remote();
  idle.finish_sending();
  EXPECT_TRUE(idle.wait_for_end());
  EXPECT_EQ(idle.received(), "") << "it asked for nothing";
  EXPECT_EQ(requests_, 0);
}

TEST_F(HttpServerTest, CloseEndsAStalledRequest) {
  auto peer = local();
  peer.send("POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 10\r\n\r\nhalf");
  clock_.settle();
  server_->stop();
  clock_.settle();
  EXPECT_FALSE(peer.ended());
  server_->close();
  EXPECT_TRUE(peer.wait_for_end());
}

}  // namespace
}  // namespace meterd::api
