// [access]: everything for root, meterd's own user and the groups; for others what a rule names; else
// nothing.
#include "agent/ingest/access.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include "agent/ingest/batch.hpp"
#include "platform/sockets.hpp"
#include "tests/ingest/bench.hpp"

namespace meterd::ingest {
namespace {

using meter::Names;
using meter::Refusal;
using platform::Peer;

// Accounts that every Debian system has, with fixed numbers (base-passwd).
constexpr std::uint32_t kDaemon = 1, kBin = 2, kMan = 6, kManGroup = 12, kNobody = 65'534;

AccessRules rules() {
  AccessRules out;
  out.groups = {"man"};
  out.allow.push_back({"daemon", "", "", "", {Names({"sms.sent"}), Names({"sub_1"})}});
  out.allow.push_back({"daemon", "", "", "", {Names({"data.bytes"}), {}}});
  out.allow.push_back({"", "bin", "", "", {{}, Names({"sub_2"})}});
  out.allow.push_back({"", "", "", "udp:127.0.0.1:8125", {Names({"sms.sent"}), {}}});
  return out;
}

struct Case {
  const char* name;
  Peer peer;
  const char* event;
  const char* subscription;
  bool allowed;
};

class AccessTable : public ::testing::TestWithParam<Case> {};

TEST_P(AccessTable, AllowsWhatIsNamedAndNothingElse) {
  const auto& c = GetParam();
  const auto permit = Access(rules()).of(c.peer);
  EXPECT_EQ(permit != nullptr && permit->allows(c.event, c.subscription), c.allowed);
}

const Case kCases[] = {
    {"root", {0, 1, {0}}, "any", "any", true},
    {"own_user", {platform::own_user(), 1, {}}, "any", "any", true},
    {"member_of_a_group", {kNobody, 1, {5, kManGroup}}, "any", "any", true},
    {"user_of_the_groups_name_is_no_member", {kMan, 1, {}}, "any", "any", false},
    {"rule_of_a_user", {kDaemon, 1, {}}, "sms.sent", "sub_1", true},
    {"other_subscription", {kDaemon, 1, {}}, "sms.sent", "sub_2", false},
    {"other_event", {kDaemon, 1, {}}, "api.call", "sub_1", false},
    {"second_rule_any_subscription", {kDaemon, 1, {}}, "data.bytes", "sub_9", true},
    {"rule_of_a_group", {kNobody, 1, {kBin}}, "any", "sub_2", true},
    {"rule_of_a_group_other_subscription", {kNobody, 1, {kBin}}, "any", "sub_1", false},
    {"nobody", {kNobody, 1, {kNobody}}, "sms.sent", "sub_1", false},
};
INSTANTIATE_TEST_SUITE_P(Table, AccessTable, ::testing::ValuesIn(kCases),
                         [](const auto& one) { return one.param.name; });

TEST(Access, GivesAnInputWithoutAPeerWhatARuleNamesOrElseEverything) {
  const Access access(rules());
  const auto named = access.of_input("udp:127.0.0.1:8125");
  EXPECT_TRUE(named->allows("sms.sent", "sub_7"));
  EXPECT_FALSE(named->allows("data.bytes", "sub_7"));
  EXPECT_TRUE(access.of_input("udp:[::1]:8125")->everything);
}

TEST(Access, KnowsWhoConnectedASocket) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const platform::Socket one(pair[0]);
  const platform::Socket other(pair[1]);
  const auto peer = platform::peer_of(one.fd());
  ASSERT_TRUE(peer.has_value());
  EXPECT_EQ(peer->user, geteuid());
  EXPECT_EQ(peer->process, getpid());
  EXPECT_TRUE(Access({}).of_socket(one.fd())->everything);
  EXPECT_EQ(Access({}).of_socket(-1), nullptr);
}

TEST(UnitOfAProcess, IsTheOutermostServiceOrScopeOfSystemdsHierarchy) {
  EXPECT_EQ(platform::unit_in("0::/system.slice/sms.service\n"), "sms.service");
  EXPECT_EQ(platform::unit_in("0::/system.slice/system-a.slice/sms.service/worker\n"), "sms.service");
  EXPECT_EQ(platform::unit_in("0::/user.slice/user-1.slice/user@1.service/app.slice/sms.service\n"),
            "user@1.service")
      << "a user's manager names its units as it likes";
  EXPECT_EQ(platform::unit_in("0::/system.slice/box.scope/sms.service\n"), "box.scope");
  EXPECT_EQ(platform::unit_in("4:memory:/x.service\n1:name=systemd:/system.slice/a.scope\n0::/\n"),
            "a.scope");
  EXPECT_EQ(platform::unit_in("0::/\n4:memory:/x.service\n"), "") << "other hierarchies are anybody's";
  EXPECT_EQ(platform::unit_in("0::/elsewhere/sms.service\n"), "");
  EXPECT_EQ(platform::unit_of(0), "");
}

TEST(SenderAccess, KeepsAVerdictForAMinuteAndNoneForTheUnknown) {
  const Access access(rules());
  SenderAccess senders(access);
  const platform::Sender daemon{kDaemon, kDaemon, 4711};
  const auto* first = senders.of(daemon, BootTime{});
  ASSERT_NE(first, nullptr);
  EXPECT_TRUE(first->allows("sms.sent", "sub_1"));
  EXPECT_EQ(senders.of(daemon, BootTime{Milliseconds(59'000)}), first);
  EXPECT_EQ(senders.of(platform::Sender{kNobody, kNobody, 1}, BootTime{}), nullptr);
  EXPECT_EQ(senders.of(std::nullopt, BootTime{}), nullptr);
  for (std::uint32_t user = 10'000; user < 10'200; ++user)
    EXPECT_EQ(senders.of(platform::Sender{user, user, 1}, BootTime{}), nullptr);
  EXPECT_NE(senders.of(daemon, BootTime{Milliseconds(61'000)}), nullptr) << "looked up anew";
}

// A process of user daemon whose unit may report; what has its number later may not.
class SenderOfAUnit : public ::testing::Test {
 protected:
  static AccessRules rules() {
    AccessRules out;
    out.groups.clear();
    out.allow.push_back({"", "", "sms.service", "", {Names({"sms.sent"}), {}}});
    return out;
  }
  bool may_report(Milliseconds at) {
    const auto* permit = senders_.of(platform::Sender{kDaemon, kDaemon, 4711}, BootTime{at});
    return permit != nullptr && permit->allows("sms.sent", "sub_1");
  }
  std::optional<std::uint64_t> started_ = 100;
  std::string unit_ = "sms.service";
  int looks_ = 0;
  Access access_{rules(),
                 {[this](std::int32_t) { return unit_; },
                  [this](std::int32_t) {
                    ++looks_;
                    return started_;
                  }}};
  SenderAccess senders_{access_};
};

TEST_F(SenderOfAUnit, ItsVerdictIsNotThatOfTheNextProcessOfItsNumber) {
  EXPECT_TRUE(may_report(Milliseconds(0)));
  started_ = 200;
  unit_ = "other.service";
  EXPECT_FALSE(may_report(Milliseconds(10)));
  EXPECT_FALSE(may_report(Milliseconds(20)));
}

TEST_F(SenderOfAUnit, ItsVerdictEndsWithTheProcess) {
  EXPECT_TRUE(may_report(Milliseconds(0)));
  started_.reset();
  unit_.clear();
  EXPECT_FALSE(may_report(Milliseconds(10)));
  started_ = 300;
  unit_ = "sms.service";
  EXPECT_TRUE(may_report(Milliseconds(20))) << "a new one of the unit, with the number again";
}

TEST_F(SenderOfAUnit, IsLookedAtAHundredTimesASecondAndNotForEachDatagram) {
  for (int at = 0; at < 1'000; ++at)
    for (int datagram = 0; datagram < 100; ++datagram) ASSERT_TRUE(may_report(Milliseconds(at)));
  EXPECT_EQ(looks_, 100);
}

TEST(ProcessStart, TellsProcessesApartAndNothingOfWhatIsNot) {
  EXPECT_EQ(platform::start_of(getpid()), platform::start_of(getpid()));
  EXPECT_TRUE(platform::start_of(getpid()).has_value());
  EXPECT_LT(*platform::start_of(1), *platform::start_of(getpid()));
  EXPECT_EQ(platform::start_of(0), std::nullopt);
  EXPECT_EQ(platform::start_of(INT32_MAX), std::nullopt);
}

class PermitTest : public ::testing::Test {
 protected:
  Batcher::Counted count(std::string_view subscription) {
    meter::EventView event;
    event.name = "sms.sent";
    event.subscription = subscription;
    event.quantity = Quantity::of(1);
    event.permit = &permit_;
    return bench_.count(event);
  }
  meter::Permit permit_{"user 1", {{Names({"sms.sent"}), Names({"sub_1"})}}, false};
  test::Bench bench_;
};

TEST_F(PermitTest, CountsWhatIsAllowedAndRefusesTheRest) {
  EXPECT_EQ(count("sub_2").refusal, Refusal::not_allowed);
  EXPECT_EQ(count("sub_1").refusal, std::nullopt);
  ASSERT_TRUE(bench_.commit());
  EXPECT_EQ(bench_.accepted(), test::q("1"));
  EXPECT_EQ(bench_.refused(Refusal::not_allowed), 1U);
}

TEST_F(PermitTest, GoesByTheSubscriptionThatIsBilled) {
  auto fixed = test::meter_of("sms.sent", "sms-usd");
  fixed.subscription = SubscriptionId("sub_9");
  test::BenchOptions options;
  options.meters = {fixed};
  test::Bench bench(options);
  meter::EventView event;
  event.name = "sms.sent";
  event.quantity = Quantity::of(1);
  event.permit = &permit_;
  EXPECT_EQ(bench.count(event).refusal, Refusal::not_allowed);
}

TEST_F(PermitTest, WhatAReporterNamesIsItsOwn) {
  permit_.scope = "user 1:";
  meter::EventView event;
  event.name = "sms.sent";
  event.subscription = "sub_1";
  event.quantity = Quantity::of(1);
  event.producer = "app";
  event.id = "m-1";
  event.permit = &permit_;
  ASSERT_FALSE(bench_.count(event).refusal);
  event.permit = nullptr;
  ASSERT_FALSE(bench_.count(event).refusal);
  ASSERT_TRUE(bench_.commit());
  EXPECT_EQ(bench_.accepted(), test::q("2")) << "nobody takes another one's id along";
  v1::Batch batch;
  batch.set_producer("app");
  batch.set_sequence(UINT64_MAX / 2);
  batch.add_events()->set_name("sms.sent");
  batch.mutable_events(0)->set_subscription("sub_1");
  ProducerTable producers;
  (void)count_batch(batch, bench_.batcher(), producers, &permit_);
  batch.set_sequence(1);
  EXPECT_EQ(count_batch(batch, bench_.batcher(), producers).ack.counted(), 1U);
}

// One that floods gets half of what there is; another restricted one its share, and who may do everything
// more.
TEST_F(PermitTest, WhoFillsWhatIsSharedRefusesNobodyElse) {
  auto other = permit_;
  permit_.scope = "user 1:";
  other.scope = "user 2:";
  std::uint64_t number = 0;
  const auto fill = [&](const meter::Permit* permit, std::uint64_t at_most) {
    std::uint64_t counted = 0;
    for (; counted < at_most; ++counted) {
      const auto id = std::to_string(++number);
      meter::EventView event;
      event.name = "sms.sent";
      event.subscription = "sub_1";
      event.quantity = Quantity::of(1);
      event.producer = "app";
      event.id = id;
      event.permit = permit;
      const auto refusal = bench_.count(event).refusal;
      if (!refusal) continue;
      EXPECT_EQ(refusal, Refusal::full);
      break;
    }
    return counted;
  };
  constexpr auto kAll = limits::kPendingIdsMax;
  EXPECT_EQ(fill(&permit_, kAll), kAll / 2);
  EXPECT_EQ(fill(&other, kAll), kAll / 16);
  EXPECT_EQ(fill(&permit_, 1), 0U);
  EXPECT_EQ(fill(nullptr, 1'000), 1'000U);
  ASSERT_TRUE(bench_.commit());
  EXPECT_EQ(fill(&permit_, 1), 1U) << "in the next window there is room";
  bench_.advance(Milliseconds(70'000));
  const auto audited = test::must(journal::read_audit(bench_.journal(), 100));
  ASSERT_FALSE(audited.empty());
  EXPECT_THAT(audited[0].detail(), ::testing::HasSubstr("beyond its share"));
}

TEST(ProducersOfARestrictedReporter, AreBoundedAndRefuseNobodyElse) {
  const meter::Permit one{"user 1", {}, false, "user 1:"};
  const meter::Permit other{"user 2", {}, false, "user 2:"};
  ProducerTable producers;
  std::uint64_t known = 0;
  for (; producers.has_room(&one); ++known) producers.learn("user 1:" + std::to_string(known), {}, &one);
  EXPECT_EQ(known, limits::kProducersMax / 2);
  EXPECT_TRUE(producers.has_room(&other));
  EXPECT_TRUE(producers.has_room(nullptr));
}

TEST_F(PermitTest, IsAuditedOnceAnHourForEachReporter) {
  const auto audited = [&] { return test::must(journal::read_audit(bench_.journal(), 100)).size(); };
  for (int i = 0; i < 3; ++i) (void)count("sub_2");
  bench_.advance(Milliseconds(70'000));
  EXPECT_EQ(audited(), 1U);
  (void)count("sub_2");
  bench_.advance(Milliseconds(70'000));
  EXPECT_EQ(audited(), 1U);
  bench_.advance(Milliseconds(3'600'000));
  EXPECT_EQ(audited(), 2U);
}

}  // namespace
}  // namespace meterd::ingest
