// statsd datagrams over real sockets: each line for itself, half a line never, a flood holds nobody up.
#include "agent/ingest/datagram_input.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include "tests/ingest/bench.hpp"
#include "tests/ingest/wire.hpp"

namespace meterd::ingest {
namespace {

namespace asio = boost::asio;
using meter::Refusal;
using test::Bench;
using test::Peer;
using test::q;

constexpr int kReceiveBytes = 4 << 20;
constexpr std::size_t kDatagramMax = 8'192;
const std::string kLine = "sms.sent:1|c|#subscription:sub_1";

class DatagramInputTest : public ::testing::Test {
 protected:
  void listen_udp() {
    auto socket = test::must(platform::bind_udp("127.0.0.1", 0, kReceiveBytes));
    port_ = test::port_of(socket);
    start(std::move(socket));
  }
  void start_small_udp() {  // a receive buffer of the least size that the kernel gives
    auto socket = test::must(platform::bind_udp("127.0.0.1", 0, 1));
    port_ = test::port_of(socket);
    start(std::move(socket));
  }
  void listen_unix() { start(test::must(platform::bind_unix_datagram(path_, {}, kReceiveBytes))); }
  void start(platform::Socket socket) {
    if (port_ != 0) allowed_ = {&access_, false, access_.of_input("udp:127.0.0.1:" + std::to_string(port_))};
    input_ = std::make_unique<DatagramInput>(bench_.loop().get_executor(), std::move(socket),
                                             bench_.batcher(), allowed_);
    const auto ended = [this](const std::exception_ptr&) { ended_ = true; };
    asio::co_spawn(bench_.loop(), input_->run(), ended);
  }
  void TearDown() override {
    input_->stop();
    EXPECT_TRUE(test::run_until(bench_.loop(), [this] { return ended_; }));
  }
  Peer udp() { return Peer::udp(bench_.loop(), port_); }
  bool wait_for_datagrams(std::uint64_t count) {
    return test::run_until(bench_.loop(), [&] { return bench_.batcher().stats().datagrams >= count; });
  }
  Quantity counted() {
    test::must(bench_.commit());
    return bench_.accepted();
  }

