// Who may send a body at all, how much memory all bodies get, and whose place is taken when places are short.
#include <deque>

#include "tests/api/http_server_fixture.hpp"

namespace meterd::api {
namespace {

using test::Peer;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpAdmissionTest : public HttpServerTest {
 protected:
  static std::string post(const std::string& path, std::size_t length, const std::string& more = "") {
    return "POST " + path + " HTTP/1.1\r\nHost: d\r\nContent-Length: " + std::to_string(length) + "\r\n" +
           more + "\r\n";
  }
};

TEST_F(HttpAdmissionTest, ARefusedHeaderIsAnsweredBeforeItsBodyAndEndsTheConnection) {
  auto peer = remote();
  const auto answer = exchange(peer, post("/private", limits::kHttpBodyBytesMax) + "the first bytes");
  EXPECT_THAT(answer.head, StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(answer.head, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(answer.body, HasSubstr("remote")) << "it is known who asks";
  peer.finish_sending();
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_EQ(requests_, 0);
}

TEST_F(HttpAdmissionTest, AnUnfinishedChunkedBodyIsRefusedToo) {
  auto peer = local();
  const auto answer =
      exchange(peer, "POST /private HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab");
  EXPECT_THAT(answer.head, StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(answer.body, HasSubstr("local"));
}

TEST_F(HttpAdmissionTest, ARefusedBodyIsNotInvited) {
  auto peer = remote();
  EXPECT_THAT(exchange(peer, post("/private", 4, "Expect: 100-continue\r\n")).head,
              StartsWith("HTTP/1.1 401 "));
  auto other = remote();
  EXPECT_THAT(exchange(other, post("/a", 4, "Expect: 100-continue\r\n")).head, StartsWith("HTTP/1.1 100 "))
      << "an admitted one is";
}

TEST_F(HttpAdmissionTest, ABodyIsAdmittedOnceAndARequestWithoutOneNotAtAll) {
  auto peer = local();
  EXPECT_EQ(exchange(peer, get("/private")).body, "GET /private local 0:");
  EXPECT_EQ(exchange(peer, post("/private", 0)).body, "POST /private local 0:");
  EXPECT_EQ(admissions_, 0);
  peer.send(post("/a", 4) + "bo");
  clock_.settle();
  EXPECT_EQ(exchange(peer, "dy").body, "POST /a local 4:body");
  EXPECT_EQ(admissions_, 1);
}

TEST_F(HttpAdmissionTest, AllBodiesTogetherAreBoundedAndTheOneAboveIsBusy) {
  const std::size_t size = limits::kHttpBodyBytesMax;
  std::deque<Peer> peers;
  for (std::size_t i = 0; i < limits::kHttpBodiesBytesMax / size; ++i) {
    peers.push_back(local());
    peers.back().send(post("/a", size) + std::string(size - 1, 'x'));
    clock_.settle();
  }
  auto late = local();
  const auto answer = exchange(late, post("/a", 5) + "hello");
  EXPECT_THAT(answer.head, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(answer.head, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_THAT(answer.body, StartsWith(R"({"error":{"code":"busy",)"));
  auto bare = local();
  EXPECT_EQ(exchange(bare, get("/a")).body, "GET /a local 0:") << "without a body there is room";
  EXPECT_THAT(exchange(peers.front(), "x").body, StartsWith("POST /a local 1048576:"));
  peers.back().close();
  clock_.settle();
  for (int i = 0; i < 2; ++i) {  // what was answered and what was given up made room
    peers.push_back(local());
    EXPECT_THAT(exchange(peers.back(), post("/a", size) + std::string(size, 'x')).body,
                StartsWith("POST /a local 1048576:"));
  }
}

TEST_F(HttpAdmissionTest, APromiseOfABodyTakesNoRoom) {
  std::deque<Peer> peers;
  for (int i = 0; i < 20; ++i) {
    peers.push_back(local());
    peers.back().send(post("/a", limits::kHttpBodyBytesMax) + "x");
    clock_.settle();
  }
  auto peer = local();
  EXPECT_EQ(exchange(peer, post("/a", 5) + "hello").body, "POST /a local 5:hello");
}

TEST_F(HttpAdmissionTest, WhoIsLongestInItsBodyMakesRoomAtTheLimit) {
  std::deque<Peer> slow;
  for (std::size_t i = 0; i < limits::kHttpConnectionsMax / 2; ++i) {
    slow.push_back(remote());
    slow.back().send(post("/a", 2) + "x");
    clock_.settle();
  }
  EXPECT_EQ(exchange(slow[0], "y").body, "POST /a remote 2:xy");
  slow[0].send(post("/a", 2) + "x");  // its phase begins again: now it is the last
  clock_.settle();
  auto late = remote();
  EXPECT_EQ(exchange(late, get("/a")).body, "GET /a remote 0:");
  EXPECT_THAT(next(slow[1]).head, AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("Retry-After: 1\r\n")));
  EXPECT_TRUE(slow[1].wait_for_end());
  EXPECT_EQ(exchange(slow[0], "y").body, "POST /a remote 2:xy");
  EXPECT_EQ(exchange(slow[2], "y").body, "POST /a remote 2:xy");
  EXPECT_EQ(log_.times("api_connections_full"), 0U);
}

}  // namespace
}  // namespace meterd::api
