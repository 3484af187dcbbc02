// An app writes what it likes into its memory, and asks for what it likes: it spoils its own counters at
// most.
#include <fcntl.h>
#include <unistd.h>

#include "tests/source/shared_counters_fixture.hpp"

namespace meterd::source {
namespace {

using ::testing::HasSubstr;

struct StepCase {
  const char* name;
  std::uint64_t before, now, most, units;
  StepFault fault;
};
const StepCase kSteps[] = {
    {"nothing_new", 5, 5, 10, 0, StepFault::none},
    {"a_step", 5, 9, 10, 4, StepFault::none},
    {"as_fast_as_may_be", 5, 15, 10, 10, StepFault::none},
    {"too_fast", 5, 16, 10, 11, StepFault::too_fast},
    {"lower", 5, 4, 10, 0, StepFault::lower},
    {"back_to_zero", 5, 0, 10, 0, StepFault::lower},
    {"beyond_64_bits_is_lower", UINT64_MAX - 1, 3, 10, 0, StepFault::lower},
    {"to_the_most_there_is", 0, UINT64_MAX, 10, UINT64_MAX, StepFault::too_fast},
};
class StepTable : public ::testing::TestWithParam<StepCase> {};
TEST_P(StepTable, CountsOnlyWhatACounterDoes) {
  const auto& c = GetParam();
  const auto step = step_of(c.before, c.now, c.most);
  EXPECT_EQ(step.fault, c.fault);
  EXPECT_EQ(step.units, c.units);
}
INSTANTIATE_TEST_SUITE_P(Table, StepTable, ::testing::ValuesIn(kSteps),
                         [](const auto& parameter) { return parameter.param.name; });

TEST(CounterRate, AllowsASecondsWorthAboveTheTimeThatPassed) {
  EXPECT_EQ(units_max(1'000, Milliseconds(0)), 1'000U);
  EXPECT_EQ(units_max(1'000, Milliseconds(10'000)), 11'000U);
  EXPECT_EQ(units_max(1'000, Milliseconds(-5)), 1'000U) << "time that ran backwards";
  EXPECT_GT(units_max(1'000'000'000'000'000, Milliseconds(INT64_MAX / 2)), 1'000'000'000'000'000U);
}

struct HostileCase {
  const char* name;
  void (*spoil)(std::atomic<std::uint64_t>* counter, int fd);
  const char* reason;
  const char* counted;  // of the hostile app, after an honest 5 before and an honest 7 behind it
};
void put(std::atomic<std::uint64_t>* counter, std::uint64_t value) { counter->store(value); }
const HostileCase kHostile[] = {
    {"lower", [](auto* counter, int) { put(counter, 2); }, "an app's counter fell", "12"},
    {"wiped", [](auto* counter, int) { put(counter, 0); }, "an app's counter fell", "12"},
    {"jump", [](auto* counter, int) { put(counter, 1ULL << 40); }, "faster than counter_rate_max", "12"},
    {"to_the_most", [](auto* counter, int) { put(counter, UINT64_MAX - 100); },
     "faster than counter_rate_max", "12"},
    {"all_bits_set_everywhere",
     [](auto* counter, int) { std::memset(static_cast<void*>(counter), 0xff, METERD_REGION_BYTES); },
     "faster than counter_rate_max", nullptr},
};
class HostileTable : public SharedCountersTest, public ::testing::WithParamInterface<HostileCase> {};

TEST_P(HostileTable, SpoilsItsOwnAndIsShown) {
  const auto& c = GetParam();
  App honest(clients(), kUser);
  App hostile(clients(), kUser + 1);
  honest.hello();
  hostile.hello();
  auto* good = honest.counter("sms.sent", "sub_1");
  auto* bad = hostile.counter("sms.sent", "sub_2");
  good->fetch_add(10);
  bad->fetch_add(5);
  interval();
  c.spoil(bad, hostile.memory.begin()->second.second.fd());
  good->fetch_add(10);
  interval();
  EXPECT_THAT(reasons(), HasSubstr(c.reason));
  EXPECT_THAT(reasons(), HasSubstr("of user 1002"));
  bad->fetch_add(7);
  restart();  // and what was refused is not counted by the next one either
  interval();
  EXPECT_EQ(counted(), "20");
  if (c.counted != nullptr) {
    EXPECT_EQ(counted("sub_2"), c.counted);
  }
  bench_.expect_sound();
}
INSTANTIATE_TEST_SUITE_P(Table, HostileTable, ::testing::ValuesIn(kHostile),
                         [](const auto& parameter) { return parameter.param.name; });

TEST_F(SharedCountersTest, RefusesMemoryThatAnAppCutShortAndGoesOnWithTheRest) {
  App app(clients(), kUser);
  app.hello();
  std::atomic<std::uint64_t>* counter = nullptr;
  for (int i = 0; i < 100; ++i) {
    counter = app.counter("sms.sent", "sub_" + std::to_string(i));
    counter->fetch_add(1);
  }
  const int fd = app.memory.begin()->second.second.fd();
  ASSERT_EQ(ftruncate(fd, 4'096), 0);
  interval();
  interval();
  EXPECT_EQ(bench_.open().size(), 64U) << "what there is";
  EXPECT_EQ(clients()->gaps().gaps(), 1U) << "shown once";
  EXPECT_THAT(reasons(), HasSubstr("an app cut its memory short"));
  ASSERT_EQ(ftruncate(fd, METERD_REGION_BYTES), 0);
  counter->fetch_add(2);
  interval();
  EXPECT_EQ(counted("sub_99"), "2");
}

TEST_F(SharedCountersTest, ShowsWhatWaitedInACounterThatFellBelowIt) {
  App app(clients(), kUser);
  app.hello();
  auto* counter = app.counter("sms.sent", "sub_1");
  counter->fetch_add(10);
  interval();
  bench_.batcher().set_above_watermark(true);
  counter->fetch_add(8);
  interval();
  counter->store(3);
  interval();
  EXPECT_THAT(reasons(), HasSubstr("an app's counter fell: counters of user 1001: 5\n"))
      << "3 of 8 still wait";
  restart();
  counter->fetch_add(4);
  bench_.batcher().set_above_watermark(false);
  for (int i = 0; i < 2; ++i) interval();
  EXPECT_EQ(counted(), "17");
  EXPECT_EQ(clients()->gaps().gaps(), 1U);
}

TEST_F(SharedCountersTest, RefusesWhatAUserMayNotCount) {
  const auto only = std::make_shared<const meter::Permit>(
      meter::Permit{"user 1001", {{meter::Names({"sms.sent"}), meter::Names({"sub_1"})}}, false});
  App app(clients(), kUser, only);
  app.hello();
  EXPECT_NE(app.counter("sms.sent", "sub_1"), nullptr);
  const std::pair<CounterName, int> cases[] = {{{"sms.sent", "sub_2"}, EACCES},
                                               {{"data.bytes", "sub_1"}, EACCES},
                                               {{"", "sub_1"}, EINVAL},
                                               {{"sms.sent", "sub\x01"}, EINVAL},
                                               {{std::string(101, 'a'), "sub_1"}, EINVAL}};
  for (const auto& [name, code] : cases) {
    EXPECT_EQ(app.counter(name.event, name.subscription), nullptr);
    EXPECT_EQ(app.code, static_cast<std::uint32_t>(code)) << name.event << " " << name.subscription;
  }
  App any(clients(), kUser);
  any.hello();
  EXPECT_EQ(any.counter("no.such", "sub_1"), nullptr);
  EXPECT_EQ(any.code, static_cast<std::uint32_t>(ENOENT));
  EXPECT_EQ(any.counter("sms.sent", ""), nullptr);
  EXPECT_EQ(any.code, static_cast<std::uint32_t>(EINVAL));
}

TEST_F(SharedCountersTest, LimitsTheCountersAndClientsOfAUser) {
  rule_.counters_per_user = 3;
  rule_.clients_per_user = 2;
  begin();
  App one(clients(), kUser);
  App two(clients(), kUser);
  App three(clients(), kUser);
  App other(clients(), kUser + 1);
  one.hello();
  two.hello();
  EXPECT_EQ(three.hello().code, static_cast<std::uint32_t>(ENOSPC));
  EXPECT_NE(one.counter("sms.sent", "a"), nullptr);
  EXPECT_NE(one.counter("sms.sent", "b"), nullptr);
  EXPECT_NE(two.counter("sms.sent", "a"), nullptr);
  EXPECT_EQ(two.counter("sms.sent", "b"), nullptr);
  EXPECT_EQ(two.code, static_cast<std::uint32_t>(ENOSPC));
  other.hello();
  EXPECT_NE(other.counter("sms.sent", "a"), nullptr);
}

TEST_F(SharedCountersTest, OneUserCannotTakeTheMemoryOfAllOthers) {
  rule_.counters_per_user = 2'000;
  rule_.clients_per_user = 128;
  begin();
  std::vector<std::unique_ptr<App>> apps;
  const auto regions_of = [&](std::uint32_t user) {
    const auto before = clients()->regions();
    for (std::uint64_t i = 0; i < rule_.clients_per_user; ++i) {
      auto& app = *apps.emplace_back(std::make_unique<App>(clients(), user));
      if (app.hello().kind != METERD_WELCOME) continue;
      EXPECT_NE(app.counter("sms.sent", "sub_1"), nullptr) << user << " " << i;
    }
    return clients()->regions() - before;
  };
  EXPECT_EQ(regions_of(kUser), 128U);
  EXPECT_EQ(regions_of(kUser + 1), 128U);
  App third(clients(), kUser + 2);
  third.hello();
  EXPECT_EQ(third.counter("sms.sent", "sub_1"), nullptr) << "all descriptors are used";
  EXPECT_EQ(third.code, static_cast<std::uint32_t>(ENOSPC));
}

TEST_F(SharedCountersTest, LimitsTheMemoryThatAUserHandsBack) {
  rule_.counters_per_user = 1'024;
  rule_.clients_per_user = 3;
  begin();
  std::vector<std::unique_ptr<App>> apps;
  for (int i = 0; i < 3; ++i) {
    auto& app = *apps.emplace_back(std::make_unique<App>(clients(), kUser));
    app.hello();
    app.counter("sms.sent", "sub_1");
  }
  std::filesystem::remove_all(directory_ / "counters");
  rule_.clients_per_user = 1;
  restart();
  for (auto& app : apps) app->connect_again(clients());
  App& one = *apps[0];
  one.client = {};
  one.hello();
  EXPECT_EQ(one.hand_back(one.memory.begin()->first).kind, METERD_WELCOME);
  for (int i = 1; i < 3; ++i) {
    const auto& [id, mapped] = *apps[static_cast<std::size_t>(i)]->memory.begin();
    one.memory[id] = {nullptr, platform::MemoryFile(dup(mapped.second.fd()))};
    const auto answer = one.hand_back(id);
    one.memory.erase(id);
    EXPECT_EQ(answer.kind, i == 1 ? METERD_WELCOME : METERD_REFUSED);
    EXPECT_EQ(answer.code, i == 1 ? 0U : static_cast<std::uint32_t>(ENOSPC));
  }
}

TEST_F(SharedCountersTest, TakesTheSameMemoryBackUnderOneNameOnly) {
  App app(clients(), kUser);
  app.hello();
  app.counter("sms.sent", "sub_1")->fetch_add(5);
  interval();
  const auto id = memory_->random_id();
  app.memory[id] = {nullptr, platform::MemoryFile(dup(app.memory.begin()->second.second.fd()))};
  EXPECT_EQ(app.hand_back(id).code, static_cast<std::uint32_t>(EACCES));
  app.memory.erase(id);
  EXPECT_EQ(clients()->regions(), 1U);
}

TEST_F(SharedCountersTest, CutsMemoryThatAnAppMadeLonger) {
  App app(clients(), kUser);
  app.hello();
  auto* counter = app.counter("sms.sent", "sub_1");
  counter->fetch_add(5);
  const auto& file = app.memory.begin()->second.second;
  ASSERT_EQ(ftruncate(file.fd(), 64LL << 20), 0);
  interval();
  EXPECT_EQ(file.size(), METERD_REGION_BYTES);
  EXPECT_THAT(reasons(), HasSubstr("an app made its memory longer: counters of user 1001"));
  counter->fetch_add(2);
  interval();
  EXPECT_EQ(counted(), "7");
  EXPECT_EQ(clients()->gaps().gaps(), 1U);
  ASSERT_EQ(ftruncate(file.fd(), 64LL << 20), 0);
  restart();
  interval();
  EXPECT_EQ(file.size(), METERD_REGION_BYTES) << "also of what is found";
}

TEST_F(SharedCountersTest, GivesNobodyTheMemoryOfAnotherUser) {
  App owner(clients(), kUser);
  owner.hello();
  owner.counter("sms.sent", "sub_1")->fetch_add(1);
  const auto id = owner.memory.begin()->first;
  App thief(clients(), kUser + 1);
  thief.client = owner.client;
  EXPECT_EQ(thief.hello().code, static_cast<std::uint32_t>(ESTALE));
  thief.client = {};
  thief.hello();
  thief.memory[id] = {nullptr, platform::MemoryFile(dup(owner.memory.begin()->second.second.fd()))};
  EXPECT_EQ(thief.hand_back(id).code, static_cast<std::uint32_t>(EACCES));
  // Any descriptor may come.
  const auto nobodys = memory_->random_id();
  thief.memory[nobodys] = {nullptr, platform::MemoryFile(open("/dev/zero", O_RDWR | O_CLOEXEC))};
  EXPECT_EQ(thief.hand_back(nobodys).code, static_cast<std::uint32_t>(EPERM));
  thief.memory.clear();
}

}  // namespace
}  // namespace meterd::source
