// A usage whose date, the first second of its day, is another gateway's: it needs a date of its own, which
// takes a trusted clock and a later second.
#include "tests/core/core_fixture.hpp"

namespace meterd::testing {
namespace {

class TakenDateTest : public CoreTest {
 protected:
  TakenDateTest() {
    device.clock->set_wall(kMidnight);
    (void)device.report("sms.sent", "sub_1", "5");
    (void)device.commit();
    device.billing.records["of-another-gateway"] = {"sub_1", "sms-usd",
                                                    std::to_string(kMidnight.seconds().count()), "7"};
  }
  // Ours is no longer waiting but billed, on a later second of the day than the one that was taken.
  void expect_billed() {
    EXPECT_EQ(billed("sms-usd"), *Quantity::parse("12"));
    ASSERT_EQ(device.billing.records.size(), 2U);
    for (const auto& [id, record] : device.billing.records) {
      if (id == "of-another-gateway") continue;
      EXPECT_GT(std::stoll(record.usage_date), kMidnight.seconds().count());
      EXPECT_LE(std::stoll(record.usage_date), device.clock->wall().time.seconds().count());
    }
    expect_balanced();
  }
  void expect_waiting() {
    ASSERT_EQ(device.outbox().size(), 1U);
    EXPECT_EQ(journal::state_of(device.outbox().front().record), journal::UsageState::waiting);
  }
  void expect_no_date_from(WallTime stepped) {
    device.billing.meanwhile = [this, stepped] {
      device.clock->set_trusted(false);
      device.clock->set_wall(stepped);
    };
    (void)device.flush(true);
    device.advance(Seconds(1'800));
    expect_waiting();
    EXPECT_EQ(device.billing.records.size(), 1U);
    device.billing.meanwhile = [] {};
    device.clock->set_trusted(true);
    device.clock->set_wall(kMidnight + Seconds(1'800));
    device.advance(Seconds(1'800));
    expect_billed();
  }
  static constexpr WallTime kMidnight{Seconds(20'000 * 86'400)};
};

// By a clock that is behind the day has no other second yet; by one that is ahead it has all of them.
TEST_F(TakenDateTest, IsNotReplacedByTheWordOfAnUntrustedClockThatIsBehind) {
  expect_no_date_from(kMidnight - Seconds(90 * 86'400));
}

TEST_F(TakenDateTest, IsNotReplacedByTheWordOfAnUntrustedClockThatIsAhead) {
  expect_no_date_from(kMidnight + Seconds(90 * 86'400));
}

TEST_F(TakenDateTest, IsReplacedOnceTheDayHasAnotherSecond) {
  (void)device.flush(true);
  expect_waiting();
  device.advance(Seconds(1'800));
  expect_billed();
}

// History goes early when room is short, and late events of its days still come.
TEST_F(CoreTest, TheNextRevisionKeepsOffTheDatesOfPrunedUsages) {
  device.advance(Seconds(890));  // late in the interval: the preferred second has passed
  for (int revision = 0; revision < 12; ++revision) {
    (void)device.report("sms.sent", "sub_1", "1");
    (void)device.commit();
    (void)device.flush(true);
    std::size_t pruned = 0;
    journal::Operation prune = [&pruned](journal::WriteTransaction& txn) -> Status {
      auto count = txn.prune_usages(INT64_MAX, 10);
      if (!count) return count.error();
      pruned = *count;
      return {};
    };
    device.core->committer().submit(std::move(prune), [](const Status&) {});
    device.advance(Seconds(1));
    EXPECT_EQ(pruned, 1U);
  }
  EXPECT_EQ(billed("sms-usd"), *Quantity::parse("12"));
  EXPECT_EQ(device.billing.bodies.size(), 12U) << "none was refused as taken";
  expect_balanced();
}

}  // namespace
}  // namespace meterd::testing
