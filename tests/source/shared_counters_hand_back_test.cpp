// What apps give back to a meterd that lost its hold on their memory: all of it is counted once, or shown.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/source/shared_counters_fixture.hpp"

namespace meterd::source {
namespace {

using ::testing::HasSubstr;

TEST_F(SharedCountersTest, TakesMemoryBackThatAStopLostItsHoldOn) {
  App app(clients(), kUser);
  app.hello();
  auto* counter = app.counter("sms.sent", "sub_1");
  const auto id = app.memory.begin()->first;
  counter->fetch_add(3);
  lose_memory();
  counter->fetch_add(4);
  app.connect_again(clients());
  EXPECT_EQ(app.hello().code, static_cast<std::uint32_t>(ESTALE));
  app.client = {};
  app.hello();
  EXPECT_EQ(app.hand_back(id).kind, METERD_WELCOME);
  interval();
  EXPECT_EQ(app.name(id, 0, {"sms.sent", "sub_1"}).kind, METERD_SLOT);
  counter->fetch_add(5);
  interval();
  interval();
  EXPECT_EQ(counted(), "12");
  EXPECT_EQ(reasons(), "");
}

TEST_F(SharedCountersTest, ShowsWhatWasCountedUnderAJournalThatIsNotThere) {
  App app(clients(), kUser);
  app.hello();
  auto* counter = app.counter("sms.sent", "sub_1");
  const auto id = app.memory.begin()->first;
  counter->fetch_add(3);
  restart();  // nothing was committed, and the memory's file goes
  std::filesystem::remove_all(directory_ / "counters");
  restart();
  app.connect_again(clients());
  app.client = {};
  app.hello();
  app.hand_back(id);
  app.name(id, 0, {"sms.sent", "sub_1"});
  interval();
  counter->fetch_add(4);
  interval();
  EXPECT_EQ(counted(), "4") << "from where it is";
  EXPECT_THAT(reasons(), HasSubstr("not known any more: counters of user 1001: 3\n"));
}

TEST_F(SharedCountersTest, BillsNothingTwiceOfMemoryThatWasGivenBackToAnotherJournal) {
  has_store_ = true;
  restart();
  App app(clients(), kUser);
  app.hello();
  auto* counter = app.counter("sms.sent", "sub_1");
  const auto id = app.memory.begin()->first;
  counter->fetch_add(3);  // billed by a journal that is not there any more
  store_.clear();
  restart();
  app.begin_anew(clients());
  EXPECT_EQ(app.hand_back(id).kind, METERD_WELCOME);
  app.name(id, 0, {"sms.sent", "sub_1"});
  restart();  // before its first commit
  interval();
  counter->fetch_add(4);
  interval();
  app.begin_anew(clients());
  app.hand_back(id);
  app.name(id, 1, {"sms.sent", "sub_2"});
  restart();  // and before that of a slot that was named later
  EXPECT_EQ(counted(), "4");
  interval();
  EXPECT_THAT(reasons(), HasSubstr("not known any more: counters of user 1001: 3\n"));
  EXPECT_EQ(clients()->gaps().gaps(), 1U);
  counter->fetch_add(5);
  restart();
  interval();
  EXPECT_EQ(counted(), "9") << "by its cursor";
}

TEST_F(SharedCountersTest, SaysOfHowManySlotsItKnowsTheNames) {
  App app(clients(), kUser);
  app.hello();
  app.counter("sms.sent", "sub_1");
  app.counter("sms.sent", "sub_2");
  const auto id = app.memory.begin()->first;
  lose_memory();
  app.begin_anew(clients());
  EXPECT_EQ(app.hand_back(id).slot, 0U);
  app.name(id, 0, {"sms.sent", "sub_1"});
  EXPECT_EQ(app.hand_back(id).slot, 0U) << "one is missing";
  app.name(id, 1, {"sms.sent", "sub_2"});
  EXPECT_EQ(app.hand_back(id).slot, 2U);
}

TEST_F(SharedCountersTest, ShowsWhatIsInMemoryThatItDoesNotTakeBack) {
  App one(clients(), kUser);
  App other(clients(), kUser);
  App third(clients(), kUser);
  for (App* app : {&one, &other, &third}) {
    app->hello();
    app->counter("sms.sent", "sub_1")->fetch_add(3);
  }
  auto* counter = third.counter("sms.sent", "sub_1");
  rule_.counters_per_user = 2;
  rule_.clients_per_user = 1;
  lose_memory();
  counter->fetch_add(4);
  one.begin_anew(clients());
  EXPECT_EQ(one.hand_back(one.memory.begin()->first).kind, METERD_WELCOME);
  EXPECT_EQ(one.hand_back(one.borrow(other)).kind, METERD_WELCOME);
  const auto id = one.borrow(third);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(one.hand_back(id).code, static_cast<std::uint32_t>(ENOSPC));
    interval();
  }
  EXPECT_EQ(reasons(), "memory that an app gave back was refused: counters of user 1001: 4\n") << "once";
  EXPECT_EQ(bench_.log.times("event=counters_not_taken_back"), 2U);
  EXPECT_EQ(counted(), "9");
}

TEST_F(SharedCountersTest, TakesBackLaterWhatItHasNoDescriptorForNow) {
  App app(clients(), kUser);
  app.hello();
  auto* counter = app.counter("sms.sent", "sub_1");
  counter->fetch_add(3);
  const auto id = app.memory.begin()->first;
  lose_memory();
  counter->fetch_add(4);
  app.begin_anew(clients());
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit full{static_cast<rlim_t>(platform::MemoryFile(dup(0)).fd()) + 1, files.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &full), 0) << "the one that is passed";
  const auto answer = app.hand_back(id);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  EXPECT_EQ(answer.code, static_cast<std::uint32_t>(EAGAIN));
  EXPECT_EQ(app.hand_back(id).kind, METERD_WELCOME);
  app.name(id, 0, {"sms.sent", "sub_1"});
  interval();
  EXPECT_EQ(counted(), "7");
  EXPECT_EQ(reasons(), "");
}

