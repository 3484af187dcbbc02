// The whole core under a virtual clock: the promises that need more than one part to keep.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/core_fixture.hpp"

namespace meterd::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using upstream::TransportError;

TEST_F(CoreTest, CountsSealsAndDeliversExactly) {
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(device.report("sms.sent", "sub_1", "0.1").refusal);
  ASSERT_TRUE(device.commit());
  device.advance(Seconds(1'000));
  ASSERT_THAT(device.billing.records, SizeIs(1));
  EXPECT_EQ(billed("sms-usd").text(), "1");
  EXPECT_THAT(device.outbox(), IsEmpty());
  expect_balanced();
}

TEST_F(CoreTest, AnIdleDaemonWritesNothingForAnHour) {
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "1").refusal);
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "1", "with an id").refusal);
  ASSERT_TRUE(device.commit());
  device.advance(Seconds(1'800));  // sealed and delivered
  const auto commits = device.core->committer().stats().commits;
  const auto reads = device.journal->reads();
  device.advance(Seconds(3'600));
  EXPECT_EQ(device.core->committer().stats().commits, commits);
  EXPECT_EQ(device.journal->reads(), reads);  // a read marks LMDB's lock page, which the kernel writes
}

TEST_F(CoreTest, ReceivedEventsWaitForTheIntervalAndCommittedOnesDoNot) {
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "1").refusal);
  EXPECT_THAT(device.balances(), IsEmpty());
  device.advance(Seconds(9));
  EXPECT_THAT(device.balances(), IsEmpty());
  device.advance(Seconds(2));
  EXPECT_THAT(device.balances(), SizeIs(1));
  ASSERT_FALSE(device.report("data.bytes", "sub_1", "1").refusal);
  ASSERT_TRUE(device.commit());
  EXPECT_THAT(device.balances(), SizeIs(2));
}

TEST_F(CoreTest, ACrashLosesNothingCommittedAndAtMostTheWindow) {
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "5").refusal);
  ASSERT_TRUE(device.commit());
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "2").refusal);
  restart();
  ASSERT_THAT(device.balances(), SizeIs(1));
  EXPECT_EQ(device.balances()[0].balance.accepted.text(), "5");
  expect_balanced();
}

TEST_F(CoreTest, AnEventIdCountsOnceAcrossACrash) {
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "5", "id-1").refusal);
  ASSERT_TRUE(device.commit());
  restart();
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "5", "id-1").refusal);
  ASSERT_TRUE(device.commit());
  EXPECT_EQ(device.balances()[0].balance.accepted.text(), "5");
}

