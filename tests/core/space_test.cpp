// A journal of one mebibyte: what it takes in it must also be able to bill.
#include <sys/stat.h>

#include "tests/core/core_fixture.hpp"

namespace meterd::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using upstream::TransportError;

class SpaceTest : public CoreTest {
 protected:
  // As after many failures of its own.
  void put_off(std::uint64_t sequence) {
    const journal::Due tomorrow{device.journal->boot_number(),
                                device.clock->boot().since_boot.count() + 86'400'000};
    journal::Operation operation = [sequence, tomorrow](journal::WriteTransaction& txn) {
      return txn.retry(sequence, tomorrow, "no answer");
    };
    Status told = Error{Code::retry, "not told"};
    device.core->committer().submit(std::move(operation),
                                    [&told](Status status) { told = std::move(status); });
    device.advance(Milliseconds(1));
    ASSERT_TRUE(told.ok()) << told.error().message;
  }
};

TEST_F(SpaceTest, AFullMapForgetsDeliveredHistoryBeforeItRefusesNewBuckets) {
  device.crash();
  device.config.journal_size_max = 1 << 20;
  device.config.journal_reserve = 256 << 10;
  device.start();
  // Far more usages than the map holds at once, each delivered before the next ones come.
  std::uint64_t counted = 0;
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 50; ++i) {
      const auto subscription = "sub_" + std::to_string(round) + "_" + std::to_string(i);
      ASSERT_FALSE(device.report("sms.sent", subscription, "1").refusal) << round;
      ++counted;
    }
    ASSERT_TRUE(device.commit());
    ASSERT_TRUE(device.flush(true));
    device.advance(Seconds(60));
    ASSERT_THAT(device.outbox(), IsEmpty());
  }
  EXPECT_EQ(billed("sms-usd"), Quantity::of(counted));
  expect_balanced();
}

TEST_F(SpaceTest, AboveTheWatermarkOpenBucketsCountOnAndNewOnesAreRefused) {
  device.crash();
  device.config.journal_size_max = 1 << 20;
  device.config.journal_reserve = 256 << 10;
  device.start();
  for (int i = 0; i < 20'000; ++i)
    device.billing.script.push_back(TransportError{TransportError::Stage::connect, "no route"});
  int stored = 0;
  while (!device.report("sms.sent", "sub_" + std::to_string(stored), "1").refusal && stored < 10'000) {
    ++stored;
    ASSERT_TRUE(device.commit());
  }
  ASSERT_LT(stored, 10'000);
  EXPECT_EQ(device.report("sms.sent", "sub_new", "1").refusal, meter::Refusal::full);
  EXPECT_FALSE(device.report("sms.sent", "sub_0", "1").refusal);
  ASSERT_TRUE(device.commit());
  // Everything that was let in can still be sealed; it is delivered once the network is back.
  ASSERT_TRUE(device.flush(true));
  device.billing.script.clear();
  device.advance(Seconds(3'600));
  EXPECT_EQ(billed("sms-usd"), Quantity::of(static_cast<std::uint64_t>(stored) + 1));
  EXPECT_FALSE(device.report("sms.sent", "sub_new", "1").refusal) << "recovered without a restart";
  expect_balanced();
}

// That is what an operator is told to do when the map is full.
TEST_F(SpaceTest, AFlushTriesEverythingAgainOnAMapThatIsFullOfWhatWaits) {
  device.crash();
  device.config.journal_size_max = 1 << 20;
  device.config.journal_reserve = 256 << 10;
  device.start();
  for (int i = 0; i < 20'000; ++i)
    device.billing.script.push_back(TransportError{TransportError::Stage::connect, "no route"});
  int stored = 0;
  for (int round = 0; round < 20; ++round) {
    while (!device.report("sms.sent", "sub_" + std::to_string(stored), "1").refusal) {
      ++stored;
      ASSERT_TRUE(device.commit());
    }
    ASSERT_TRUE(device.flush(true));
    device.advance(Seconds(10));
  }
  for (const auto& waiting : device.outbox()) put_off(waiting.sequence);
  ASSERT_TRUE(device.flush(false));
  device.billing.script.clear();
  device.advance(Seconds(3'600));
  EXPECT_EQ(billed("sms-usd"), Quantity::of(static_cast<std::uint64_t>(stored)));
  expect_balanced();
}

// What one window holds must fit with all that follows from it: seals, sends, receipts.
TEST_F(SpaceTest, ABurstOfNewSubscriptionsLeavesRoomToBillWhatWasAccepted) {
  device.crash();
  device.config.journal_size_max = 1U << 20;
  device.config.journal_reserve = 256U << 10;
  device.start();
  Quantity accepted;
  for (int i = 0; i < 2'000; ++i) {
    const std::string name = std::string(80, 's') + std::to_string(i);
    if (!device.report("sms.sent", name, "1").refusal) accepted += Quantity::of(1);
  }
  EXPECT_GT(accepted, Quantity::of(100));
  EXPECT_LT(accepted, Quantity::of(1'000));
  ASSERT_TRUE(device.commit());
  ASSERT_TRUE(device.flush(true));
  device.advance(Seconds(60));
  EXPECT_EQ(billed("sms-usd"), accepted);
  EXPECT_THAT(device.outbox(), IsEmpty());
  device.advance(Seconds(60));
  EXPECT_FALSE(device.report("sms.sent", "one more", "1").refusal) << "there is room again";
  expect_balanced();
}

TEST_F(SpaceTest, ManySmallBurstsDoNotAddUpToMoreThanFits) {
  device.crash();
  device.config.journal_size_max = 1U << 20;
  device.config.journal_reserve = 256U << 10;
  device.start();
  for (int i = 0; i < 2'000; ++i) {
    (void)device.report("sms.sent", "sub-" + std::to_string(i), "1");
    if (i % 50 == 0) {
      ASSERT_TRUE(device.commit());
    }
  }
  ASSERT_TRUE(device.commit());
  ASSERT_TRUE(device.flush(true));
  device.advance(Seconds(60));
  EXPECT_THAT(device.outbox(), IsEmpty());
  expect_balanced();
}

// Or a disk that fills up before the first look after the first growth stops everything, deliveries too.
TEST_F(SpaceTest, TheReserveIsOnTheDiskFromTheStart) {
  const auto allocated = [&] {
    struct stat file {};
    EXPECT_EQ(stat((device.config.journal_directory + "/data.mdb").c_str(), &file), 0);
    return static_cast<std::uint64_t>(file.st_blocks) * 512;
  };
  device.crash();
  device.config.journal_reserve *= 2;
  ASSERT_LT(allocated(), device.config.journal_reserve);
  device.start();
  device.advance(Seconds(1));
  EXPECT_GE(allocated(), device.config.journal_reserve);
}

}  // namespace
}  // namespace meterd::testing
