// What apps add is counted once, whoever of them and us ends, and whenever.
#include <fcntl.h>

#include "tests/source/shared_counters_fixture.hpp"

namespace meterd::source {
namespace {

using ::testing::HasSubstr;

TEST_F(SharedCountersTest, CountsWhatAppsAdd) {
  App one(clients(), kUser);
  App other(clients(), kUser);
  one.hello();
  other.hello();
  auto* mine = one.counter("sms.sent", "sub_1");
  ASSERT_NE(mine, nullptr);
  mine->fetch_add(3);
  other.counter("sms.sent", "sub_1")->fetch_add(4);
  other.counter("sms.sent", "sub_2")->fetch_add(5);
  interval();
  mine->fetch_add(10);
  interval();
  EXPECT_EQ(counted(), "17");
  EXPECT_EQ(counted("sub_2"), "5");
  bench_.expect_sound();
}

TEST_F(SharedCountersTest, GivesTheSameCounterForTheSameName) {
  App app(clients(), kUser);
  app.hello();
  EXPECT_EQ(app.counter("sms.sent", "sub_1"), app.counter("sms.sent", "sub_1"));
  EXPECT_NE(app.counter("sms.sent", "sub_1"), app.counter("sms.sent", "sub_2"));
}

TEST_F(SharedCountersTest, GivesEachCounterACacheLineAndMoreMemoryWhenItIsFull) {
  App app(clients(), kUser);
  app.hello();
  for (int i = 0; i < 1'100; ++i) {
    auto* counter = app.counter("sms.sent", "sub_" + std::to_string(i));
    ASSERT_NE(counter, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(counter) % METERD_SLOT_BYTES, 0U);
    counter->fetch_add(1);
  }
  EXPECT_EQ(app.memory.size(), 2U);
  interval();
  EXPECT_EQ(bench_.open().size(), 1'100U);
}

TEST_F(SharedCountersTest, CountsEachUnitOnceThroughOurKill) {
  App app(clients(), kUser);
  app.hello();
  auto* counter = app.counter("sms.sent", "sub_1");
  counter->fetch_add(3);
  interval();
  counter->fetch_add(4);
  restart();  // before the next commit
  counter->fetch_add(5);
  EXPECT_EQ(counted(), "3");
  interval();
  EXPECT_EQ(counted(), "12");
  app.connect_again(clients());
  EXPECT_EQ(app.hello().kind, METERD_WELCOME) << "by the id that it has";
  EXPECT_EQ(app.counter("sms.sent", "sub_1"), counter);
  bench_.expect_sound();
}

TEST_F(SharedCountersTest, ReadsTheMemoryOfAnAppThatEndedToItsEndAndDropsIt) {
  auto app = std::make_unique<App>(clients(), kUser);
  app->hello();
  app->counter("sms.sent", "sub_1")->fetch_add(3);
  interval();
  app->counter("sms.sent", "sub_1")->fetch_add(4);
  app.reset();
  look();
  interval();
  EXPECT_EQ(counted(), "7");
  interval();
  interval();
  EXPECT_EQ(files(), 0U);
  EXPECT_EQ(cursors(), 0U) << "of memory that is gone";
  EXPECT_EQ(clients()->clients(), 0U);
}

TEST_F(SharedCountersTest, CountsTheEndOfAnAppOnceAtEachMomentOfOurKill) {
  for (int moment = 0; moment < 4; ++moment) {
    auto app = std::make_unique<App>(clients(), kUser);
    app->hello();
    app->counter("sms.sent", "sub_" + std::to_string(moment))->fetch_add(7);
    app.reset();
    if (moment > 0) look();
    for (int i = 0; i < moment; ++i) interval();
    restart();
    look();
    for (int i = 0; i < 4; ++i) interval();
    EXPECT_EQ(counted("sub_" + std::to_string(moment)), "7") << "killed after " << moment << " windows";
    EXPECT_EQ(files(), 0U);
    EXPECT_EQ(cursors(), 0U);
  }
}

TEST_F(SharedCountersTest, KeepsMemoryThatAnotherProcessStillWrites) {
  auto app = std::make_unique<App>(clients(), kUser);
  app->hello();
  auto* counter = app->counter("sms.sent", "sub_1");
  const auto* region = reinterpret_cast<const char*>(counter);
  const auto& given = app->memory.begin()->second;
  ASSERT_EQ(region, given.first);
  // A child of fork() has the mapping and no connection.
  auto* child = static_cast<std::atomic<std::uint64_t>*>(
      mmap(nullptr, METERD_REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, given.second.fd(), 0));
  app.reset();
  look();
  child->fetch_add(5);
  restart();
  look();
  child->fetch_add(6);
  interval();
  EXPECT_EQ(counted(), "11");
  munmap(child, METERD_REGION_BYTES);
  look();
  for (int i = 0; i < 3; ++i) interval();
  EXPECT_EQ(files(), 0U);
}

TEST_F(SharedCountersTest, KeepsWhatHasNoRoomUntilThereIsSome) {
  App app(clients(), kUser);
  app.hello();
  auto* counter = app.counter("sms.sent", "sub_1");
  bench_.batcher().set_above_watermark(true);
  counter->fetch_add(8);
  interval();
  EXPECT_EQ(counted(), "0");
  EXPECT_TRUE(clients()->holds_back());
  counter->fetch_add(1);
  bench_.batcher().set_above_watermark(false);
  interval();
  interval();
  EXPECT_EQ(counted(), "9");
  EXPECT_FALSE(clients()->holds_back());
  EXPECT_EQ(clients()->gaps().gaps(), 0U);
}

TEST_F(SharedCountersTest, KeepsWhatNoMeterTakesUntilOneDoesAndShowsItWhenTheAppEnds) {
  auto app = std::make_unique<App>(clients(), kUser);
  app->hello();
  auto* counter = app->counter("sms.sent", "sub_1");
  put_meters({test::meter_of("other", "sms-usd")});
  counter->fetch_add(8);
  interval();
  put_meters({test::meter_of("sms.sent", "sms-usd")});
  interval();
  interval();
  EXPECT_EQ(counted(), "8");
  put_meters({test::meter_of("other", "sms-usd")});
  counter->fetch_add(2);
  app.reset();
  look();
  for (int i = 0; i < 3; ++i) interval();
  EXPECT_EQ(reasons(), "no meter takes what an app that ended had counted: counters of user 1001: 2\n");
  EXPECT_EQ(files(), 0U);
}

// What waited is not new at the first reading after a start, whatever else of its page was counted just
// before.
TEST_F(SharedCountersTest, CountsAfterARestartWhatHadWaitedForItsMeter) {
  App app(clients(), kUser);
  app.hello();
  auto* waits = app.counter("sms.sent", "sub_1");
  put_meters({test::meter_of("sms.sent", "sms-usd"), test::meter_of("api.call", "calls-usd")});
  auto* goes_on = app.counter("api.call", "sub_1");
  put_meters({test::meter_of("api.call", "calls-usd")});
  for (int i = 0; i < 10; ++i) {
    waits->fetch_add(900'000);
    goes_on->fetch_add(1);
    interval();
  }
  restart();
  put_meters({test::meter_of("sms.sent", "sms-usd"), test::meter_of("api.call", "calls-usd")});
  interval();
  EXPECT_EQ(counted(), "9000000");
  EXPECT_EQ(clients()->gaps().gaps(), 0U);
}

TEST_F(SharedCountersTest, ForgetsTheCursorsOfMemoryThatABootTookAway) {
  {
    App app(clients(), kUser);
    app.hello();
    app.counter("sms.sent", "sub_1")->fetch_add(3);
    interval();
    EXPECT_EQ(cursors(), 1U);
    source_->clients.reset();
  }
  std::filesystem::remove_all(directory_ / "counters");
  bench_.reboot("boot-2");
  memory_.reset();
  begin();
  interval();
  EXPECT_EQ(cursors(), 0U);
  EXPECT_EQ(counted(), "3");
}

}  // namespace
}  // namespace meterd::source
