// Copies of copies, ledgers, counters, upstreams that cannot be asked; and a copy that is not recognised.
#include "agent/journal/source_records.hpp"
#include "tests/core/copy_fixture.hpp"

namespace meterd::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

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
  device.config.sources.push_back(
      source::InterfaceRule{"wwan0", EventName("data.bytes"), SubscriptionId("sub_1"), "both"});
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
  const auto gaps = copy_->status().sources.at(0).gaps;
  ASSERT_EQ(gaps.recent_size(), 1) << "told once";
  EXPECT_EQ(gaps.recent(0).reason(), journal::kPutBack);
  EXPECT_EQ(gaps.recent(0).lost_max(), "1100");
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

// An upstream that cannot be asked.
class NoReadBack final : public upstream::Upstream {
 public:
  upstream::Traits traits() const override { return {}; }
  bool made(const upstream::HttpRequest&) const override { return true; }
  upstream::HttpRequest encode_create(const meter::Usage& usage) const override {
    return {"POST", "/" + usage.id.value(), {}, {}};
  }
  upstream::HttpRequest encode_retrieve(const meter::Usage&) const override {
    ADD_FAILURE() << "it was asked";
    return {};
  }
  upstream::Verdict judge_create(const meter::Usage&, const upstream::Exchange&) const override { return {}; }
  upstream::ReadBack judge_retrieve(const meter::Usage&, const upstream::Exchange&) const override {
    return {};
  }
  upstream::HttpRequest encode_delete(const meter::Usage&, const std::string&) const override { return {}; }
  upstream::HttpRequest encode_probe(const SubscriptionId&) const override { return {}; }
  upstream::Diagnosis judge_probe(const SubscriptionId&, const upstream::Exchange&) const override {
    return {};
  }
  upstream::Verdict judge_delete(const meter::Usage&, const upstream::Exchange&) const override { return {}; }
};

class NoClient final : public upstream::HttpClient {
 public:
  boost::asio::awaitable<upstream::Exchange> exchange(const upstream::HttpRequest&, bool) override {
    ADD_FAILURE() << "something was sent";
    co_return upstream::HttpResponse{};
  }
  void close() override {}
};

TEST_F(CopyTest, WhatCannotBeLookedUpIsInDoubtWhetherOrNotItWasEverSent) {
  refuse_creates(true);
  count(device, "5");
  device.advance(Seconds(1'000));  // sent, in vain
  count(device, "2");              // open
  back_up();
  auto& copy = start_copy();
  count(copy, "1");
  auto context = std::make_shared<flush::SealContext>();
  context->device = copy.config.device_id;
  context->epoch = copy.journal->epoch();
  const UpstreamName name("billing");
  const flush::Target target{name, std::make_shared<NoReadBack>(), meter::SealRule::with_defaults(900)};
  context->targets.emplace(name, target);
  const auto loop = copy.loop->get_executor();
  flush::Reconciler reconciler({context,
                                target,
                                std::make_unique<NoClient>(),
                                *copy.journal,
                                copy.core->committer(),
                                loop,
                                *copy.clock,
                                copy.log,
                                {name}});
  bool held = true;
  std::size_t in_doubt = 0;
  boost::asio::co_spawn(loop, reconciled(reconciler, held, in_doubt), boost::asio::detached);
  copy.clock->settle();
  EXPECT_FALSE(held);
  EXPECT_EQ(in_doubt, 2U);
  EXPECT_EQ(copy.balances().at(0).balance.in_doubt.text(), "7");
  EXPECT_EQ(copy.balances().at(0).balance.open.text(), "1");
  expect_sound(copy);
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
