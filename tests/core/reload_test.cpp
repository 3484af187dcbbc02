// A reload: another configuration between two events, as a whole or not at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/device.hpp"

namespace meterd::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

app::MeterConfig meter(const char* event, const char* item, const char* upstream = "billing") {
  app::MeterConfig out;
  out.event = EventName(event);
  out.item_price = ItemPriceId(item);
  out.upstream = UpstreamName(upstream);
  out.time_zone = "UTC";
  return out;
}

class ReloadTest : public ::testing::Test {
 protected:
  ReloadTest() : device(small_config(directory.path())) { device.start(); }

  std::string accepted(const std::string& subscription, const std::string& item) {
    for (const auto& row : device.balances())
      if (row.key.series.subscription.value() == subscription && row.key.series.item_price.value() == item)
        return row.balance.accepted.text();
    return "none";
  }
  void count(const char* event, const char* quantity, const char* subscription = "sub_1") {
    ASSERT_FALSE(device.report(event, subscription, quantity).refusal);
  }
  void TearDown() override { EXPECT_THAT(device.verify().problems, IsEmpty()); }

  TempDirectory directory;
  Device device;
};

TEST_F(ReloadTest, PlacesWhatCameBeforeByTheOldMetersAndWhatComesAfterByTheNew) {
  count("sms.sent", "5");
  ASSERT_TRUE(device.report("fax.sent", "sub_1", "1").refusal);
  auto next = device.config;
  next.meters = {meter("sms.sent", "sms-eur"), meter("fax.sent", "fax-eur")};
  ASSERT_TRUE(device.reload(next));
  count("sms.sent", "7");
  count("fax.sent", "1");
  EXPECT_EQ(device.report("data.bytes", "sub_1", "1").refusal, meter::Refusal::unknown_event);
  ASSERT_TRUE(device.commit());
  EXPECT_EQ(accepted("sub_1", "sms-usd"), "5");
  EXPECT_EQ(accepted("sub_1", "sms-eur"), "7");
  EXPECT_EQ(accepted("sub_1", "fax-eur"), "1");
}

TEST_F(ReloadTest, KeepsTheCountsOfTheProcess) {
  count("sms.sent", "5");
  (void)device.report("fax.sent", "sub_1", "1");
  ASSERT_TRUE(device.flush(true));
  device.clock->settle();
  ASSERT_TRUE(device.reload(device.config));
  const auto status = device.status();
  EXPECT_EQ(status.ingest.events, 1U);
  EXPECT_EQ(status.ingest.refused[static_cast<std::size_t>(meter::Refusal::unknown_event)], 1U);
  EXPECT_GT(status.commits.commits, 0U);
}

TEST_F(ReloadTest, RefusesWhatTakesARestartAndChangesNothing) {
  auto next = device.config;
  next.meters.push_back(meter("fax.sent", "fax-usd"));
  next.device_id = DeviceId("gw-0043");
  next.journal_size_max *= 2;
  next.statsd.clear();
  const Status refused = device.reload(next);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::rejected);
  for (const char* key : {"device.id", "journal.max_size", "ingest.statsd"})
    EXPECT_THAT(refused.error().message, HasSubstr(key));
  EXPECT_THAT(refused.error().message, Not(HasSubstr("journal.reserve")));
  EXPECT_TRUE(device.report("fax.sent", "sub_1", "1").refusal) << "nothing of it is in force";
}

TEST_F(ReloadTest, RefusesAMeterWithoutItsUpstream) {
  auto next = device.config;
  next.meters.push_back(meter("fax.sent", "fax-usd", "nowhere"));
  EXPECT_FALSE(device.reload(next));
  EXPECT_TRUE(device.report("fax.sent", "sub_1", "1").refusal);
}

