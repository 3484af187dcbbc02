// Usages of callers: counted and waiting at once, with versions that follow no wrong clock, and answers that
// are remembered for their time.
#include "tests/journal/caller_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CallerUsages : public CallerTest {
 protected:
  static Moment at(std::int64_t seconds, bool trusted = true) {
    return {WallTime::from_seconds(seconds), {1, 60'000}, trusted};
  }
  UsageRecord create_at(const std::string& id, const Moment& moment) {
    UsageRecord out;
    step([&](WriteTransaction& w) {
      out = must(w.create_usage(caller_usage(id, kMidnight + next_date_++, {}), moment)).record;
    });
    return out;
  }
  std::uint64_t for_life(const char* subscription = "sub_1", const char* upstream = "billing") {
    return must(begin().usages_for_life(UpstreamName(upstream), SubscriptionId(subscription)));
  }
  std::int64_t next_date_ = 0;
};

constexpr std::int64_t kToday = 1'795'400'000;
constexpr std::int64_t kYear2099 = 4'073'000'000;

TEST_F(CallerUsages, AreAcceptedAndWaitAtOnce) {
  const auto sequence = create("u1", kMidnight + 5, {.quantity = "12.5"});
  const auto balance = balance_of(bucket());
  EXPECT_EQ(balance.accepted, q("12.5"));
  EXPECT_EQ(balance.waiting, q("12.5"));
  EXPECT_EQ(balance.zone, "UTC");
  EXPECT_EQ(upstream().waiting(), 1U);
  const auto record = stored(sequence).record;
  EXPECT_EQ(record.id(), "u1");
  EXPECT_EQ(record.source(), v0::API);
  EXPECT_TRUE(record.dated_by_caller());
  EXPECT_EQ(must(begin().find_usage(UsageId("u1"))).value().sequence, sequence);
  EXPECT_THAT(attempt(), ElementsAre(sequence));
}

TEST_F(CallerUsages, StandBesideTheBucketOfTheirDayAndLeaveItsRevisionsAlone) {
  step([&](WriteTransaction& w) { must(w.add(bucket(), tally("3"), opening())); });
  create("u1", kMidnight + 5, {.quantity = "2"});
  EXPECT_EQ(balance_of(bucket()).open, q("3"));
  EXPECT_EQ(balance_of(bucket()).accepted, q("5"));
  std::uint64_t sealed = 0;
  step([&](WriteTransaction& w) { sealed = seal(w, bucket()); });
  EXPECT_EQ(stored(sealed).record.revision(), 0U);
  EXPECT_EQ(stored(sealed).record.source(), v0::BULK_OPERATION);
  EXPECT_EQ(balance_of(bucket()).next_revision, 1U);
}

TEST_F(CallerUsages, HoldTheirSecondAgainstTheSealer) {
  create("u1", kMidnight + 1'000);  // what the fixture's sealer prefers
  const auto sealed = waiting_usage();
  EXPECT_EQ(stored(sealed).record.usage_date(), kMidnight + 1'001);
}

TEST_F(CallerUsages, AreCountedForALifetimeWithTheMostFirst) {
  create("u1", kMidnight + 1);
  for (int i = 0; i < 3; ++i) create("v" + std::to_string(i), kMidnight + 2 + i, {.subscription = "sub_2"});
  const auto read = [&](const char* upstream, std::size_t shown, const char* after = "") {
    Lifetimes out;
    EXPECT_FALSE(must(read_lifetimes(*journal_, UpstreamName(upstream), SubscriptionId(after), shown, out)));
    return out;
  };
  const auto lifetimes = read("billing", 2);
  EXPECT_EQ(lifetimes.subscriptions, 2U);
  ASSERT_EQ(lifetimes.most.size(), 2U);
  EXPECT_EQ(lifetimes.most[0].subscription, SubscriptionId("sub_2"));
  EXPECT_EQ(lifetimes.most[0].usages, 3U);
  EXPECT_EQ(lifetimes.most[1].usages, 1U);
  EXPECT_EQ(read("billing", 1).subscriptions, 2U);
  EXPECT_EQ(read("billing", 1).most.size(), 1U);
  EXPECT_EQ(read("billing", 2, "sub_1").most.at(0).subscription, SubscriptionId("sub_2"));
  EXPECT_EQ(read("billing", 2, "sub_2").subscriptions, 0U);
  EXPECT_EQ(read("other", 2).subscriptions, 0U);
}

TEST_F(CallerUsages, ComeBackAsTheyWereGiven) {
  auto given = caller_usage("u1", kMidnight, {.quantity = "5"});
  given.usage.given_quantity = "5.00";
  given.usage.note = "n";
  given.usage.custom_fields = {{"cf_b", "2"}, {"cf_a", "1"}};
  step([&](WriteTransaction& w) { must(w.create_usage(given, now())); });
  const auto back = usage_of(must(read_usage(*journal_, UsageId("u1"))).value().record);
  EXPECT_EQ(back.given_quantity, "5.00");
  EXPECT_EQ(back.quantity, q("5"));
  EXPECT_EQ(back.note, "n");
  EXPECT_EQ(back.custom_fields, given.usage.custom_fields);
}

TEST_F(CallerUsages, AreFoundByTheirSecond) {
  const auto first = create("u1", kMidnight + 5);
  create("u2", kMidnight + 6);
  create("u3", kMidnight + 5, {.item_price = "data-usd"});
  const auto at_second = [&](std::int64_t date) {
    std::vector<std::uint64_t> out;
    for (const auto& one : must(begin().usages_at(series(), date))) out.push_back(one.sequence);
    return out;
  };
  EXPECT_THAT(at_second(kMidnight + 5), ElementsAre(first));
  EXPECT_THAT(at_second(kMidnight + 7), IsEmpty());
  withdraw(first);
  const auto next = create("u4", kMidnight + 5);
  EXPECT_THAT(at_second(kMidnight + 5), ElementsAre(first, next)) << "whatever became of it";
}

TEST_F(CallerUsages, HaveTheTrustedTimeAsTheirVersionAndCreation) {
  const auto record = create_at("u1", at(kToday));
  EXPECT_EQ(record.resource_version(), kToday * 1'000);
  EXPECT_EQ(record.created_at_ms(), kToday * 1'000);
}

TEST_F(CallerUsages, HaveVersionsThatRiseWithinOneMillisecondAndWhenTheClockIsSetBack) {
  const auto first = create_at("u1", at(kToday)).resource_version();
  const auto second = create_at("u2", at(kToday)).resource_version();
  const auto third = create_at("u3", at(kToday - 86'400)).resource_version();
  EXPECT_EQ(second, first + 1);
  EXPECT_EQ(third, second + 1);
}

TEST_F(CallerUsages, NeverTakeAVersionFromAnUntrustedClock) {
  const auto untrusted = create_at("u1", at(kYear2099, false));
  EXPECT_LT(untrusted.resource_version(), kToday * 1'000);
  EXPECT_LT(untrusted.created_at_ms(), kToday * 1'000);
  const auto trusted = create_at("u2", at(kToday));
  EXPECT_EQ(trusted.resource_version(), kToday * 1'000) << "not ahead for ever";
  const auto again = create_at("u3", at(0, false));
  EXPECT_EQ(again.resource_version(), kToday * 1'000 + 1);
  EXPECT_EQ(again.created_at_ms(), again.resource_version()) << "the best that is known";
}

TEST_F(CallerUsages, TakeTheLatestTrustedTimeAsTheLeastVersion) {
  step([&](WriteTransaction& w) { must(w.put_last_trusted(at(kToday))); });
  EXPECT_GE(create_at("u1", at(0, false)).resource_version(), (kToday - 3'600) * 1'000);
}

TEST_F(CallerUsages, HaveANewVersionWithEachChangeThatACallerSees) {
  const auto kept = create("u1", kMidnight);
  const auto created = stored(kept).record.resource_version();
  deliver(kept);
  EXPECT_EQ(stored(kept).record.resource_version(), created) << "delivery is no change of the resource";
  const auto deletion = ask_to_delete(kept);
  const auto asked = stored(kept).record.resource_version();
  EXPECT_GT(asked, created);
  park(deletion);
  EXPECT_GT(stored(kept).record.resource_version(), asked);
  const auto other = create("u2", kMidnight + 1);
  const auto before = stored(other).record.resource_version();
  withdraw(other);
  EXPECT_GT(stored(other).record.resource_version(), before);
}

TEST_F(CallerUsages, GoOnWithTheirVersionsAfterARestart) {
  const auto first = create_at("u1", at(kToday)).resource_version();
  reopen();
  EXPECT_GT(create_at("u2", at(kToday - 50'000)).resource_version(), first);
}

TEST_F(CallerUsages, AreCountedForLifeWithTheSealedOnesAndTheCountNeverFalls) {
  EXPECT_EQ(for_life(), 0U);
  const auto sealed = waiting_usage();
  const auto created = create("u1", kMidnight);
  EXPECT_EQ(for_life(), 2U);
  withdraw(created);
  deliver(sealed);
  EXPECT_EQ(forget_all(), 2U);
  EXPECT_EQ(for_life(), 2U);
  reopen();
  EXPECT_EQ(for_life(), 2U);
  EXPECT_EQ(for_life("sub_2"), 0U);
  EXPECT_EQ(for_life("sub_1", "marketplace"), 0U);
  create("u2", kMidnight, {.upstream = "marketplace"});
  EXPECT_EQ(for_life("sub_1", "marketplace"), 1U);
  EXPECT_EQ(for_life(), 2U);
}

TEST_F(CallerUsages, RememberWhatASubscriptionWasConfiguredWith) {
  const SubscriptionId subscription("sub_1");
  EXPECT_FALSE(must(begin().was_listed(subscription, ItemPriceId("sms-usd"))));
  step([&](WriteTransaction& w) { must(w.put_listed(subscription, ItemPriceId("sms-usd"))); });
  reopen();
  EXPECT_TRUE(must(begin().was_listed(subscription, ItemPriceId("sms-usd"))));
  EXPECT_FALSE(must(begin().was_listed(subscription, ItemPriceId("data-usd"))));
  EXPECT_FALSE(must(begin().was_listed(SubscriptionId("sub_2"), ItemPriceId("sms-usd"))));
}

class RememberedAnswers : public CallerUsages {
 protected:
  static constexpr Milliseconds kWindow{1'800'000};
  // A change and its answer, as one transaction makes them.
  void answer(const std::string& key, const std::string& text, std::int64_t seconds, bool trusted = true) {
    step([&](WriteTransaction& w) {
      must(w.create_usage(caller_usage("of-" + key + std::to_string(seconds), kMidnight + next_date_++, {}),
                          at(seconds, trusted)));
      remember(w, key, text, at(seconds, trusted));
    });
  }
  static void remember(WriteTransaction& w, const std::string& key, const std::string& text,
                       const Moment& moment) {
    v0::IdempotencyKey remembered;
    remembered.set_request_digest("digest");
    remembered.set_answer(text);
    must(w.remember_answer(key, remembered, kWindow, moment));
  }
  std::size_t date_answers(std::int64_t seconds, std::size_t at_most) {
    std::size_t dated = 0;
    step([&](WriteTransaction& w) { dated = must(w.date_answers(at(seconds), at_most)); });
    return dated;
  }
  std::string answered(const std::string& key) {
    const auto known = must(begin().answered(key, kWindow));
    return known ? known->answer() : "none";
  }
  void time_is(std::int64_t seconds) {
    step([&](WriteTransaction& w) { must(w.put_last_trusted(at(seconds))); });
  }
};

TEST_F(RememberedAnswers, AreGivenAgainWithinTheWindow) {
  EXPECT_EQ(answered("k"), "none");
  answer("k", "a", kToday);
  EXPECT_EQ(answered("k"), "a");
  EXPECT_EQ(must(begin().answered("k", kWindow))->request_digest(), "digest");
  answer("other", "b", kToday + 1'800);
  EXPECT_EQ(answered("k"), "a") << "the window's last millisecond";
  EXPECT_EQ(answered("kk"), "none");
}

TEST_F(RememberedAnswers, ExpireByTheTrustedTime) {
  answer("k", "a", kToday);
  time_is(kToday + 7'200);
  EXPECT_EQ(answered("k"), "none");
}

TEST_F(RememberedAnswers, ExpireByTheVersionsThatWereGivenSince) {
  answer("k", "a", kToday);
  create_at("u", at(kToday + 1'801));
  EXPECT_EQ(answered("k"), "none");
}

TEST_F(RememberedAnswers, DoNotExpireByAnUntrustedClock) {
  answer("k", "a", kToday);
  create_at("u", at(kYear2099, false));
  EXPECT_EQ(answered("k"), "a");
}

// How long ago it was is not known: the clock goes from the last trusted time to the next, over any gap.
TEST_F(RememberedAnswers, OfAnUntrustedClockCountFromTheTrustedOne) {
  answer("k", "a", 20, false);
  time_is(kToday);
  EXPECT_EQ(answered("k"), "a");
  answer("later", "b", kToday);
  EXPECT_EQ(answered("k"), "a") << "not forgotten as older than the window either";
  EXPECT_EQ(date_answers(kToday, 100), 1U);
  EXPECT_EQ(date_answers(kToday + 60, 100), 0U) << "once";
  EXPECT_EQ(count(prefix(Kind::key_expiry)), 2U);
  time_is(kToday + 1'800);
  EXPECT_EQ(answered("k"), "a");
  time_is(kToday + 1'801);
  EXPECT_EQ(answered("k"), "none");
  answer("next", "c", kToday + 1'801);
  EXPECT_EQ(count(prefix(Kind::idempotency_key)), 1U);
  EXPECT_EQ(count(prefix(Kind::key_expiry)), 1U);
}

TEST_F(RememberedAnswers, AreDatedSomeAtATime) {
  for (int i = 0; i < 5; ++i) answer("k" + std::to_string(i), "a", 20, false);
  EXPECT_EQ(date_answers(kToday, 3), 3U);
  EXPECT_EQ(date_answers(kToday, 3), 2U);
  EXPECT_EQ(date_answers(kToday, 3), 0U);
}

TEST_F(RememberedAnswers, AreReplacedByTheSameKeyBeforeTheyAreDated) {
  answer("k", "a", 20, false);
  answer("k", "b", kToday);
  EXPECT_EQ(count(prefix(Kind::key_expiry)), 1U);
  EXPECT_EQ(date_answers(kToday, 100), 0U);
}

TEST_F(RememberedAnswers, WithoutAChangeAreAsOldAsTheyAre) {
  create_at("u", at(kToday));
  step([&](WriteTransaction& w) { remember(w, "k", "a", at(kToday + 7'200)); });
  time_is(kToday + 7'200 + 1'800);
  EXPECT_EQ(answered("k"), "a");
  time_is(kToday + 7'200 + 1'801);
  EXPECT_EQ(answered("k"), "none");
}

TEST_F(RememberedAnswers, SurviveARestart) {
  answer("k", "a", kToday);
  reopen();
  EXPECT_EQ(answered("k"), "a");
}

TEST_F(RememberedAnswers, AreReplacedByTheSameKeyAfterItsTime) {
  answer("k", "a", kToday);
  answer("k", "b", kToday + 3'600);
  EXPECT_EQ(answered("k"), "b");
  EXPECT_EQ(count(prefix(Kind::idempotency_key)), 1U);
  EXPECT_EQ(count(prefix(Kind::key_expiry)), 1U);
  answer("z", "c", kToday + 3'600 + 1'700);
  EXPECT_EQ(answered("k"), "b") << "the expiry of the first one is not that of the second";
}

TEST_F(RememberedAnswers, LeaveNothingBehindOnceTheyHaveExpired) {
  for (int i = 0; i < 40; ++i) answer("k" + std::to_string(i), "a", kToday);
  EXPECT_EQ(count(prefix(Kind::idempotency_key)), 40U);
  for (int i = 0; i < 14; ++i) answer("later" + std::to_string(i), "a", kToday + 3'600);
  EXPECT_EQ(count(prefix(Kind::idempotency_key)), 14U);
  EXPECT_EQ(count(prefix(Kind::key_expiry)), 14U);
  EXPECT_EQ(answered("k39"), "none");
  EXPECT_EQ(answered("later0"), "a");
}

TEST_F(RememberedAnswers, OfTheSameKeyExpiredBehindManyOthersHaveOneExpiry) {
  for (int i = 0; i < 10; ++i) answer("a" + std::to_string(i), "a", kToday + i);
  answer("k", "old", kToday + 20);
  answer("k", "new", kToday + 9'000);  // more than it forgets at once stand before it
  EXPECT_EQ(answered("k"), "new");
  for (int i = 0; i < 5; ++i) answer("b" + std::to_string(i), "a", kToday + 9'001);
  EXPECT_EQ(answered("k"), "new");
  EXPECT_EQ(count(prefix(Kind::idempotency_key)), count(prefix(Kind::key_expiry)));
}

}  // namespace
}  // namespace meterd::journal
