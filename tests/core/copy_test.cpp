// A journal that is a copy: what the original did after the copy was taken, and that nothing is billed twice.
#include "agent/journal/lock.hpp"
#include "tests/core/core_fixture.hpp"

namespace meterd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// `device` is the original; the copy is another device with the same configuration, upstream and time.
class CopyTest : public CoreTest {
 protected:
  void count(Device& at, const std::string& quantity) {
    ASSERT_FALSE(at.report("sms.sent", "sub_1", quantity).refusal);
    ASSERT_TRUE(at.commit());
  }
  // The upstream takes nothing; what is looked for there is found.
  void refuse_creates(bool refuse) { device.billing.poisoned = refuse ? "sub_1" : ""; }
  void back_up() { device.back_up(copy_path()); }
  std::string copy_path() const { return other_directory_.path() + "/copy"; }

  // The copy takes over where the original is now, or then.
  Device& start_copy(std::optional<WallTime> then = std::nullopt) {
    copy_ = std::make_unique<Device>(small_config(copy_path()));
    copy_->billing = device.billing;
    copy_->clock->set_wall(then.value_or(device.clock->wall().time));
    copy_->clock->set_boot(device.clock->boot());
    copy_->start();
    return *copy_;
  }
  Quantity billed_by(const Device& at) const {
    Quantity sum;
    for (const auto& [id, record] : at.billing.records) sum += *Quantity::parse(record.quantity);
    return sum;
  }
  std::vector<std::string> states(Device& at) {
    std::vector<std::string> out;
    for (const auto& stored : at.outbox())
      out.emplace_back(journal::name_of(journal::state_of(stored.record)));
    return out;
  }
  void expect_sound(Device& at) {
    EXPECT_THAT(at.verify().problems, IsEmpty());
    EXPECT_EQ(at.core->committer().stats().conservation_errors, 0U);
  }
  static bool is_held(Device& at) { return at.status().upstreams.at(0).held; }

  TempDirectory other_directory_;
  std::unique_ptr<Device> copy_;
};

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

TEST_F(CopyTest, ACopyOfACopyHoldsAgainAndBillsOnce) {
  count(device, "5");
  back_up();
  auto& first = start_copy();
  count(first, "2");  // held: 5 came with it, 2 are its own
  const auto path = other_directory_.path() + "/second";
  first.back_up(path);
  ASSERT_TRUE(first.reconcile().ok());
  first.advance(Seconds(2'000));
  ASSERT_EQ(billed_by(first).text(), "7");

  Device second(small_config(path));
  second.billing = first.billing;
  second.clock->set_wall(first.clock->wall().time);
  second.start();
  EXPECT_EQ(second.journal->lineage().copies, 2U);
  count(second, "1");
  ASSERT_TRUE(second.reconcile().ok());
  second.advance(Seconds(2'000));
  EXPECT_EQ(billed_by(second).text(), "8");
  EXPECT_THAT(second.outbox(), IsEmpty());
  EXPECT_THAT(second.verify().problems, IsEmpty());
}

TEST_F(CopyTest, ReconcilingIsAudited) {
  count(device, "5");
  back_up();
  auto& copy = start_copy();
  ASSERT_TRUE(copy.reconcile().ok());
  auto txn = copy.journal->begin_read();
  ASSERT_TRUE(txn.ok());
  const auto record = txn->get(journal::audit_key(0));
  ASSERT_TRUE(record.ok() && record->has_value());
  EXPECT_THAT(std::string(**record), HasSubstr("reconciled"));
}

TEST_F(CopyTest, InterfaceBytesOfTheOriginalsTimeAreNotCountedAgain) {
  device.crash();
  device.config.interfaces.push_back({"wwan0", EventName("data.bytes"), SubscriptionId("sub_1"), "both"});
  device.links.links["wwan0"] = {1, 100, 0};
  device.start();
  device.advance(Seconds(20));
  device.links.links["wwan0"] = {1, 600, 0};
  device.advance(Seconds(20));
  back_up();
  device.links.links["wwan0"] = {1, 1'600, 0};
  device.advance(Seconds(2'000));
  ASSERT_EQ(billed("data-usd").text(), "1500");
  copy_ = std::make_unique<Device>(device.config);
  copy_->config.journal_directory = copy_path();
  copy_->billing = device.billing;
  copy_->clock->set_wall(device.clock->wall().time);
  copy_->links.links["wwan0"] = {1, 1'700, 0};  // the same counter, the same boot
  copy_->start();
  copy_->advance(Seconds(20));
  ASSERT_TRUE(copy_->reconcile().ok());
  copy_->links.links["wwan0"] = {1, 1'750, 0};
  copy_->advance(Seconds(2'000));
  EXPECT_EQ(billed_by(*copy_).text(), "1550");
}

TEST_F(CopyTest, TheLedgerOfACopyIsItsOwnAndIsNotHeld) {
  device.crash();
  device.config.upstreams.clear();
  for (auto& meter : device.config.meters) meter.upstream = UpstreamName("ledger");
  device.start();
  count(device, "5");
  back_up();
  copy_ = std::make_unique<Device>(device.config);
  copy_->config.journal_directory = copy_path();
  copy_->start();
  EXPECT_FALSE(is_held(*copy_));
  copy_->advance(Seconds(2 * 86'400));
  EXPECT_EQ(copy_->balances().at(0).balance.delivered.text(), "5");
}

// The control: a copy that passes for the original takes the original's usage for its own receipt.
TEST_F(CopyTest, WithoutTheHoldWhatTheCopyCountedWouldBeLost) {
  count(device, "5");
  back_up();
  const auto then = device.clock->wall().time;
  count(device, "3");
  device.advance(Seconds(1'000));
  auto identity = journal::identify(copy_path() + "/data.mdb");
  ASSERT_TRUE(identity.ok());
  identity->epoch = journal::hex_of(device.journal->epoch());
  {
    auto lock = journal::DirectoryLock::take(copy_path());
    ASSERT_TRUE(lock.ok());
    ASSERT_TRUE(lock->write({true, false, *identity}));
  }
  auto& copy = start_copy(then);
  ASSERT_FALSE(is_held(copy));
  count(copy, "3");
  copy.advance(Seconds(2'000));
  EXPECT_EQ(billed_by(copy).text(), "8");  // of 11
  EXPECT_THAT(copy.outbox(), IsEmpty());   // and nobody is told
}

}  // namespace
}  // namespace meterd::testing
