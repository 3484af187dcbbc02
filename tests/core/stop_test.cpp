// The polite stop, beside what it must wait for.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "tests/core/core_fixture.hpp"

namespace meterd::testing {
namespace {

class StopTest : public CoreTest {
 protected:
  // Everything that waits for the disk, and what follows from it.
  void let_the_disk_work() {
    do {
      device.clock->settle();
      disk_.restart();
    } while (disk_.poll() > 0);
    device.clock->settle();
  }
  void start_on_a_disk_that_hangs() {
    device.crash();
    device.journal_thread = &disk_;
    device.start();
    let_the_disk_work();
  }
  void stop() {
    boost::asio::co_spawn(*device.loop, device.core->stop(Seconds(1)),
                          [&](const std::exception_ptr&, bool) { stopped_ = true; });
  }
  void restart() {
    device.crash();
    device.journal_thread = nullptr;
    device.start();
  }
  boost::asio::io_context disk_;
  bool stopped_ = false;
};

TEST_F(StopTest, WaitsForADiskThatHangsAndKeepsWhatWasReceivedMeanwhile) {
  start_on_a_disk_that_hangs();
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "1").refusal);
  device.core->batcher().commit_soon([](const Status&, const ingest::WindowOutcome&) {});
  device.clock->settle();  // this commit is on its way
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "2").refusal);
  stop();
  for (int second = 0; second < 60; ++second) {
    device.advance(Seconds(1));
    ASSERT_FALSE(stopped_) << second;
  }
  let_the_disk_work();
  device.advance(Seconds(1));
  EXPECT_TRUE(stopped_);
  EXPECT_FALSE(device.core->batcher().holds_uncommitted());
  restart();
  EXPECT_EQ(device.verify().accepted, Quantity::of(3));
}

// A bus that does not answer, say.
class SourceThatHangs final : public platform::ModemMessages {
 public:
  explicit SourceThatHangs(platform::Clock& clock) : alarm_(clock.make_alarm()) {}
  boost::asio::awaitable<void> watch(platform::ModemWatcher&) override {
    for (;;) co_await alarm_->wait_for(Seconds(3'600));
  }
  void list_again() override {}
  void stop() override {}

 private:
  std::unique_ptr<platform::Alarm> alarm_;
};

TEST_F(StopTest, CommitsWhatWasReceivedBeforeASourceThatHangsAndEndsWithoutIt) {
  device.crash();
  device.config.sources.push_back(
      source::ModemRule{EventName("sms.sent"), SubscriptionId("sub_1"), "sent", {}});
  device.make_modem_messages = [this](const std::string&) {
    return std::make_unique<SourceThatHangs>(*device.clock);
  };
  device.start();
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "1").refusal);
  EXPECT_EQ(device.verify().accepted, Quantity());
  stop();
  device.clock->settle();
  EXPECT_EQ(device.verify().accepted, Quantity::of(1)) << "at once";
  EXPECT_FALSE(stopped_);
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "2").refusal);
  for (int second = 0; second < 3; ++second) device.advance(Seconds(1));
  EXPECT_TRUE(stopped_);
  EXPECT_FALSE(device.core->batcher().holds_uncommitted());
  EXPECT_EQ(device.verify().accepted, Quantity::of(3));
}

// A disk that refuses is not waited for: trying again changes nothing.
TEST_F(StopTest, DoesNotWaitForAJournalThatIsFull) {
  device.crash();
  device.config.journal_size_max = 1U << 20;
  device.config.journal_reserve = 256U << 10;
  device.start();
  device.fill_journal();
  (void)device.report("sms.sent", "sub_1", "1");
  stop();
  for (int second = 0; second < 10; ++second) device.advance(Seconds(1));
  EXPECT_TRUE(stopped_);
}

}  // namespace
}  // namespace meterd::testing
