// A [[source]] that is taken out of the configuration, and put back.
#include "agent/journal/read.hpp"
#include "tests/core/core_fixture.hpp"

namespace meterd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A bytes source, 50 bytes of which were counted.
class SourceThatLeaves : public CoreTest {
 protected:
  SourceThatLeaves() {
    with.sources = {source::InterfaceRule{"wwan0", EventName("data.bytes"), SubscriptionId("sub_1"), "both"}};
    device.links.links["wwan0"] = {7, 1'000, 0};
    check(device.reload(with).ok(), "it is taken up");
    device.advance(Seconds(11));
    pass(50);
  }
  void TearDown() override { expect_balanced(); }
  std::string accepted(const std::string& subscription, const std::string& item) {
    for (const auto& row : device.balances())
      if (row.key.series.subscription.value() == subscription && row.key.series.item_price.value() == item)
        return row.balance.accepted.text();
    return "none";
  }
  void pass(std::uint64_t bytes) { device.links.links["wwan0"].rx_bytes += bytes; }
  app::Config with = device.config;
  const app::Config without = device.config;
};

TEST_F(SourceThatLeaves, AndComesBackCountsNothingTwice) {
  ASSERT_TRUE(device.reload_both(without, with)) << "the second before the first one's window is committed";
  device.advance(Seconds(11));
  pass(8);
  device.advance(Seconds(11));
  EXPECT_EQ(accepted("sub_1", "data-usd"), "58");
}

TEST_F(SourceThatLeaves, BillsNobodyWhatPassesWithoutIt) {
  ASSERT_TRUE(device.reload(without));
  pass(400);
  device.advance(Seconds(11));
  std::get<source::InterfaceRule>(with.sources[0]).subscription = SubscriptionId("sub_2");
  ASSERT_TRUE(device.reload(with));
  device.advance(Seconds(11));
  pass(8);
  device.advance(Seconds(11));
  EXPECT_EQ(accepted("sub_1", "data-usd"), "50");
  EXPECT_EQ(accepted("sub_2", "data-usd"), "8");
}

TEST_F(SourceThatLeaves, IsToldAndLeavesAGap) {
  ASSERT_TRUE(device.reload(without));
  EXPECT_THAT(device.log.text, HasSubstr("event=source_forgotten source=interface:wwan0:data.bytes do="));
  ASSERT_TRUE(device.reload(with));
  device.advance(Seconds(11));
  ASSERT_EQ(device.status().sources.size(), 1U);
  EXPECT_EQ(device.status().sources[0].gaps.gaps(), 1U);
}

TEST_F(SourceThatLeaves, AndComesBackByAReloadBeforeThatIsCommittedBeginsAnew) {
  device.config = without;
  device.advance(Seconds(11));
  restart();
  pass(400);
  ASSERT_TRUE(device.reload(with));
  device.advance(Seconds(11));
  pass(8);
  device.advance(Seconds(11));
  EXPECT_EQ(accepted("sub_1", "data-usd"), "58");
}

TEST_F(SourceThatLeaves, IsKeptWhereItWasOnlyIfThatTellsWhatIsMissing) {
  bool written = false;
  device.core->committer().submit(
      [](journal::WriteTransaction& txn) -> Status {
        for (const char* name :
             {"interface:eth0:data.bytes", "nftables:inet:t:s:data.bytes", "nftables:inet:t:s:data.bytes/0",
              "modem-manager:sms:sent", "access-log:/run/a.sock", "shared/00ff/0"})
          if (auto s = txn.put_counter(name, journal::CounterCursor{}); !s) return s;
        return {};
      },
      [&](const Status& done) { written = done.ok(); });
  device.clock->settle();
  ASSERT_TRUE(written);
  device.config = with;
  restart();
  device.advance(Seconds(11));
  const auto kept = journal::read_sources(*device.journal);
  ASSERT_TRUE(kept.ok());
  std::vector<std::string> left;
  for (const auto& [name, cursor] : kept->cursors) left.push_back(name);
  EXPECT_THAT(left, ElementsAre("access-log:/run/a.sock", "interface:wwan0:data.bytes", "shared/00ff/0"));
}

// Its name begins as another's does, which stays.
TEST_F(SourceThatLeaves, IsNotAPartOfAnother) {
  auto both = with;
  both.meters.push_back(both.meters.back());
  both.meters.back().event = EventName("data.bytes/7");
  both.meters.back().item_price = ItemPriceId("rx-usd");
  both.sources.emplace_back(
      source::InterfaceRule{"wwan0", EventName("data.bytes/7"), SubscriptionId("sub_1"), "both"});
  ASSERT_TRUE(device.reload(both));
  device.advance(Seconds(11));
  device.config = with;
  restart();
  pass(400);
  device.advance(Seconds(11));
  ASSERT_TRUE(device.reload(both));
  device.advance(Seconds(11));
  pass(8);
  device.advance(Seconds(11));
  EXPECT_EQ(accepted("sub_1", "data-usd"), "458");
  EXPECT_EQ(accepted("sub_1", "rx-usd"), "8");
}

TEST_F(SourceThatLeaves, OverARestartDoesNeither) {
  device.config = without;
  device.advance(Seconds(11));
  restart();
  pass(400);
  device.advance(Seconds(11));
  device.config = with;
  restart();
  device.advance(Seconds(11));
  pass(8);
  device.advance(Seconds(11));
  EXPECT_EQ(accepted("sub_1", "data-usd"), "58");
}

}  // namespace
}  // namespace meterd::testing
