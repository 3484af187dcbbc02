// What /status and /metrics are told, while the whole core runs: that each number comes from where it should.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/api/metrics.hpp"
#include "tests/core/device.hpp"

namespace meterd::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using upstream::TransportError;

class CoreStatus : public ::testing::Test {
 protected:
  CoreStatus() : device(small_config(directory.path())) { device.start(); }

  void count_and_seal(const char* quantity) {
    ASSERT_FALSE(device.report("sms.sent", "sub_1", quantity).refusal);
    ASSERT_TRUE(device.commit());
    ASSERT_TRUE(device.flush(true));
    device.clock->settle();
  }
  api::Deliveries deliveries() { return device.status().upstreams.at(0).deliveries; }

  TempDirectory directory;
  Device device;
};

TEST_F(CoreStatus, CountsAttemptsReceiptsAndRetriesOfItsUpstream) {
  device.billing.script.push_back(TransportError{TransportError::Stage::connect, "refused"});
  count_and_seal("1");
  EXPECT_EQ(deliveries().attempts, 1U);
  EXPECT_EQ(deliveries().retries, 1U);
  EXPECT_EQ(deliveries().receipts, 0U);
  EXPECT_EQ(device.status().upstreams.at(0).state.waiting(), 1U);
  device.advance(Seconds(3'600));
  EXPECT_EQ(deliveries().attempts, 2U);
  EXPECT_EQ(deliveries().receipts, 1U);
  EXPECT_EQ(device.status().upstreams.at(0).state.waiting(), 0U);
}

TEST_F(CoreStatus, CountsALookUpAsAReadBack) {
  device.billing.apply_then_lose = true;
  count_and_seal("1");
  device.advance(Seconds(3'600));
  EXPECT_EQ(deliveries().receipts, 1U);
  EXPECT_EQ(deliveries().read_backs, 1U);
  EXPECT_EQ(deliveries().exchange.count(), 3U) << "two creates and a look";
}

TEST_F(CoreStatus, CountsWhatIsParked) {
  device.billing.script.push_back(vendor_error(400, "param_wrong_value"));
  count_and_seal("1");
  EXPECT_EQ(deliveries().parked, 1U);
  EXPECT_EQ(device.status().attention.size(), 1U);
  EXPECT_THAT(api::to_metrics(device.status()), HasSubstr("\nmeterd_attention 1\n"));
}

TEST_F(CoreStatus, MeasuresEachExchangeFromItsStartToItsEnd) {
  device.billing.meanwhile = [&] { device.clock->set_boot(device.clock->boot() + Milliseconds(40)); };
  count_and_seal("1");
  EXPECT_EQ(deliveries().exchange.count(), 1U);
  EXPECT_EQ(deliveries().exchange.sum(), Milliseconds(40));
}

TEST_F(CoreStatus, MeasuresEveryCommit) {
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "1").refusal);
  ASSERT_TRUE(device.commit());
  const auto status = device.status();
  EXPECT_GE(status.commits.commits, 1U);
  EXPECT_EQ(status.commits.durable.count(), status.commits.commits) << "each had one operation";
  EXPECT_EQ(status.commits.commit.count(), status.commits.commits);
  EXPECT_GT(status.commits.bytes, 0U);
}

TEST_F(CoreStatus, TellsTheAgeOfTheOldestUsageThatWaits) {
  device.billing.poisoned = "sub_1";
  count_and_seal("1");
  device.advance(Seconds(100));
  EXPECT_THAT(api::to_metrics(device.status()),
              HasSubstr("\nmeterd_oldest_waiting_seconds{upstream=\"billing\"} 100\n"));
  device.clock->set_trusted(false);
  EXPECT_THAT(api::to_metrics(device.status()), Not(HasSubstr("\nmeterd_oldest_waiting_seconds{")));
}

TEST_F(CoreStatus, CountsTheIdsThatItRemembers) {
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "1", "a").refusal);
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "1", "b").refusal);
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "1", "a").refusal);
  ASSERT_TRUE(device.commit());
  EXPECT_EQ(device.status().remembered_ids, 2U);
}

TEST_F(CoreStatus, ReportedEventsNeverFall) {
  const auto reported = [&] {
    const auto s = device.status();
    return s.ingest.events + s.ingest.duplicates;
  };
  std::uint64_t before = 0;
  for (int i = 0; i < 5; ++i) {
    ASSERT_FALSE(device.report("sms.sent", "sub_1", "1", "the same").refusal);
    EXPECT_EQ(reported(), before + 1) << "counted before it is known to be a duplicate";
    ASSERT_TRUE(device.commit());
    EXPECT_EQ(reported(), before + 1) << "and after";
    before = reported();
  }
  EXPECT_EQ(device.status().ingest.events, 1U);
}

TEST_F(CoreStatus, LeavesOutWhatWasWrittenBeforeItCounted) {
  device.crash();
  device.process.now.written_bytes = 1'000'000'000;
  device.start();
  device.advance(Seconds(60));
  device.process.now.written_bytes = 1'000'000'007;
  const auto status = device.status();
  ASSERT_TRUE(status.process.has_value());
  EXPECT_EQ(*status.process->written_bytes, 1'000'000'007U);
  EXPECT_EQ(status.written_before, 1'000'000'000U);
}

}  // namespace
}  // namespace meterd::testing
