// The framed server on a real unix socket, its reader on a thread of its own, under a virtual clock.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <string>

#include "agent/base/limits.hpp"
#include "agent/ingest/frame.hpp"
#include "agent/ingest/framed_server.hpp"
#include "platform/task_group.hpp"
#include "tests/ingest/bench.hpp"
#include "tests/ingest/wire.hpp"

namespace meterd::ingest {

class FramedTest : public ::testing::Test {
 protected:
  explicit FramedTest(test::BenchOptions options = {}) : bench_(std::move(options)) { start(); }
  ~FramedTest() override { end(); }

  void start() {
    const FramedServer::Dependencies dependencies{bench_.loop().get_executor(),
                                                  reader_.get_executor(),
                                                  bench_.journal(),
                                                  bench_.batcher(),
                                                  bench_.clock(),
                                                  bench_.log,
                                                  access_};
    server_ = std::make_unique<FramedServer>(dependencies, test::must(platform::listen_unix(path_, {})));
    tasks_ = std::make_unique<platform::TaskGroup>(bench_.loop().get_executor(), bench_.clock());
    tasks_->spawn(server_->run());
    tasks_->spawn(server_->sweep());
    bench_.settle();
  }
  // Hard, as at the daemon's last deadline: nothing of the server is left on the loop.
  void end() {
    if (!server_) return;
    server_->stop();
    server_->close();
    bench_.advance(Milliseconds(5'000));
    EXPECT_TRUE(test::run_until(bench_.loop(), [this] { return server_->connections().open == 0; }));
    EXPECT_TRUE(test::run_until(bench_.loop(), [this] { return tasks_->running() == 0; }));
    server_.reset();
    tasks_.reset();
  }
  void restart() {
    end();
    bench_.restart();
    start();
  }

  test::Peer connect() { return test::Peer::unix_stream(bench_.loop(), path_); }

  static v1::Batch batch(int events, v1::AckLevel ack = v1::COMMITTED, std::uint64_t sequence = 0) {
    v1::Batch out;
    out.set_ack(ack);
    out.set_producer("app");
    out.set_sequence(sequence);
    for (int i = 0; i < events; ++i) {
      auto* event = out.add_events();
      event->set_name("sms.sent");
      event->set_subscription("sub_1");
    }
    return out;
  }
  static std::string bytes_of(const v1::Batch& batch) { return frame(batch.SerializeAsString()); }

  // The next ack; the test fails if none comes.
  v1::Ack next_ack(test::Peer& peer) {
    v1::Ack ack;
    const auto whole = [this](const std::string& bytes) {
      const auto part = next_frame(bytes);
      if (part && part->has_value()) return true;
      if (time_passes_) bench_.advance(Milliseconds(1));
      return false;
    };
    if (!peer.wait_until(whole)) {
      ADD_FAILURE() << "no ack; " << peer.received().size() << " bytes came";
      return ack;
    }
    const auto part = next_frame(peer.received());
    EXPECT_TRUE(ack.ParseFromArray((*part)->payload.data(), static_cast<int>((*part)->payload.size())));
    peer.take((*part)->consumed);
    return ack;
  }
  v1::Ack exchange(test::Peer& peer, const v1::Batch& batch) {
    peer.send(bytes_of(batch));
    return next_ack(peer);
  }

  const Access access_{{}};
  bool time_passes_ = false;  // while an ack is waited for
  boost::asio::thread_pool reader_{1};
  test::Bench bench_;
  journal::TempDirectory directory_;
  std::string path_ = directory_ / "ingest.sock";
  std::unique_ptr<FramedServer> server_;
  std::unique_ptr<platform::TaskGroup> tasks_;
};

}  // namespace meterd::ingest
