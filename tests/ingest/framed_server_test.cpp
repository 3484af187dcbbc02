// The framed socket: acknowledgements in order and no earlier than they may be, wrong streams answered and
// closed.
#include "tests/ingest/framed_fixture.hpp"

namespace meterd::ingest {
namespace {

using meter::Refusal;
using test::Peer;
using test::q;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FramedServerTest : public FramedTest {};

TEST_F(FramedServerTest, AcknowledgesACommittedBatchAfterItsCommit) {
  auto peer = connect();
  const auto ack = exchange(peer, batch(3));
  EXPECT_EQ(bench_.accepted(), q("3")) << "no interval has passed: the commit was at once";
  EXPECT_EQ(ack.level(), v1::COMMITTED);
  EXPECT_EQ(ack.counted(), 3U);
}

TEST_F(FramedServerTest, SendsNoCommittedAckBeforeTheCommit) {
  auto peer = connect();
  peer.send(bytes_of(batch(1)));
  while (bench_.batcher().stats().events == 0) ASSERT_GT(bench_.loop().run_one(), 0U);
  EXPECT_EQ(peer.received(), "");
  EXPECT_EQ(bench_.accepted(), q("0"));
  next_ack(peer);
  EXPECT_EQ(bench_.accepted(), q("1"));
}

TEST_F(FramedServerTest, AcknowledgesAReceivedBatchAtOnce) {
  auto peer = connect();
  const auto ack = exchange(peer, batch(3, v1::RECEIVED));
  EXPECT_EQ(ack.level(), v1::RECEIVED);
  EXPECT_EQ(ack.counted(), 3U);
  EXPECT_EQ(bench_.accepted(), q("0"));
  bench_.advance(Milliseconds(10'000));
  EXPECT_EQ(bench_.accepted(), q("3"));
}

TEST_F(FramedServerTest, SendsItsAcksInTheOrderOfTheBatches) {
  auto peer = connect();
  std::string stream;
  for (int i = 1; i <= 20; ++i) stream += bytes_of(batch(i, i % 2 == 0 ? v1::RECEIVED : v1::COMMITTED));
  peer.send(stream);
  for (unsigned i = 1; i <= 20; ++i) EXPECT_EQ(next_ack(peer).counted(), i);
  EXPECT_EQ(bench_.batcher().stats().events, 210U);
}

TEST_F(FramedServerTest, ReadsAFrameThatComesByteByByte) {
  auto peer = connect();
  for (const char byte : bytes_of(batch(2))) {
    peer.send({&byte, 1});
    bench_.settle();
  }
  EXPECT_EQ(next_ack(peer).counted(), 2U);
}

TEST_F(FramedServerTest, ReadsALargeFrame) {
  auto peer = connect();
  auto large = batch(static_cast<int>(limits::kBatchEventsMax));
  for (auto& event : *large.mutable_events()) event.set_id(std::to_string(&event - &large.events(0)) + "-id");
  EXPECT_EQ(exchange(peer, large).counted(), limits::kBatchEventsMax);
  EXPECT_EQ(exchange(peer, large).duplicates(), limits::kBatchEventsMax);
}

TEST_F(FramedServerTest, CountsASequenceOnceThroughReconnectAndRestart) {
  {
    auto peer = connect();
    EXPECT_EQ(exchange(peer, batch(5, v1::COMMITTED, 1)).counted(), 5U);
  }
  auto peer = connect();
  EXPECT_EQ(exchange(peer, batch(5, v1::COMMITTED, 1)).duplicates(), 5U);
  restart();
  auto again = connect();
  const auto ack = exchange(again, batch(8, v1::COMMITTED, 1));
  EXPECT_EQ(ack.duplicates(), 5U);
  EXPECT_EQ(ack.counted(), 3U);
  EXPECT_EQ(bench_.accepted(), q("8"));
}

TEST_F(FramedServerTest, CountsASequenceOnceOverTwoConnectionsAtATime) {
  auto one = connect();
  auto two = connect();
  one.send(bytes_of(batch(5, v1::COMMITTED, 1)));
  two.send(bytes_of(batch(5, v1::COMMITTED, 1)));
  const auto first = next_ack(one);
  const auto second = next_ack(two);
  EXPECT_EQ(first.counted() + second.counted(), 5U);
  EXPECT_EQ(first.duplicates() + second.duplicates(), 5U);
  EXPECT_EQ(bench_.accepted(), q("5"));
}

TEST_F(FramedServerTest, SendsErrorsByPosition) {
  auto peer = connect();
  auto one = batch(3);
  one.mutable_events(1)->set_name("fax.sent");
  const auto ack = exchange(peer, one);
  EXPECT_EQ(ack.counted(), 2U);
  ASSERT_EQ(ack.errors_size(), 1);
  EXPECT_EQ(ack.errors(0).position(), 1U);
  EXPECT_EQ(ack.errors(0).code(), "unknown_event");
}

TEST_F(FramedServerTest, GoesOnAfterABatchThatIsRefusedWhole) {
  auto peer = connect();
  auto nameless = batch(1, v1::COMMITTED, 1);
  nameless.set_producer("");
  EXPECT_THAT(exchange(peer, nameless).error(), HasSubstr("bad_id"));
  EXPECT_THAT(exchange(peer, batch(static_cast<int>(limits::kBatchEventsMax) + 1)).error(),
              HasSubstr("too_large"));
  EXPECT_EQ(bench_.refused(Refusal::too_large), 1U);
  EXPECT_EQ(exchange(peer, batch(1)).counted(), 1U);
  EXPECT_EQ(bench_.accepted(), q("1"));
}

TEST_F(FramedServerTest, CountsHalfAFrameThatEndsWithItsConnection) {
  auto peer = connect();
  const auto whole = bytes_of(batch(4));
  peer.send(whole + whole.substr(0, whole.size() / 2));
  EXPECT_EQ(next_ack(peer).counted(), 4U);
  peer.finish_sending();
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_EQ(bench_.refused(Refusal::malformed), 1U);
  EXPECT_EQ(bench_.accepted(), q("4"));
  EXPECT_EQ(server_->connections().open, 0U);
}

TEST_F(FramedServerTest, SendsWhatIsOutstandingToAClientThatOnlyStoppedSending) {
  auto peer = connect();
  peer.send(bytes_of(batch(1)) + bytes_of(batch(2)));
  peer.finish_sending();
  EXPECT_EQ(next_ack(peer).counted(), 1U);
  EXPECT_EQ(next_ack(peer).counted(), 2U);
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_EQ(bench_.refused(Refusal::malformed), 0U);
}

TEST_F(FramedServerTest, KeepsWhatACrashedClientReported) {
  {
    auto peer = connect();
    peer.send(bytes_of(batch(6)));
    while (bench_.batcher().stats().events == 0) ASSERT_GT(bench_.loop().run_one(), 0U);
  }
  bench_.advance(Milliseconds(10'000));
  EXPECT_EQ(bench_.accepted(), q("6"));
}

TEST_F(FramedServerTest, AnswersAnUnknownVersionAndCloses) {
  auto peer = connect();
  peer.send(bytes_of(batch(1)) + "mtr\x02\x01\x02\x03\x04");
  EXPECT_EQ(next_ack(peer).counted(), 1U);
  EXPECT_THAT(next_ack(peer).error(), HasSubstr("version 2"));
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_EQ(bench_.refused(Refusal::malformed), 1U);
  EXPECT_EQ(bench_.accepted(), q("1")) << "what was acknowledged before stands";
}

TEST_F(FramedServerTest, AnswersAnotherProtocolAndCloses) {
  auto peer = connect();
  peer.send("GET /status HTTP/1.1\r\n\r\n");
  EXPECT_THAT(next_ack(peer).error(), HasSubstr("not a meterd frame"));
  EXPECT_TRUE(peer.wait_for_end());
}

TEST_F(FramedServerTest, AnswersAnOversizedFrameFromItsHeaderAndCloses) {
  auto peer = connect();
  peer.send(frame("").substr(0, 4) + std::string("\x00\x10\x00\x01", 4));
  EXPECT_THAT(next_ack(peer).error(), HasSubstr("1048577 bytes"));
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_EQ(bench_.refused(Refusal::too_large), 1U);
}

TEST_F(FramedServerTest, AnswersAFrameWithoutABatchAndCloses) {
  auto peer = connect();
  peer.send(frame("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
  EXPECT_THAT(next_ack(peer).error(), HasSubstr("malformed"));
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_EQ(bench_.refused(Refusal::malformed), 1U);
}

TEST_F(FramedServerTest, ClosesAConnectionWhoseFrameIsOverdue) {
  auto peer = connect();
  peer.send("mtr\x01");
  bench_.settle();
  bench_.advance(Milliseconds(29'000));
  EXPECT_FALSE(peer.ended());
  bench_.advance(Milliseconds(10'000));
  EXPECT_TRUE(peer.wait_for_end());
  EXPECT_EQ(bench_.refused(Refusal::malformed), 1U);
}

TEST_F(FramedServerTest, KeepsAnIdleConnectionForADay) {
  auto peer = connect();
  EXPECT_EQ(exchange(peer, batch(1)).counted(), 1U);
  bench_.advance(Milliseconds(86'400'000));
  EXPECT_EQ(exchange(peer, batch(2)).counted(), 2U);
}

}  // namespace
}  // namespace meterd::ingest