TEST_F(CoreTest, ALostAnswerIsFoundAgainAndBilledOnce) {
  device.billing.apply_then_lose = true;
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "3").refusal);
  ASSERT_TRUE(device.commit());
  device.advance(Seconds(2'000));
  EXPECT_EQ(billed("sms-usd").text(), "3");
  EXPECT_THAT(device.outbox(), IsEmpty());
  ASSERT_GE(device.billing.bodies.size(), 2U);
  EXPECT_EQ(device.billing.bodies[0], device.billing.bodies[1]);  // a retry is byte-identical
  expect_balanced();
}

TEST_F(CoreTest, ACrashBetweenIntentAndReceiptSendsTheSameBytesAgain) {
  device.billing.apply_then_lose = true;
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "3").refusal);
  ASSERT_TRUE(device.commit());
  ASSERT_TRUE(device.flush(true));
  device.clock->settle();
  ASSERT_THAT(device.outbox(), SizeIs(1));
  const auto before = device.outbox()[0].record;
  restart();
  EXPECT_EQ(device.outbox()[0].record.id(), before.id());
  EXPECT_EQ(device.outbox()[0].record.usage_date(), before.usage_date());
  EXPECT_EQ(device.outbox()[0].record.request().SerializeAsString(), before.request().SerializeAsString());
  device.advance(Seconds(2'000));
  EXPECT_EQ(billed("sms-usd").text(), "3");
  EXPECT_THAT(device.outbox(), IsEmpty());
}

TEST_F(CoreTest, ATakenDateMovesTheQuantityToTheNextRevision) {
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "3").refusal);
  ASSERT_TRUE(device.commit());
  device.billing.script.push_back(TransportError{TransportError::Stage::connect, "refused"});
  ASSERT_TRUE(device.flush(true));
  device.clock->settle();
  ASSERT_THAT(device.outbox(), SizeIs(1));
  const auto first = device.outbox()[0].record;
  device.billing.records["of-another-gateway"] = {"sub_1", "sms-usd", std::to_string(first.usage_date()),
                                                  "7"};
  device.advance(Seconds(3'600));
  EXPECT_EQ(billed("sms-usd").text(), "10");
  ASSERT_THAT(device.billing.records, SizeIs(2));
  for (const auto& [id, record] : device.billing.records)
    if (id != "of-another-gateway") {
      EXPECT_NE(id, first.id());
      EXPECT_NE(record.usage_date, std::to_string(first.usage_date()));
    }
  expect_balanced();
}

TEST_F(CoreTest, AConflictUnderOurIdIsParkedAndShown) {
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "3").refusal);
  ASSERT_TRUE(device.commit());
  device.billing.script.push_back(TransportError{TransportError::Stage::connect, "refused"});
  ASSERT_TRUE(device.flush(true));
  device.clock->settle();
  const auto record = device.outbox()[0].record;
  device.billing.records[record.id()] = {"sub_1", "sms-usd", std::to_string(record.usage_date()), "4"};
  device.advance(Seconds(3'600));
  ASSERT_THAT(device.outbox(), SizeIs(1));
  EXPECT_EQ(journal::state_of(device.outbox()[0].record), journal::UsageState::parked);
  EXPECT_THAT(device.status().attention, SizeIs(1));
  expect_balanced();
}

TEST_F(CoreTest, ADayWithoutNetworkLosesNothingAndAsksAtMostEveryQuarterOfAnHour) {
  for (int i = 0; i < 500; ++i)
    device.billing.script.push_back(TransportError{TransportError::Stage::connect, "no route"});
  for (int hour = 0; hour < 24; ++hour) {
    ASSERT_FALSE(device.report("sms.sent", "sub_1", "1").refusal);
    ASSERT_TRUE(device.commit());
    device.advance(Seconds(3'600));
  }
  EXPECT_THAT(device.billing.records, IsEmpty());
  const auto attempts = device.billing.bodies.size();
  EXPECT_GE(attempts, 24U * 4U);   // it keeps asking
  EXPECT_LE(attempts, 24U * 40U);  // full jitter: on average half of the cap, never a storm
  device.billing.script.clear();
  device.advance(Seconds(3'600));
  EXPECT_EQ(billed("sms-usd").text(), "24");
  EXPECT_THAT(device.outbox(), IsEmpty());
  expect_balanced();
}

TEST_F(CoreTest, UnauthorisedKeepsTheDataAndGoesOnWhenTheKeyIsRight) {
  for (int i = 0; i < 3; ++i) device.billing.script.push_back(vendor_error(401, "api_authentication_failed"));
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "1").refusal);
  ASSERT_TRUE(device.commit());
  ASSERT_TRUE(device.flush(true));
  device.clock->settle();
  EXPECT_TRUE(device.status().upstreams[0].state.unauthorised());
  device.advance(Seconds(6 * 3'600));
  EXPECT_EQ(billed("sms-usd").text(), "1");
  EXPECT_FALSE(device.status().upstreams[0].state.unauthorised());
}

TEST_F(CoreTest, FlushClearsBackoffButNeverARetryAfter) {
  auto throttled = vendor_error(429, "api_request_limit_exceeded");
  throttled.headers.emplace_back("retry-after", "600");
  device.billing.script.push_back(throttled);
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "1").refusal);
  ASSERT_TRUE(device.commit());
  ASSERT_TRUE(device.flush(true));
  device.clock->settle();
  const auto attempts = device.billing.bodies.size();
  ASSERT_TRUE(device.flush(false));
  device.advance(Seconds(590));
  EXPECT_EQ(device.billing.bodies.size(), attempts);
  device.advance(Seconds(20));
  EXPECT_EQ(device.billing.bodies.size(), attempts + 1);
  EXPECT_EQ(billed("sms-usd").text(), "1");
}

TEST_F(CoreTest, APoisonedUsageDoesNotKeepTheOthersBack) {
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "1").refusal);
  ASSERT_FALSE(device.report("sms.sent", "sub_2", "2").refusal);
  ASSERT_TRUE(device.commit());
  device.billing.script.push_back(vendor_error(500, "internal_error"));
  ASSERT_TRUE(device.flush(true));
  for (int i = 0; i < 1'000 && device.billing.records.empty(); ++i) device.advance(Milliseconds(10));
  ASSERT_THAT(device.billing.records, SizeIs(1));
  EXPECT_EQ(device.billing.records.begin()->second.subscription, "sub_2");  // it overtook the one that failed
  device.advance(Seconds(60));
  EXPECT_THAT(device.billing.records, SizeIs(2));
}

TEST_F(CoreTest, ManyPoisonedUsagesDoNotStarveTheOthers) {
  // Every create of sub_bad fails, for ever; sub_good comes later.
  device.billing.poisoned = "sub_bad";
  for (int i = 0; i < 6; ++i) {
    ASSERT_FALSE(device.report("sms.sent", "sub_bad", "1").refusal);
    ASSERT_TRUE(device.commit());
    ASSERT_TRUE(device.flush(true));
    device.advance(Seconds(1));
  }
  device.advance(Seconds(4 * 3'600));  // all of them are delayed, and one is always due
  ASSERT_FALSE(device.report("sms.sent", "sub_good", "2").refusal);
  ASSERT_TRUE(device.commit());
  device.advance(Seconds(3 * 3'600));
  ASSERT_THAT(device.billing.records, SizeIs(1));
  EXPECT_EQ(device.billing.records.begin()->second.subscription, "sub_good");
  EXPECT_THAT(device.outbox(), SizeIs(6));
  expect_balanced();
}

TEST_F(CoreTest, LateEventsAreTheDaysNextRevisionWithAnotherIdAndSecond) {
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "1").refusal);
  ASSERT_TRUE(device.commit());
  ASSERT_TRUE(device.flush(true));
  device.clock->settle();
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "2").refusal);
  ASSERT_TRUE(device.commit());
  ASSERT_TRUE(device.flush(true));
  device.clock->settle();
  ASSERT_THAT(device.billing.records, SizeIs(2));
  EXPECT_NE(device.billing.records.begin()->second.usage_date,
            device.billing.records.rbegin()->second.usage_date);
  EXPECT_EQ(billed("sms-usd").text(), "3");
}

TEST_F(CoreTest, ABucketThatWouldOutgrowFortyCharactersIsSealedFirst) {
  const std::string large(40, '9');
  ASSERT_FALSE(device.report("sms.sent", "sub_1", large).refusal);
  ASSERT_TRUE(device.commit());
  ASSERT_FALSE(device.report("sms.sent", "sub_1", large).refusal);
  ASSERT_TRUE(device.commit());
  ASSERT_TRUE(device.flush(true));
  device.advance(Seconds(10));
  EXPECT_EQ(billed("sms-usd"), *Quantity::parse(large) + *Quantity::parse(large));
  expect_balanced();
}

TEST_F(CoreTest, WhatIsCountedUnderAnUntrustedClockIsDatedByTheTrustedOne) {
  device.clock->set_trusted(false);
  device.clock->set_wall(WallTime::from_seconds(0));  // 1970
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "4").refusal);
  ASSERT_TRUE(device.commit());
  EXPECT_THAT(device.balances(), IsEmpty());
  EXPECT_FALSE(device.flush(true));  // nothing can be dated yet
  device.advance(Seconds(2 * 86'400));
  // The true time arrives: the event happened two days before.
  device.clock->set_wall(WallTime::from_seconds(1'800'000'000));
  device.clock->set_trusted(true);
  device.advance(Seconds(60));
  ASSERT_THAT(device.balances(), SizeIs(1));
  EXPECT_EQ(device.balances()[0].key.day,
            meter::TimeZone().day_of(WallTime::from_seconds(1'800'000'000 - 2 * 86'400)));
  device.advance(Seconds(2'000));
  EXPECT_EQ(billed("sms-usd").text(), "4");
  expect_balanced();
}

TEST_F(CoreTest, InterfaceBytesCountOnceThroughACrash) {
  device.crash();
  device.config.sources.push_back(
      source::InterfaceRule{"wwan0", EventName("data.bytes"), SubscriptionId("sub_1"), "both"});
  device.links.links["wwan0"] = {3, 1'000, 500};
  device.start();
  device.advance(Seconds(11));  // the first sight is the starting point
  device.links.links["wwan0"] = {3, 1'700, 800};
  device.advance(Seconds(11));
  restart();
  device.links.links["wwan0"] = {3, 2'000, 800};
  device.advance(Seconds(11));
  ASSERT_THAT(device.balances(), SizeIs(1));
  EXPECT_EQ(device.balances()[0].balance.accepted.text(), "1300");
}

TEST_F(CoreTest, APoliteEndCommitsWhatWasReceived) {
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "6").refusal);
  EXPECT_TRUE(device.shut_down());
  restart();
  ASSERT_THAT(device.balances(), SizeIs(1));
  EXPECT_EQ(device.balances()[0].balance.accepted.text(), "6");
}

TEST_F(CoreTest, WithoutAnUpstreamTheDeviceIsItsOwnLedger) {
  device.crash();
  device.config.upstreams.clear();
  for (auto& meter : device.config.meters) meter.upstream = UpstreamName(app::kLedger);
  device.start();
  ASSERT_FALSE(device.report("sms.sent", "sub_1", "6").refusal);
  ASSERT_TRUE(device.commit());
  ASSERT_TRUE(device.flush(true));
  device.clock->settle();
  ASSERT_THAT(device.balances(), SizeIs(1));
  EXPECT_EQ(device.balances()[0].balance.delivered.text(), "6");
  EXPECT_THAT(device.outbox(), IsEmpty());
}

}  // namespace
}  // namespace meterd::testing
