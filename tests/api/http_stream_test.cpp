// Bodies that are made while they are sent.
#include <deque>

#include "tests/api/http_server_fixture.hpp"

namespace meterd::api {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Gives these pieces, then the end or an error.
class Pieces final : public BodyStream {
 public:
  Pieces(std::deque<std::string> pieces, Status end, bool* gone = nullptr)
      : pieces_(std::move(pieces)), end_(std::move(end)), gone_(gone) {}
  ~Pieces() override {
    if (gone_ != nullptr) *gone_ = true;
  }
  boost::asio::awaitable<Result<std::string_view>> next() override {
    if (pieces_.empty() && !end_) co_return end_.error();
    if (pieces_.empty()) co_return std::string_view();
    last_ = std::move(pieces_.front());
    pieces_.pop_front();
    co_return std::string_view(last_);
  }

 private:
  std::deque<std::string> pieces_;
  Status end_;
  bool* gone_;
  std::string last_;
};

using HttpStreamTest = HttpServerTest;

TEST_F(HttpStreamTest, SendsItsPiecesAsChunksAndKeepsTheConnection) {
  stream_ = std::make_shared<Pieces>(std::deque<std::string>{"hello", std::string(20, 'x')}, Status());
  auto peer = local();
  peer.send(get("/stream"));
  ASSERT_TRUE(peer.wait_until([](const std::string& bytes) { return bytes.ends_with("\r\n0\r\n\r\n"); }));
  EXPECT_THAT(peer.received(), HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_THAT(peer.received(), Not(HasSubstr("Content-Length")));
  EXPECT_THAT(peer.received(), EndsWith("\r\n\r\n5\r\nhello\r\n14\r\nxxxxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n"));
  peer.take(peer.received().size());
  EXPECT_EQ(exchange(peer, get("/a")).body, "GET /a local 0:");
}

TEST_F(HttpStreamTest, AnEmptyBodyIsOnlyItsEnd) {
  stream_ = std::make_shared<Pieces>(std::deque<std::string>{}, Status());
  auto peer = local();
  peer.send(get("/stream"));
  EXPECT_TRUE(peer.wait_until([](const std::string& bytes) { return bytes.ends_with("\r\n\r\n0\r\n\r\n"); }));
}

TEST_F(HttpStreamTest, AnErrorCutsTheConnectionWithoutAnEnd) {
  stream_ = std::make_shared<Pieces>(std::deque<std::string>{"hello"}, Error{Code::io, "broken"});
  auto peer = local();
  peer.send(get("/stream"));
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_THAT(peer.received(), HasSubstr("5\r\nhello"));
  EXPECT_THAT(peer.received(), Not(EndsWith("0\r\n\r\n")));
}

TEST_F(HttpStreamTest, Http10IsRefusedBecauseItCouldNotTellTheEnd) {
  stream_ = std::make_shared<Pieces>(std::deque<std::string>{"hello"}, Status());
  auto peer = local();
  peer.send("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_THAT(peer.received(), StartsWith("HTTP/1.0 505 "));
}

TEST_F(HttpStreamTest, AClientThatStopsReadingIsCutAfter30SecondsAndTheStreamGoes) {
  bool gone = false;
  std::deque<std::string> pieces(100, std::string(64 << 10, 'x'));  // more than any socket's buffer holds
  stream_ = std::make_shared<Pieces>(std::move(pieces), Status(), &gone);
  auto peer = local();
  peer.send(get("/stream"));
  clock_.settle();
  stream_.reset();
  ASSERT_TRUE(test::run_until(loop_, [this] { return requests_ == 1; }));
  for (int second = 0; second < 28; ++second) clock_.advance(Milliseconds(1'000));
  EXPECT_FALSE(gone);
  for (int second = 0; second < 6; ++second) clock_.advance(Milliseconds(1'000));
  EXPECT_TRUE(test::run_until(loop_, [&] { return gone; }));
  auto other = local();
  EXPECT_EQ(exchange(other, get("/a")).body, "GET /a local 0:");
}

}  // namespace
}  // namespace meterd::api