  Bench bench_;
  Access access_{{}};
  DatagramAccess allowed_{&access_};
  journal::TempDirectory directory_;
  std::string path_ = directory_ / "statsd.sock";
  std::uint16_t port_ = 0;
  std::unique_ptr<DatagramInput> input_;
  bool ended_ = false;
};

TEST_F(DatagramInputTest, CountsALineOverUdp) {
  listen_udp();
  udp().send(kLine);
  ASSERT_TRUE(wait_for_datagrams(1));
  EXPECT_EQ(counted(), q("1"));
}

TEST_F(DatagramInputTest, CountsALineOverAUnixSocket) {
  listen_unix();
  auto peer = Peer::unix_datagram(bench_.loop(), path_);
  for (int i = 0; i < 50; ++i) peer.send(kLine);
  ASSERT_TRUE(wait_for_datagrams(50));
  EXPECT_EQ(counted(), q("50"));
}

TEST_F(DatagramInputTest, CountsTheGoodLinesOfADatagramAndRefusesTheOthers) {
  listen_udp();
  udp().send(kLine + "\n" + kLine + "\r\n\n\nnonsense\nsms.sent:1|g\nsms.sent:0|c|#subscription:s\n" + kLine);
  ASSERT_TRUE(wait_for_datagrams(1));
  EXPECT_EQ(counted(), q("3"));
  EXPECT_EQ(bench_.refused(Refusal::malformed), 2U);
  EXPECT_EQ(bench_.refused(Refusal::bad_quantity), 1U);
}

TEST_F(DatagramInputTest, CountsAFullDatagramAndRefusesATruncatedOneWhole) {
  listen_udp();
  auto peer = udp();
  std::string lines;
  int count = 0;
  for (; lines.size() + kLine.size() + 1 <= kDatagramMax; ++count) lines += kLine + "\n";
  lines.resize(kDatagramMax, '\n');
  peer.send(lines);
  ASSERT_TRUE(wait_for_datagrams(1));
  EXPECT_EQ(bench_.refused(Refusal::too_large), 0U);
  EXPECT_EQ(bench_.batcher().stats().events, static_cast<std::uint64_t>(count));
  peer.send(lines + "\n");
  ASSERT_TRUE(wait_for_datagrams(2));
  EXPECT_EQ(bench_.refused(Refusal::too_large), 1U);
  EXPECT_EQ(bench_.batcher().stats().events, static_cast<std::uint64_t>(count))
      << "half a line must not count";
}

TEST_F(DatagramInputTest, KnowsWhatTheKernelThrewAwayWithoutAnotherDatagram) {
  start_small_udp();
  auto peer = udp();
  constexpr std::uint64_t kSent = 500;
  for (std::uint64_t i = 0; i < kSent; ++i) (void)peer.try_send(kLine);
  const auto& stats = bench_.batcher().stats();
  EXPECT_EQ(stats.datagrams_dropped, 0U) << "nobody has asked";
  input_->count_dropped();
  EXPECT_GT(stats.datagrams_dropped, 0U);
  const auto dropped = stats.datagrams_dropped;
  input_->count_dropped();
  EXPECT_EQ(stats.datagrams_dropped, dropped) << "each once";
  EXPECT_TRUE(wait_for_datagrams(kSent - dropped));
  EXPECT_EQ(stats.datagrams + stats.datagrams_dropped, kSent);
}

TEST_F(DatagramInputTest, CountsWhatTheKernelThrewAwayOnceItHasReadTheRest) {
  start_small_udp();
  auto peer = udp();
  constexpr std::uint64_t kSent = 500;
  for (std::uint64_t i = 0; i < kSent; ++i) (void)peer.try_send(kLine);
  const auto& stats = bench_.batcher().stats();
  EXPECT_TRUE(
      test::run_until(bench_.loop(), [&] { return stats.datagrams + stats.datagrams_dropped >= kSent; }));
  EXPECT_EQ(stats.datagrams + stats.datagrams_dropped, kSent);
}

TEST_F(DatagramInputTest, DropsNothingOnAUnixSocket) {
  listen_unix();
  auto peer = Peer::unix_datagram(bench_.loop(), path_);
  for (int i = 0; i < 2'000; ++i) (void)peer.try_send(kLine);
  input_->count_dropped();
  EXPECT_EQ(bench_.batcher().stats().datagrams_dropped, 0U);
}

TEST_F(DatagramInputTest, SurvivesJunkAndEmptyDatagrams) {
  listen_udp();
  auto peer = udp();
  peer.try_send("");
  peer.send(std::string(3'000, '\0'));
  peer.send(std::string(3'000, '\xff'));
  peer.send("\n\n\n");
  peer.send(kLine);
  ASSERT_TRUE(wait_for_datagrams(5));
  EXPECT_EQ(counted(), q("1"));
  EXPECT_EQ(bench_.refused(Refusal::malformed), 2U);
}

TEST_F(DatagramInputTest, DrainsWhatWaitsWhenItStops) {
  listen_udp();
  auto peer = udp();
  for (int i = 0; i < 1'500; ++i) ASSERT_EQ(peer.try_send(kLine), kLine.size());
  input_->stop();
  ASSERT_TRUE(test::run_until(bench_.loop(), [this] { return ended_; }));
  EXPECT_EQ(counted(), q("1500"));
}

TEST_F(DatagramInputTest, StopsWhileNothingComes) {
  listen_udp();
  bench_.settle();
  EXPECT_FALSE(ended_);
  input_->stop();
  EXPECT_TRUE(test::run_until(bench_.loop(), [this] { return ended_; }));
}

TEST_F(DatagramInputTest, LetsOthersRunDuringAFlood) {
  listen_udp();
  auto peer = udp();
  for (int i = 0; i < 3'000; ++i) ASSERT_EQ(peer.try_send(kLine), kLine.size());
  std::uint64_t seen_by_other = 0;
  bool other_ran = false;
  std::function<void()> other = [&] {
    const auto events = bench_.batcher().stats().events;
    if (events == 0) return asio::post(bench_.loop(), other);  // the flood has not begun
    seen_by_other = events;
    other_ran = true;
  };
  asio::post(bench_.loop(), other);
  ASSERT_TRUE(wait_for_datagrams(3'000));
  EXPECT_TRUE(other_ran);
  EXPECT_LT(seen_by_other, 3'000U) << "another task ran before the flood was through";
  EXPECT_EQ(counted(), q("3000"));
}

}  // namespace
}  // namespace meterd::ingest