TEST_F(SharedCountersTest, TakesTheNameOfACounterThatNoMeterTakesAtTheMoment) {
  App app(clients(), kUser);
  app.hello();
  auto* counter = app.counter("sms.sent", "sub_1");
  const auto id = app.memory.begin()->first;
  counter->fetch_add(3);
  lose_memory();
  counter->fetch_add(4);
  put_meters({test::meter_of("other", "sms-usd")});
  app.begin_anew(clients());
  app.hand_back(id);
  EXPECT_EQ(app.name(id, 0, {"sms.sent", "sub_1"}).kind, METERD_SLOT);
  interval();
  EXPECT_TRUE(clients()->holds_back());
  EXPECT_EQ(app.counter("sms.sent", "sub_1"), nullptr) << "nobody begins to count it";
  EXPECT_EQ(app.code, static_cast<std::uint32_t>(ENOENT));
  put_meters({test::meter_of("sms.sent", "sms-usd")});
  for (int i = 0; i < 2; ++i) interval();
  EXPECT_EQ(counted(), "7");
  EXPECT_EQ(reasons(), "");
}

TEST_F(SharedCountersTest, ShowsWhatIsUnderANameThatAccessForbidsWhenTheAppEnds) {
  auto app = std::make_unique<App>(clients(), kUser);
  app->hello();
  auto* counter = app->counter("sms.sent", "sub_1");
  const auto id = app->memory.begin()->first;
  counter->fetch_add(3);
  lose_memory();
  counter->fetch_add(4);
  app->permit(std::make_shared<const meter::Permit>(
      meter::Permit{"user 1001", {{meter::Names({"sms.sent"}), meter::Names({"sub_2"})}}, false}));
  app->begin_anew(clients());
  app->hand_back(id);
  EXPECT_EQ(app->name(id, 0, {"sms.sent", "sub_1"}).code, static_cast<std::uint32_t>(EACCES));
  EXPECT_EQ(app->name(id, 7, {"sms.sent", "sub_1"}).code, static_cast<std::uint32_t>(EACCES));
  EXPECT_EQ(bench_.log.times("event=counters_not_taken_back"), 2U);
  interval();
  EXPECT_EQ(counted(), "3");
  reinterpret_cast<std::atomic<std::uint64_t>*>(reinterpret_cast<char*>(counter) + 7 * METERD_SLOT_BYTES)
      ->fetch_add(5);
  app.reset();
  look();
  for (int i = 0; i < 3; ++i) interval();
  EXPECT_EQ(reasons(), "what an app counted cannot be read: counters of user 1001: 9\n");
  EXPECT_EQ(counted(), "3");
}

TEST_F(SharedCountersTest, NamesNothingWhileTheKernelIsAskedWhoWritesIt) {
  App app(clients(), kUser);
  app.hello();
  auto* counter = app.counter("sms.sent", "sub_1");
  const auto id = app.memory.begin()->first;
  app.leave();
  const auto regions = clients()->unattended();
  ASSERT_EQ(regions.size(), 1U);
  regions[0]->set_asked(true);
  app.hello();
  EXPECT_EQ(app.name(id, 0, {"sms.sent", "sub_1"}).code, static_cast<std::uint32_t>(EAGAIN));
  EXPECT_NE(app.counter("sms.sent", "sub_1"), counter) << "one in other memory";
  regions[0]->set_asked(false);
  EXPECT_EQ(app.name(id, 0, {"sms.sent", "sub_1"}).kind, METERD_SLOT);
  regions[0]->mark_unused();
  EXPECT_EQ(app.name(id, 0, {"sms.sent", "sub_1"}).code, static_cast<std::uint32_t>(EAGAIN));
  EXPECT_EQ(app.hand_back(id).code, static_cast<std::uint32_t>(EPERM));
}

}  // namespace
}  // namespace meterd::source
