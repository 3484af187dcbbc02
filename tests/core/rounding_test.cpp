// Bytes that are billed in blocks: the upstream gets blocks, the journal keeps bytes, and what is less than a
// block goes to the next usage.
#include <gmock/gmock.h>

#include "agent/journal/schema.hpp"
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
  std::vector<std::string> audits() {
    std::vector<std::string> out;
    auto txn = device.journal->begin_read();
    for (std::uint64_t number = 0;; ++number) {
      const auto record = txn->get(journal::audit_key(number));
      if (!record || !record->has_value()) return out;
      out.emplace_back(**record);
    }
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

TEST_F(RoundingTest, TellsOnceWhatIsLeftWhenTheRuleIsGivenUp) {
  bill("2500");
  round("none");
  bill("7");
  bill("8");
  EXPECT_EQ(billed("sms-usd"), *Quantity::parse("17")) << "2 blocks, 7 units and 8";
  const auto told = audits();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_THAT(told[0], ::testing::HasSubstr("billing/sub_1/sms-usd: 0.5 of a block (1kB-v1): 500 units"));
  round("1kB-v1");
  bill("500");
  EXPECT_EQ(billed("sms-usd"), *Quantity::parse("17")) << "the 500 that were told do not come again";
  expect_balanced();
}

TEST_F(RoundingTest, TellsNothingWhereNothingIsLeft) {
  bill("2000");
  round("none");
  bill("7");
  EXPECT_THAT(audits(), ::testing::IsEmpty());
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
