// nftables counters: every byte once, through reloads, reboots, crashes and elements that come and go; and
// what cannot be known is a gap.
#include "tests/source/nftables_fixture.hpp"

namespace meterd::source {
namespace {

using test::address;
using test::NftablesBench;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class NftablesSourceTest : public ::testing::Test {
 protected:
  static NftablesRule two() {
    auto rule = test::nftables_rule({{"10.0.0.2", "sub_1"}, {"10.0.0.3", "sub_2"}});
    rule.bytes_per_second_max = Quantity::of(1'000);
    return rule;
  }
  std::string counted(const std::string& subscription) const {
    const auto open = at_.bench.open();
    const auto found = open.find("2027-01-15 " + subscription + " data-usd");
    return found == open.end() ? "0" : found->second;
  }
  NftablesBench at_{two()};
};

TEST_F(NftablesSourceTest, StoresItsStartingPointAndCountsNothing) {
  at_.traffic("10.0.0.2", 1'000);
  at_.interval();
  EXPECT_THAT(at_.bench.open(), IsEmpty());
  EXPECT_EQ(at_.stored().cursors.size(), 2U);
  EXPECT_EQ(at_.gaps(), 0U);
}

TEST_F(NftablesSourceTest, CountsEachSubscribersElementForItself) {
  at_.traffic("10.0.0.2", 1'000);
  at_.interval();
  at_.traffic("10.0.0.2", 500);
  at_.traffic("10.0.0.3", 70);  // a new element
  at_.interval();
  at_.interval();
  EXPECT_EQ(counted("sub_1"), "500");
  EXPECT_EQ(counted("sub_2"), "70");
  EXPECT_EQ(at_.gaps(), 0U);
}

TEST_F(NftablesSourceTest, StoresTheReadingsInTheTransactionOfWhatTheyCounted) {
  at_.interval();
  at_.traffic("10.0.0.2", 500);
  at_.interval();
  at_.interval();
  at_.traffic("10.0.0.2", 7);
  at_.restart();
  at_.interval();
  at_.interval();
  at_.restart();
  at_.interval();
  EXPECT_EQ(counted("sub_1"), "507");
  EXPECT_EQ(at_.gaps(), 0U);
  at_.bench.expect_sound();
}

TEST_F(NftablesSourceTest, CountsOnceWhatACrashTookBeforeItsCommit) {
  at_.interval();
  at_.traffic("10.0.0.2", 500);
  at_.bench.advance(Milliseconds(9'999));
  at_.restart();  // read or not: not committed
  at_.interval();
  at_.interval();
  EXPECT_EQ(counted("sub_1"), "500");
}

TEST_F(NftablesSourceTest, CountsAReplacedTableFromZeroAndTellsTheGap) {
  at_.traffic("10.0.0.2", 1'000);
  at_.interval();
  at_.traffic("10.0.0.2", 300);
  at_.kernel.replace_table();
  at_.traffic("10.0.0.2", 900);
  at_.interval();
  at_.interval();
  EXPECT_EQ(counted("sub_1"), "900");
  EXPECT_EQ(at_.gaps(), 1U);
  EXPECT_EQ(at_.last_gap().reason(), "the table or the set was replaced");
  EXPECT_EQ(at_.last_gap().what(), "1 elements replaced");
  EXPECT_EQ(at_.last_gap().until_ms() - at_.last_gap().from_ms(), 10'000);
  EXPECT_EQ(at_.last_gap().lost_max(), "10000");
  EXPECT_EQ(at_.stored().gaps.gaps(), 1U);
}

// As "nft -f" does with what "nft list" has written.
TEST_F(NftablesSourceTest, CountsNothingTwiceOfATableThatIsLoadedWithItsCounts) {
  at_.traffic("10.0.0.2", 1'000);
  at_.interval();
  at_.traffic("10.0.0.2", 500);
  at_.interval();
  const auto saved = at_.kernel.elements;
  at_.kernel.replace_table();
  at_.kernel.elements = saved;
  at_.traffic("10.0.0.2", 30);
  at_.interval();
  at_.interval();
  EXPECT_EQ(counted("sub_1"), "530");
  EXPECT_EQ(at_.last_gap().what(),
            "1 elements replaced, 1 elements that may have been loaded with their counts");
  EXPECT_EQ(at_.last_gap().lost_max(), "11500") << "or its counter began at zero";
}

TEST_F(NftablesSourceTest, TakesAGapFromTheBeginOfOneReadingToTheEndOfTheNext) {
  at_.interval();
  at_.kernel.while_reading = [this] { at_.bench.clock().pass(Milliseconds(2'000)); };
  at_.kernel.replace_table();
  at_.interval();
  EXPECT_EQ(at_.last_gap().until_ms() - at_.last_gap().from_ms(), 12'000);
  EXPECT_EQ(at_.last_gap().lost_max(), "12000");
}

TEST_F(NftablesSourceTest, TellsAReplacedSetAndAnotherNetworkNamespaceToo) {
  at_.interval();
  ++at_.kernel.object;
  at_.interval();
  EXPECT_EQ(at_.gaps(), 1U);
  ++at_.kernel.network;
  at_.interval();
  EXPECT_EQ(at_.gaps(), 2U);
  at_.interval();
  at_.restart();
  at_.interval();
  EXPECT_EQ(at_.gaps(), 2U) << "told once, also where no counter moved";
}

TEST_F(NftablesSourceTest, CountsFromZeroAfterAReboot) {
  at_.traffic("10.0.0.2", 1'000);
  at_.interval();
  at_.reboot("boot-2");
  at_.kernel.elements.clear();
  at_.traffic("10.0.0.2", 77);
  at_.interval();
  at_.interval();
  EXPECT_EQ(counted("sub_1"), "77");
  EXPECT_EQ(at_.last_gap().reason(), "the device was started again");
}

TEST_F(NftablesSourceTest, CountsAResetElementFromZeroAndTheOthersOn) {
  at_.traffic("10.0.0.2", 1'000);
  at_.traffic("10.0.0.3", 1'000);
  at_.interval();
  at_.kernel.elements[address("10.0.0.2")] = {40, 1};
  at_.traffic("10.0.0.3", 5);
  at_.interval();
  at_.interval();
  EXPECT_EQ(counted("sub_1"), "40");
  EXPECT_EQ(counted("sub_2"), "5");
  EXPECT_EQ(at_.last_gap().what(), "1 elements reset");
}

TEST_F(NftablesSourceTest, TellsElementsThatAreGoneOnceInOneGap) {
  at_.traffic("10.0.0.2", 1'000);
  at_.traffic("10.0.0.3", 1'000);
  at_.interval();
  at_.kernel.elements.clear();
  at_.interval();
  at_.interval();
  at_.restart();
  at_.interval();
  EXPECT_EQ(at_.gaps(), 1U);
  EXPECT_EQ(at_.last_gap().reason(), "elements are gone");
  EXPECT_EQ(at_.last_gap().what(), "2 elements gone");
  at_.traffic("10.0.0.2", 30);  // comes back
  at_.interval();
  at_.interval();
  EXPECT_EQ(counted("sub_1"), "30");
  EXPECT_EQ(at_.gaps(), 1U);
}

TEST_F(NftablesSourceTest, ShowsElementsOfNobodyAndBillsThemToNobody) {
  at_.interval();
  at_.traffic("10.0.0.99", 400);
  at_.traffic("10.0.0.98", 4);
  at_.interval();
  at_.interval();
  EXPECT_THAT(at_.bench.open(), IsEmpty());
  EXPECT_THAT(at_.report().blind_spots, ElementsAre("2 elements of no subscriber, with 404 bytes"));
  EXPECT_EQ(at_.report().trouble, "");
  EXPECT_THAT(at_.bench.log.text, ::testing::Not(HasSubstr("10.0.0")));
}

TEST_F(NftablesSourceTest, BeginsWithASubscriberWhoIsAddedAtWhatTheElementHasThen) {
  at_.traffic("10.0.0.2", 10);
  at_.traffic("10.0.0.4", 1'000'000);  // of nobody, so far
  at_.interval();
  at_.interval();
  at_.rule = test::nftables_rule({{"10.0.0.2", "sub_1"}, {"10.0.0.4", "sub_4"}});
  at_.restart();
  at_.interval();
  at_.traffic("10.0.0.2", 1);
  at_.traffic("10.0.0.4", 3);
  at_.interval();
  at_.interval();
  EXPECT_EQ(counted("sub_4"), "3");
  EXPECT_EQ(counted("sub_1"), "1");
  EXPECT_EQ(at_.gaps(), 0U);
}

TEST_F(NftablesSourceTest, SaysOnceWhyItCountsNothingAndGoesOnWithoutAGapWhenItWasOnlyUnreadable) {
  at_.traffic("10.0.0.2", 10);
  at_.interval();
  at_.kernel.refuses = Error{Code::unauthorised, "nftables: meterd lacks CAP_NET_ADMIN"};
  at_.bench.advance(Milliseconds(600'000));
  EXPECT_EQ(at_.report().trouble, "nftables: meterd lacks CAP_NET_ADMIN");
  EXPECT_THAT(at_.report().advice, HasSubstr("examples/nftables.conf"));
  EXPECT_EQ(at_.bench.log.times("event=nftables_unreadable"), 1U);
  at_.traffic("10.0.0.2", 5);
  at_.kernel.refuses.reset();
  at_.interval();
  at_.interval();
  EXPECT_EQ(at_.bench.log.times("event=nftables_back"), 1U);
  EXPECT_EQ(at_.report().trouble, "");
  EXPECT_EQ(counted("sub_1"), "5");
  EXPECT_EQ(at_.gaps(), 0U);
}

TEST_F(NftablesSourceTest, RefusesASetWhoseKeysAreNotItsSubscribers) {
  at_.kernel.keys = platform::NftKeyKind::mark;
  at_.interval();
  EXPECT_EQ(at_.report().trouble, "nftables: the set has marks, its subscribers are IPv4 addresses");
}

TEST_F(NftablesSourceTest, WritesNothingWhenNothingPassed) {
  at_.traffic("10.0.0.2", 10);
  at_.interval();
  at_.interval();
  const auto before = at_.bench.commits();
  at_.bench.advance(Milliseconds(3'600'000));
  EXPECT_EQ(at_.bench.commits(), before);
  EXPECT_GT(at_.kernel.reads, 300);
}

TEST_F(NftablesSourceTest, TellsWhatFlowtablesTakeFromTheCounters) {
  at_.kernel.offloads = {{"fw", "fast", {"eth0", "wwan0"}, true}};
  at_.interval();
  EXPECT_THAT(
      at_.report().blind_spots,
      ElementsAre(
          "flowtable fw/fast: what the hardware forwards by it on eth0, wwan0 passes the rules by and "
          "is in no counter of theirs"));
  at_.kernel.offloads.clear();
  at_.bench.advance(Milliseconds(61'000));
  EXPECT_THAT(at_.report().blind_spots, IsEmpty());
}

TEST_F(NftablesSourceTest, SaysWhatItCouldNotReadBackFromTheJournal) {
  at_.traffic("10.0.0.2", 10);
  at_.interval();
  at_.interval();
  at_.bench.batcher().forget_counter(at_.rule.name() + "/0");
  ASSERT_TRUE(at_.bench.commit());
  at_.restart();
  at_.traffic("10.0.0.2", 10);
  at_.interval();
  at_.interval();
  EXPECT_EQ(at_.gaps(), 1U);
  EXPECT_THAT(at_.last_gap().reason(), HasSubstr("could not be read back"));
  at_.restart();
  at_.interval();
  EXPECT_EQ(at_.gaps(), 1U) << "said once";
}

TEST(NftablesSourceRefused, CountsWhatHasNoMeterOnceItHasOne) {
  test::BenchOptions options;
  options.meters = {test::meter_of("sms.sent", "sms-usd")};
  NftablesBench at(test::nftables_rule({{"10.0.0.2", "sub_1"}}), options);
  at.traffic("10.0.0.2", 50);
  at.interval();
  at.traffic("10.0.0.2", 500);
  at.interval();
  at.kernel.replace_table();
  at.traffic("10.0.0.2", 30);
  at.interval();
  at.traffic("10.0.0.2", 4);
  at.interval();
  EXPECT_THAT(at.bench.open(), IsEmpty());
  at.bench.options.meters = {test::meter_of("data.bytes", "data-usd")};
  at.bench.options.seal_rules.resize(1);
  at.restart();
  at.interval();
  at.interval();
  EXPECT_THAT(at.bench.open(), ElementsAre(Pair("2027-01-15 sub_1 data-usd", "34")));
  EXPECT_EQ(at.gaps(), 1U);
}

TEST(NftablesSourceCounter, CountsANamedCounterForOneSubscription) {
  auto rule = test::nftables_rule({});
  rule.is_set = false;
  rule.object = "wwan";
  rule.subscription = SubscriptionId("sub_1");
  NftablesBench at(rule);
  at.kernel.elements[platform::NftKey{}] = {1'000, 10};
  at.interval();
  at.kernel.elements[platform::NftKey{}] = {1'700, 12};
  at.interval();
  at.restart();
  at.kernel.elements[platform::NftKey{}] = {1'800, 13};
  at.interval();
  at.interval();
  EXPECT_THAT(at.bench.open(), ElementsAre(Pair("2027-01-15 sub_1 data-usd", "800")));
  EXPECT_FALSE(at.kernel.asked.is_set);
  EXPECT_EQ(at.kernel.asked.object, "wwan");
}

TEST(NftablesSourceLarge, WritesPagesAndNotARecordAnElement) {
  std::vector<std::pair<std::string, std::string>> all;
  for (int i = 0; i < 10'000; ++i)
    all.emplace_back("10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250), "sub_1");
  test::BenchOptions options;
  options.size_max = 32U << 20U;
  NftablesBench at(test::nftables_rule(all), options);
  for (const auto& one : at.rule.subscribers) at.kernel.count(one.key, 1'000);
  at.interval();
  for (const auto& one : at.rule.subscribers) at.kernel.count(one.key, 7);
  at.interval();
  at.interval();
  EXPECT_THAT(at.bench.open(), ElementsAre(Pair("2027-01-15 sub_1 data-usd", "70000")));
  EXPECT_EQ(at.stored().cursors.size(), 158U);
}

}  // namespace
}  // namespace meterd::source