TEST_F(ReloadTest, RefusesWhileTheJournalHasNoRoom) {
  device.crash();
  device.config.journal_size_max = 1U << 20;
  device.config.journal_reserve = 256U << 10;
  device.start();
  for (int i = 0; i < 200; ++i) count("sms.sent", "1", ("sub-" + std::to_string(i)).c_str());
  device.fill_journal();
  ASSERT_FALSE(device.commit());
  auto next = device.config;
  next.meters.push_back(meter("fax.sent", "fax-usd"));
  const Status refused = device.reload(next);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::full);
  EXPECT_EQ(device.report("fax.sent", "sub_1", "1").refusal, meter::Refusal::unknown_event);
}

TEST_F(ReloadTest, MovesAnUpstreamWithWhatWaitsForIt) {
  device.billing.script.assign(100,
                               upstream::TransportError{upstream::TransportError::Stage::connect, "down"});
  count("sms.sent", "5");
  ASSERT_TRUE(device.commit());
  ASSERT_TRUE(device.flush(true));
  device.clock->settle();
  ASSERT_THAT(device.outbox(), SizeIs(1));
  auto next = device.config;
  next.upstreams[0].host = "elsewhere.test";
  ASSERT_TRUE(device.reload(next));
  EXPECT_THAT(device.clients, Contains("elsewhere.test"));
  device.billing.script.clear();
  device.advance(Seconds(3'600));
  EXPECT_THAT(device.outbox(), IsEmpty());
  ASSERT_THAT(device.billing.records, SizeIs(1));
  EXPECT_GE(device.status().upstreams.at(0).state.delivered(), 1U);
}

TEST_F(ReloadTest, LeavesAnUpstreamAloneThatStaysWhereItIs) {
  ASSERT_THAT(device.clients, SizeIs(1));
  auto next = device.config;
  next.upstreams[0].seal = Seconds(60);
  ASSERT_TRUE(device.reload(next));
  EXPECT_THAT(device.clients, SizeIs(1)) << "no new connection";
  count("sms.sent", "5");
  ASSERT_TRUE(device.commit());
  device.advance(Seconds(121));
  EXPECT_THAT(device.billing.records, SizeIs(1)) << "and the new interval holds";
}

TEST_F(ReloadTest, KeepsTheUsagesOfAnUpstreamThatGoesAndSendsThemWhenItComesBack) {
  const auto before = device.config;
  count("sms.sent", "5");
  auto next = device.config;
  next.upstreams[0].name = UpstreamName("other");
  for (auto& one : next.meters) one.upstream = UpstreamName("other");
  ASSERT_TRUE(device.reload(next));
  device.advance(Seconds(7'200));
  EXPECT_THAT(device.billing.records, IsEmpty()) << "it waits in its bucket";
  ASSERT_TRUE(device.reload(before));
  device.advance(Seconds(7'200));
  EXPECT_THAT(device.billing.records, SizeIs(1));
}

TEST_F(ReloadTest, ShowsWhatIsLeftOfAnUpstreamThatGoes) {
  const auto before = device.config;
  count("sms.sent", "5");
  auto next = device.config;
  next.upstreams[0].name = UpstreamName("other");
  for (auto& one : next.meters) one.upstream = UpstreamName("other");
  ASSERT_TRUE(device.reload(next));
  EXPECT_THAT(device.log.text,
              HasSubstr("event=upstream_gone upstream=billing open_buckets=1 waiting=0 do="));
  const auto status = device.status();
  ASSERT_THAT(status.upstreams, SizeIs(2));
  EXPECT_EQ(status.upstreams[0].name, "billing");
  EXPECT_FALSE(status.upstreams[0].configured);
  EXPECT_EQ(status.upstreams[0].open_buckets, 1U);
  EXPECT_TRUE(status.upstreams[1].configured);
  ASSERT_THAT(status.attention, SizeIs(1));
  EXPECT_EQ(status.attention[0].what, "1 buckets are open for billing, which is not configured");
  ASSERT_TRUE(device.reload(before));
  EXPECT_THAT(device.status().attention, IsEmpty());
}

TEST_F(ReloadTest, SaysNothingOfAnUpstreamThatGoesAndHasNothing) {
  auto next = device.config;
  next.upstreams[0].name = UpstreamName("other");
  for (auto& one : next.meters) one.upstream = UpstreamName("other");
  ASSERT_TRUE(device.reload(next));
  EXPECT_THAT(device.log.text, Not(HasSubstr("upstream_gone")));
}

TEST_F(ReloadTest, AFlushSealsForOthersWhatItCannotSealForAnUpstreamThatIsGone) {
  count("sms.sent", "5");
  auto next = device.config;
  next.upstreams[0].name = UpstreamName("other");
  for (auto& one : next.meters) one.upstream = UpstreamName("other");
  ASSERT_TRUE(device.reload(next));
  count("sms.sent", "7");
  ASSERT_TRUE(device.commit());
  const Status flushed = device.flush(true);
  ASSERT_FALSE(flushed);
  EXPECT_THAT(flushed.error().message, HasSubstr("billing is not configured"));
  device.clock->settle();
  EXPECT_THAT(device.billing.records, SizeIs(1)) << "the other's was sealed and is sent at once";
}

TEST_F(ReloadTest, GivesABytesSourceAnotherSubscriptionWithoutCountingAByteTwice) {
  auto next = device.config;
  source::InterfaceRule source{"wwan0", EventName("data.bytes"), SubscriptionId("sub_1"), "both"};
  next.sources = {source};
  device.links.links["wwan0"] = {7, 1'000, 0};
  ASSERT_TRUE(device.reload(next));
  device.advance(Seconds(11));
  device.links.links["wwan0"].rx_bytes += 50;  // not harvested yet
  source.subscription = SubscriptionId("sub_2");
  next.sources = {source};
  ASSERT_TRUE(device.reload(next));
  device.links.links["wwan0"].rx_bytes += 8;
  device.advance(Seconds(11));
  EXPECT_EQ(accepted("sub_1", "data-usd"), "50");
  EXPECT_EQ(accepted("sub_2", "data-usd"), "8");
  ASSERT_EQ(device.status().sources.size(), 1U);
  EXPECT_EQ(device.status().sources[0].name, "interface:wwan0:data.bytes");
}

TEST_F(ReloadTest, SealsWhatHasAnUpstreamBehindManyThatHaveNone) {
  auto both = device.config;
  both.upstreams.push_back(both.upstreams[0]);
  both.upstreams[1].name = UpstreamName("a-second");
  both.meters.push_back(meter("fax.sent", "fax-usd", "a-second"));
  ASSERT_TRUE(device.reload(both));
  for (int i = 0; i < 100; ++i) count("fax.sent", "1", ("sub-" + std::to_string(i)).c_str());
  count("sms.sent", "5");
  ASSERT_TRUE(device.commit());
  ASSERT_TRUE(device.reload(device.config)) << "a-second has gone";
  EXPECT_FALSE(device.flush(true)) << "it says that some cannot be sealed";
  device.clock->settle();
  EXPECT_THAT(device.billing.records, SizeIs(1));
  device.advance(Seconds(2 * 3'600));
  ASSERT_TRUE(device.reload(both));
  device.advance(Seconds(2 * 3'600));
  EXPECT_THAT(device.billing.records, SizeIs(101));
}

TEST_F(ReloadTest, TakesUpAnotherInterval) {
  auto next = device.config;
  next.commit_interval = Milliseconds(1'000);
  ASSERT_TRUE(device.reload(next));
  count("sms.sent", "5");
  device.advance(Milliseconds(1'100));
  EXPECT_EQ(accepted("sub_1", "sms-usd"), "5");
  EXPECT_EQ(device.status().commit_interval, Milliseconds(1'000));
}

TEST_F(ReloadTest, IsRefusedOnceTheDaemonStops) {
  ASSERT_TRUE(device.shut_down());
  const Status refused = device.reload(device.config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::cancelled);
}

}  // namespace
}  // namespace meterd::testing
