// Bytes that are billed in blocks: the upstream gets blocks, the journal keeps bytes, and what is less than a
// block goes to the next usage.
#include "tests/core/core_fixture.hpp"

namespace meterd::testing {
namespace {

class RoundingTest : public CoreTest {
 protected:
  void SetUp() override { round("1kB-v1"); }
  void round(const char* name) {
    device.crash();
    for (auto& meter : device.config.meters)
      if (meter.event == EventName("sms.sent")) meter.rounding = name;
    device.start();
  }
  void bill(const char* quantity) {
    ASSERT_FALSE(device.report("sms.sent", "sub_1", quantity).refusal);
    ASSERT_TRUE(device.commit());
    ASSERT_TRUE(device.flush(true));
    device.clock->settle();
  }
};

TEST_F(RoundingTest, BillsWholeBlocksAndCarriesTheRest) {
  bill("2500");
  EXPECT_EQ(billed("sms-usd"), *Quantity::parse("2"));
  bill("600");
  EXPECT_EQ(billed("sms-usd"), *Quantity::parse("3"));
  EXPECT_EQ(device.balances()[0].balance.delivered.text(), "3100") << "the journal keeps what was counted";
  expect_balanced();
}

TEST_F(RoundingTest, SendsNothingOfLessThanABlock) {
  bill("999");
  EXPECT_TRUE(device.billing.records.empty());
  EXPECT_EQ(device.balances()[0].balance.delivered.text(), "999") << "as its carry";
  bill("1");
  EXPECT_EQ(billed("sms-usd"), *Quantity::parse("1"));
}

TEST_F(RoundingTest, KeepsTheBytesOfTheRestWhenTheRuleChanges) {
  bill("2500");
  round("1MB-v1");
  bill("1999500");
  EXPECT_EQ(billed("sms-usd"), *Quantity::parse("4"))
      << "2 blocks of 1 kB, and 2 of 1 MB of 1,999,500 + 500 bytes";
}

// As TakenDateTest has it: the day has had one second so far, and that is another gateway's.
TEST_F(RoundingTest, ASuccessorIsChargedAsTheUsageThatItSupersedes) {
  const WallTime midnight{Seconds(20'000 * 86'400)};
  device.clock->set_wall(midnight);
  device.billing.records["of-another-gateway"] = {"sub_1", "sms-usd",
                                                  std::to_string(midnight.seconds().count()), "7"};
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "2500").refusal);
  ASSERT_TRUE(device.commit());
  (void)device.flush(true);
  device.advance(Seconds(1));
  bill("600");  // sealed before the first one got another date
  device.advance(Seconds(1'800));
  EXPECT_EQ(billed("sms-usd"), *Quantity::parse("10")) << "7 of the other gateway's, 2 blocks and 1";
  bill("500");
  EXPECT_EQ(billed("sms-usd"), *Quantity::parse("10"))
      << "600 bytes are left, not the successor's 500 once more";
  expect_balanced();
}

}  // namespace
}  // namespace meterd::testing
