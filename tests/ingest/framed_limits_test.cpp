// The framed socket under bad company: clients that do not read, too many of them, and the daemon's stop.
#include <deque>

#include "tests/ingest/framed_fixture.hpp"

namespace meterd::ingest {
namespace {

using test::Peer;
using test::q;
using ::testing::HasSubstr;

class FramedLimits : public FramedTest {
 protected:
  // Small to send, large to answer: an error for each event.
  static std::string all_wrong() {
    v1::Batch out = batch(0, v1::RECEIVED);
    for (int i = 0; i < 1'000; ++i) out.add_events()->set_name("x");
    return bytes_of(out);
  }
  // Sends without reading until the server takes no more. Returns how many frames left.
  int send_until_stuck(Peer& peer) {
    const auto bytes = all_wrong();
    for (int frames = 0; frames < 2'000; ++frames) {
      std::string_view rest = bytes;
      for (int idle = 0; !rest.empty(); ++idle) {
        const auto sent = peer.try_send(rest);
        rest.remove_prefix(sent);
        if (sent > 0) idle = 0;
        bench_.settle();
        if (idle > 20) return frames;
      }
    }
    return 2'000;
  }
};

TEST_F(FramedLimits, AClientThatNeverReadsIsBoundedAndStopsNoOther) {
  auto deaf = connect();
  EXPECT_LT(send_until_stuck(deaf), 500) << "reading pauses when acks pile up";
  auto other = connect();
  EXPECT_EQ(exchange(other, batch(3)).counted(), 3U);
  EXPECT_EQ(server_->connections().open, 2U);
}

TEST_F(FramedLimits, AClientThatNeverReadsIsClosedAfterADeadline) {
  auto deaf = connect();
  send_until_stuck(deaf);
  bench_.advance(Milliseconds(40'000));
  EXPECT_TRUE(test::run_until(bench_.loop(), [this] { return server_->connections().open == 0; }));
  EXPECT_EQ(server_->connections().late, 1U);
}

TEST_F(FramedLimits, AClientThatReadsLateGetsEveryAck) {
  auto slow = connect();
  const int frames = send_until_stuck(slow);
  for (int i = 0; i < frames; ++i) ASSERT_EQ(next_ack(slow).errors_size(), 1'000) << i;
}

TEST_F(FramedLimits, HalfReadFramesAreBoundedTogether) {
  // 60 frames of 900 KiB that never end.
  std::string half = bytes_of(batch(1)).substr(0, 4);
  const std::size_t length = 900 * 1024;
  for (int shift = 24; shift >= 0; shift -= 8)
    half.push_back(static_cast<char>((length >> static_cast<unsigned>(shift)) & 255U));
  half += std::string(length - 1, 'x');
  std::deque<Peer> peers;
  int refused = 0;
  for (int i = 0; i < 60; ++i) {
    peers.push_back(connect());
    std::string_view rest = half;
    for (int idle = 0; !rest.empty() && idle < 50; ++idle) {
      const auto sent = peers.back().try_send(rest);
      rest.remove_prefix(sent);
      if (sent > 0) idle = 0;
      bench_.settle();
    }
    if (!rest.empty() || peers.back().ended()) ++refused;
  }
  EXPECT_GE(refused, 60 - 20);
  EXPECT_LE(refused, 60 - 10) << "and what fits is waited for";
  EXPECT_EQ(bench_.refused(meter::Refusal::full), static_cast<std::uint64_t>(refused));
  auto other = connect();
  EXPECT_EQ(exchange(other, batch(3)).counted(), 3U) << "small ones go on";
}

TEST_F(FramedLimits, OneMoreConnectionThanTheLimitClosesAnIdleOne) {
  std::deque<Peer> busy;
  for (std::size_t i = 0; i + 1 < limits::kProducerConnectionsMax; ++i) {
    busy.push_back(connect());
    busy.back().send("mtr");  // in the middle of a frame
    bench_.settle();
  }
  auto idle = connect();
  ASSERT_TRUE(test::run_until(
      bench_.loop(), [this] { return server_->connections().open == limits::kProducerConnectionsMax; }));
  auto late = connect();
  EXPECT_EQ(exchange(late, batch(1)).counted(), 1U);
  EXPECT_TRUE(idle.wait_for_end());
  for (auto& peer : busy) EXPECT_FALSE(peer.ended());
  EXPECT_EQ(server_->connections().open, limits::kProducerConnectionsMax);
  EXPECT_THAT(bench_.log.text, HasSubstr("event=ingest_idle_connection_closed"));
  EXPECT_EQ(server_->connections().displaced, 1U);
}

TEST_F(FramedLimits, StopLetsOutstandingAcksLeave) {
  auto peer = connect();
  auto idle = connect();
  peer.send(bytes_of(batch(2)) + bytes_of(batch(3, v1::RECEIVED)));
  while (bench_.batcher().stats().events < 5) ASSERT_GT(bench_.loop().run_one(), 0U);
  ASSERT_EQ(peer.received(), "") << "the commit has not happened";
  server_->stop();
  bench_.batcher().stop();
  EXPECT_EQ(next_ack(peer).counted(), 2U);
  EXPECT_EQ(next_ack(peer).counted(), 3U);
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_TRUE(idle.wait_for_end());
  EXPECT_EQ(bench_.accepted(), q("5"));
}

// Whoever waits for the server's tasks waits for the last ack, too.
TEST_F(FramedLimits, RunEndsWithTheLastConnection) {
  auto peer = connect();
  peer.send(bytes_of(batch(2)));
  while (bench_.batcher().stats().events < 2) ASSERT_GT(bench_.loop().run_one(), 0U);
  server_->stop();
  while (tasks_->running() > 0) {
    ASSERT_GT(bench_.loop().run_one(), 0U);
    if (tasks_->running() == 0) {
      EXPECT_NE(peer.received(), "") << "the task ended before the ack left";
    }
  }
  EXPECT_EQ(server_->connections().open, 0U);
  EXPECT_EQ(next_ack(peer).counted(), 2U);
}

TEST_F(FramedLimits, StopTakesNoNewConnectionAndNoNewFrame) {
  auto peer = connect();
  EXPECT_EQ(exchange(peer, batch(1)).counted(), 1U);
  server_->stop();
  peer.try_send(bytes_of(batch(1)));
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_EQ(peer.received(), "");
  EXPECT_THROW(connect(), std::runtime_error);
  EXPECT_EQ(bench_.batcher().stats().events, 1U);
}

TEST_F(FramedLimits, CloseEndsEveryConnection) {
  auto one = connect();
  auto two = connect();
  two.send("mtr");
  bench_.settle();
  server_->close();
  EXPECT_TRUE(one.wait_for_end());
  EXPECT_TRUE(two.wait_for_end());
}

struct JournalThread {
  boost::asio::thread_pool journal_thread{1};
};

// As in the daemon: the loop, the journal and the reader each on a thread of its own.
class FramedThreads : private JournalThread, public FramedTest {
 protected:
  FramedThreads() : FramedTest(on(journal_thread)) { time_passes_ = true; }
  ~FramedThreads() override {
    EXPECT_TRUE(test::run_until(bench_.loop(), [this] { return bench_.committer().idle(); }));
  }
  static test::BenchOptions on(boost::asio::thread_pool& thread) {
    test::BenchOptions options;
    options.journal = thread.get_executor();
    return options;
  }
};

TEST_F(FramedThreads, AcknowledgeEveryBatchOfEveryProducerOnceAndInOrder) {
  constexpr unsigned kProducers = 8;
  constexpr unsigned kBatches = 60;
  std::deque<Peer> peers;
  for (unsigned p = 0; p < kProducers; ++p) {
    peers.push_back(connect());
    for (unsigned i = 0; i < kBatches; ++i) {
      auto one = batch(static_cast<int>(1 + i % 5), i % 3 == 0 ? v1::RECEIVED : v1::COMMITTED);
      one.set_producer("app-" + std::to_string(p));
      one.set_sequence(1 + i * 5);
      one.mutable_events(0)->set_id("e-" + std::to_string(i));
      peers.back().send(bytes_of(one));
    }
  }
  unsigned expected = 0;
  for (auto& peer : peers) {
    for (unsigned i = 0; i < kBatches; ++i) {
      ASSERT_EQ(next_ack(peer).counted(), 1 + i % 5) << i;
      expected += 1 + i % 5;
    }
  }
  EXPECT_EQ(bench_.batcher().stats().events, expected);
  EXPECT_EQ(bench_.accepted(), Quantity::of(expected)) << "the last batch of each waited for its commit";
  bench_.expect_sound();
}

}  // namespace
}  // namespace meterd::ingest
