// A journal that is a copy: what the original did after the copy was taken, and that nothing is billed twice.
#include "tests/core/copy_fixture.hpp"

namespace meterd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(CopyTest, CountsAndSealsButSendsNothingUntilItIsReconciled) {
  count(device, "5");
  back_up();
  auto& copy = start_copy();
  count(copy, "2");
  copy.advance(Seconds(2'000));
  EXPECT_TRUE(is_held(copy));
  EXPECT_THAT(copy.status().attention, ::testing::Not(IsEmpty()));
  EXPECT_THAT(copy.billing.bodies, IsEmpty());
  EXPECT_THAT(states(copy), ElementsAre("waiting", "waiting"));  // what came with it, and its own
  ASSERT_TRUE(copy.flush(true));
  copy.advance(Seconds(2'000));
  EXPECT_THAT(copy.billing.bodies, IsEmpty());

  const auto done = copy.reconcile();
  ASSERT_TRUE(done.ok());
  EXPECT_FALSE(done->held);
  EXPECT_FALSE(is_held(copy));
  copy.advance(Seconds(2'000));
  EXPECT_EQ(billed_by(copy).text(), "7");
  EXPECT_THAT(copy.status().attention, IsEmpty());
  expect_sound(copy);
}

TEST_F(CopyTest, AnOriginalIsNotHeld) {
  restart();
  EXPECT_FALSE(is_held(device));
  EXPECT_EQ(device.journal->lineage().copies, 0U);
}

TEST_F(CopyTest, IsHeldAgainAfterARestartAndNotOnceItIsReconciled) {
  count(device, "5");
  back_up();
  auto& copy = start_copy();
  copy.crash();
  copy.start();
  EXPECT_TRUE(is_held(copy));
  EXPECT_EQ(copy.journal->lineage().copies, 1U);  // it is the same copy
  ASSERT_TRUE(copy.reconcile().ok());
  copy.crash();
  copy.start();
  EXPECT_FALSE(is_held(copy));
}

TEST_F(CopyTest, WhatWaitedAndWasDeliveredByTheOriginalGetsItsReceipt) {
  refuse_creates(true);
  count(device, "5");
  device.advance(Seconds(1'000));
  back_up();
  refuse_creates(false);
  device.advance(Seconds(4'000));
  ASSERT_EQ(billed_by(device).text(), "5");
  auto& copy = start_copy();
  ASSERT_THAT(states(copy), ElementsAre("waiting"));
  const auto done = copy.reconcile();
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->delivered, 1U);
  EXPECT_THAT(copy.outbox(), IsEmpty());
  copy.advance(Seconds(4'000));
  EXPECT_EQ(billed_by(copy).text(), "5");
  expect_sound(copy);
}

TEST_F(CopyTest, WhatWaitedAndWasNeverDeliveredIsSentOnce) {
  refuse_creates(true);
  count(device, "5");
  device.advance(Seconds(1'000));
  back_up();
  refuse_creates(false);
  auto& copy = start_copy();
  const auto done = copy.reconcile();
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->waiting, 1U);
  copy.advance(Seconds(4'000));
  EXPECT_EQ(billed_by(copy).text(), "5");
  expect_sound(copy);
}

TEST_F(CopyTest, WhatWasOpenAndBilledByTheOriginalAsPartOfMoreIsNotBilledAgain) {
  count(device, "5");
  back_up();
  count(device, "3");
  device.advance(Seconds(1'000));
  ASSERT_EQ(billed_by(device).text(), "8");
  auto& copy = start_copy();
  count(copy, "2");  // before it is reconciled
  const auto done = copy.reconcile();
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->delivered, 1U);
  count(copy, "1");  // and after
  copy.advance(Seconds(2'000));
  EXPECT_EQ(billed_by(copy).text(), "11");
  EXPECT_THAT(copy.outbox(), IsEmpty());
  EXPECT_EQ(copy.balances().at(0).balance.delivered.text(), "8");  // its own: 5 + 2 + 1
  expect_sound(copy);
}

TEST_F(CopyTest, TheReceiptOfWhatIsContainedNamesTheWhole) {
  count(device, "5");
  back_up();
  count(device, "3");
  device.advance(Seconds(1'000));
  auto& copy = start_copy();
  ASSERT_TRUE(copy.reconcile().ok());
  const auto id = device.billing.records.begin()->first;
  const auto stored = journal::read_usage(*copy.journal, UsageId(id));
  ASSERT_TRUE(stored.ok() && stored->has_value());
  EXPECT_EQ((*stored)->record.quantity(), "5");
  EXPECT_THAT((*stored)->record.receipt(), HasSubstr("billed_before_as_part_of=8"));
}

TEST_F(CopyTest, WhatWasOpenAndBilledExactlySoIsNotBilledAgain) {
  count(device, "5");
  back_up();
  device.advance(Seconds(1'000));
  auto& copy = start_copy();
  ASSERT_TRUE(copy.reconcile().ok());
  copy.advance(Seconds(2'000));
  EXPECT_EQ(billed_by(copy).text(), "5");
  expect_sound(copy);
}

// The original is not dead: both have 5 open, and only one may bill it.
TEST_F(CopyTest, AnOriginalThatGoesOnCannotBillWhatTheCopyHasBilled) {
  count(device, "5");
  back_up();
  auto& copy = start_copy();
  ASSERT_TRUE(copy.reconcile().ok());
  count(copy, "2");
  copy.advance(Seconds(2'000));
  ASSERT_EQ(billed_by(copy).text(), "7");
  device.billing = copy.billing;
  count(device, "3");
  device.advance(Seconds(2'000));
  EXPECT_EQ(billed_by(device).text(), "7");
  EXPECT_THAT(states(device), ElementsAre("parked"));  // 8, shown to an operator
}

TEST_F(CopyTest, ADayThatTheCopyDoesNotKnowGetsIdsOfItsOwn) {
  count(device, "5");
  device.advance(Seconds(1'000));
  back_up();
  device.advance(Seconds(86'400));
  count(device, "4");
  device.advance(Seconds(1'000));
  ASSERT_EQ(billed_by(device).text(), "9");
  auto& copy = start_copy();
  ASSERT_TRUE(copy.reconcile().ok());
  count(copy,
        "4");  // the same day, the same quantity: the same revision would take the original's as its receipt
  copy.advance(Seconds(2'000));
  EXPECT_EQ(billed_by(copy).text(), "13");
  EXPECT_THAT(copy.outbox(), IsEmpty());
  expect_sound(copy);
}

TEST_F(CopyTest, WhatTheOriginalSupersededIsInDoubtAndNotBilledAgain) {
  refuse_creates(true);
  count(device, "5");
  device.advance(Seconds(1'000));
  const auto usage = device.outbox().at(0).record;
  back_up();
  // Another has the date; the original takes the next second, under its next revision.
  device.billing.records["another"] = {"sub_1", "sms-usd", std::to_string(usage.usage_date()), "1"};
  refuse_creates(false);
  device.advance(Seconds(8'000));
  ASSERT_EQ(billed_by(device).text(), "6");
  auto& copy = start_copy();
  const auto done = copy.reconcile();
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->in_doubt, 1U);
  ASSERT_THAT(states(copy), ElementsAre("in_doubt"));
  EXPECT_THAT(copy.outbox().at(0).record.last_error(), HasSubstr("5 under a later revision"));
  copy.advance(Seconds(8'000));
  EXPECT_EQ(billed_by(copy).text(), "6");
  expect_sound(copy);
}

TEST_F(CopyTest, StaysHeldWhileTheUpstreamCannotBeAskedAndGoesOnLater) {
  count(device, "5");
  back_up();
  auto& copy = start_copy();
  copy.billing.script.emplace_back(
      upstream::TransportError{upstream::TransportError::Stage::connect, "no route to host"});
  auto done = copy.reconcile();
  ASSERT_TRUE(done.ok());
  EXPECT_TRUE(done->held);
  EXPECT_THAT(done->error, HasSubstr("no route"));
  copy.advance(Seconds(2'000));
  EXPECT_TRUE(is_held(copy));
  EXPECT_THAT(copy.billing.bodies, IsEmpty());
  done = copy.reconcile();
  ASSERT_TRUE(done.ok());
  EXPECT_FALSE(done->held);
  copy.advance(Seconds(2'000));
  EXPECT_EQ(billed_by(copy).text(), "5");
}

// The ids of what the original billed follow from its device's id.
TEST_F(CopyTest, StaysHeldOnADeviceWithAnotherId) {
  count(device, "5");
  back_up();
  device.advance(Seconds(1'000));
  auto& copy = start_copy();
  copy.crash();
  copy.config.device_id = DeviceId("gw-0043");
  copy.start();
  auto done = copy.reconcile();
  ASSERT_TRUE(done.ok());
  EXPECT_TRUE(done->held);
  EXPECT_THAT(done->error, HasSubstr("[device] id"));
  copy.crash();
  copy.config.device_id = DeviceId("gw-0042");
  copy.start();
  done = copy.reconcile();
  ASSERT_TRUE(done.ok());
  EXPECT_FALSE(done->held);
  copy.advance(Seconds(2'000));
  EXPECT_EQ(billed_by(copy).text(), "5");
}

TEST_F(CopyTest, IsHeldUntilTheClockCanDateWhatWasOpen) {
  count(device, "5");
  back_up();
  auto& copy = start_copy();
  copy.clock->set_trusted(false);
  const auto done = copy.reconcile();
  ASSERT_TRUE(done.ok());
  EXPECT_TRUE(done->held);
  EXPECT_THAT(done->error, HasSubstr("clock"));
}

}  // namespace
}  // namespace meterd::testing
