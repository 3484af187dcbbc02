// Giving back what a usage charged: within what is left of it, once for each id, and nowhere but where
// credits are taken.
#include "agent/upstream/ledger/ledger.hpp"
#include "agent/upstream/twilio/twilio.hpp"
#include "tests/usages/changes_fixture.hpp"

namespace meterd::usages {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Credits : public ChangesTest {
 protected:
  Credits() {
    auto context = std::make_shared<flush::SealContext>(*rules_.context);
    const auto put = [&](const char* name, std::shared_ptr<const upstream::Upstream> vendor) {
      context->targets[UpstreamName(name)] = {UpstreamName(name), std::move(vendor), {}};
    };
    put("preview", upstream::twilio::make_preview(""));
    put("v1", upstream::twilio::make_v1("", 100));
    put("ledger", upstream::ledger::make());
    rules_.context = context;
  }
  void SetUp() override {
    ChangesTest::SetUp();
    sequence_ = charge("u1", "10");
    deliver(sequence_);
  }
  std::uint64_t charge(const std::string& id, const char* quantity, const char* upstream = "preview") {
    journal::Wanted wanted;
    wanted.quantity = quantity;
    wanted.upstream = upstream;
    return journal::CallerTest::create(id, kMidnight + ++second_, wanted);
  }
  Change give(const std::string& of, const char* quantity, const char* id = nullptr,
              const std::string& reason = "counted twice") {
    meterd::usages::Credit wanted{UsageId(of), q(quantity), {}};
    if (id != nullptr) wanted.id = UsageId(id);
    return change([&](WriteTransaction& w, const Surroundings& around) {
      return usages::credit(w, wanted, {"user 7", reason}, around);
    });
  }
  std::string refusal(const std::string& of, const char* quantity = "1", const char* id = nullptr) {
    const auto change = give(of, quantity, id);
    return change.refusal ? change.refusal->message : "it was given";
  }
  std::string credited(const std::string& id) { return found(id).record.credited(); }
  std::vector<std::string> audits() const {
    std::vector<std::string> out;
    for (const auto& one : must(journal::read_audit(*journal_, 100)))
      out.push_back(one.by() + " " + one.act() + ": " + one.detail());
    return out;
  }

  std::uint64_t sequence_ = 0;
  std::int64_t second_ = 0;
};

TEST_F(Credits, AreUsagesBelowZeroThatWaitWithAnAudit) {
  ASSERT_EQ(text(give("u1", "2.5", "c1")), "done");
  const auto credit = found("c1").record;
  EXPECT_EQ(credit.quantity(), "-2.5");
  EXPECT_EQ(credit.request().body(), "Quantity=-2.5");
  EXPECT_EQ(credit.upstream() + " " + credit.subscription_id() + " " + credit.item_price_id(),
            "preview sub_1 sms-usd");
  EXPECT_EQ(credit.note(), "credit of u1: counted twice");
  EXPECT_EQ(credit.source(), journal::v0::ADMIN_CONSOLE);
  EXPECT_EQ(credit.credit_of(), sequence_);
  EXPECT_EQ(state_of("c1"), UsageState::waiting);
  EXPECT_THAT(in_outbox(), ElementsAre(found("c1").sequence));
  EXPECT_THAT(audits(), ElementsAre("user 7 credit: usage u1, 2.5 of it, as c1: counted twice"));
  EXPECT_EQ(stored(sequence_).record.quantity(), "10") << "what was charged stays what it was";
}

TEST_F(Credits, GetAnIdOfTheirOwnWhereNoneIsGiven) {
  EXPECT_EQ(text(give("u1", "1")), "done");
  EXPECT_EQ(text(give("u1", "1")), "done") << "without an id it is another one";
  EXPECT_EQ(credited("u1"), "2");
  EXPECT_EQ(in_outbox().size(), 2U);
}

TEST_F(Credits, TogetherAreAtMostWhatWasChargedAlsoAfterARestart) {
  ASSERT_EQ(text(give("u1", "4")), "done");
  reopen();
  EXPECT_EQ(credited("u1"), "4");
  EXPECT_EQ(refusal("u1", "6.0000000001"),
            "the usage u1 charged 10, of which 4 is credited: 6 is left, and 6.0000000001 is more");
  EXPECT_EQ(text(give("u1", "6")), "done");
  EXPECT_THAT(refusal("u1", "0.00000001"), HasSubstr("0 is left"));
  EXPECT_EQ(credited("u1"), "10");
  EXPECT_EQ(audits().size(), 2U) << "a refusal leaves none";
}

TEST_F(Credits, OfOneIdAreGivenOnce) {
  ASSERT_EQ(text(give("u1", "10", "c1")), "done");
  EXPECT_EQ(text(give("u1", "10", "c1", "told twice")), "replayed");
  deliver(found("c1").sequence);
  EXPECT_EQ(text(give("u1", "10", "c1")), "replayed");
  EXPECT_EQ(credited("u1"), "10");
  EXPECT_THAT(audits(), testing::SizeIs(1));
  charge("u2", "10");
  deliver(found("u2").sequence);
  EXPECT_THAT(refusal("u1", "9", "c1"), HasSubstr("the id c1 is that of another usage"));
  EXPECT_THAT(refusal("u2", "10", "c1"), HasSubstr("the id c1 is that of another usage"));
  EXPECT_THAT(refusal("u2", "10", "u1"), HasSubstr("the id u1 is that of another usage"));
}

TEST_F(Credits, ThatAreWithdrawnMayBeGivenAgain) {
  ASSERT_EQ(text(give("u1", "10", "c1")), "done");
  ASSERT_EQ(removed("c1"), "done");
  EXPECT_EQ(credited("u1"), "");
  EXPECT_THAT(refusal("u1", "10", "c1"), HasSubstr("a credit that was withdrawn"));
  ASSERT_EQ(text(give("u1", "3", "c2")), "done");
  ASSERT_EQ(text(give("u1", "7", "c3")), "done");
  park(found("c3").sequence);
  ASSERT_EQ(removed("c3"), "done");
  EXPECT_EQ(credited("u1"), "3");
}

TEST_F(Credits, OutliveTheUsageThatTheyAreOf) {
  ASSERT_EQ(text(give("u1", "4", "c1")), "done");
  forget_all();
  EXPECT_EQ(removed("c1"), "done");
  const auto change = give("u1", "1");
  EXPECT_EQ(text(change), "not_found of");
  EXPECT_THAT(change.refusal->message, HasSubstr("may have been forgotten"));
}

TEST_F(Credits, OfAUsageThatIsNotDeliveredAreRefused) {
  const auto sequence = charge("u2", "5");
  EXPECT_THAT(refusal("u2"), HasSubstr("is waiting, and nothing is charged yet: withdraw it"));
  step([&](WriteTransaction& w) { must(w.hold_in_doubt(sequence, "lost")); });
  EXPECT_THAT(refusal("u2"), HasSubstr("in doubt: whether it is charged must be known first; resolve it"));
  park(sequence);
  EXPECT_THAT(refusal("u2"), HasSubstr("is parked: the upstream refused it; withdraw it, or retry"));
  ASSERT_EQ(removed("u2"), "done");
  EXPECT_THAT(refusal("u2"), HasSubstr("was withdrawn, so nothing of it is charged"));
  EXPECT_EQ(text(give("nobody", "1")), "not_found of");
  EXPECT_THAT(audits(), IsEmpty());
}

TEST_F(Credits, OfCreditsAreRefused) {
  ASSERT_EQ(text(give("u1", "4", "c1")), "done");
  EXPECT_THAT(refusal("c1"), HasSubstr("is a credit itself"));
  deliver(found("c1").sequence);
  EXPECT_THAT(refusal("c1"), HasSubstr("is a credit itself"));
  deliver(charge("called", "-3"));
  EXPECT_THAT(refusal("called"), HasSubstr("is a credit itself")) << "one that a caller made";
}

TEST_F(Credits, AreRefusedWhereTheUpstreamTakesNone) {
  deliver(charge("at_v1", "5", "v1"));
  EXPECT_THAT(refusal("at_v1"), HasSubstr("Twilio Marketplace V1 takes no negative quantities: "));
  deliver(charge("at_billing", "5", "billing"));
  EXPECT_THAT(refusal("at_billing"), HasSubstr("takes no credits: withdraw the usage"));
  deliver(charge("here", "5", "ledger"));
  EXPECT_THAT(refusal("here"), HasSubstr("takes no credits: withdraw the usage"));
  deliver(charge("gone", "5", "elsewhere"));
  EXPECT_THAT(refusal("gone"), HasSubstr("elsewhere is not configured"));
  EXPECT_THAT(in_outbox(), IsEmpty());
}

// An upstream that was V1 when it was billed, and is Preview under the same name now.
TEST_F(Credits, OfMoneyAreRefusedWhereUnitsAreCredited) {
  auto wanted = caller_usage("paid", kMidnight + 100, {.upstream = "preview"});
  wanted.usage.quantity = q("400");
  wanted.usage.charge = meter::charge_for(q("400"), {q("0.0075"), 2}, Quantity());
  step([&](WriteTransaction& w) { must(w.create_usage(wanted, now())); });
  deliver(found("paid").sequence);
  EXPECT_THAT(refusal("paid"), HasSubstr("was billed as an amount of money"));
}

TEST_F(Credits, StandOnTheDayOnWhichTheyAreGivenAsTheUsagesZoneCutsIt) {
  auto wanted = caller_usage("late", kMidnight + 200, {.upstream = "preview", .subscription = "sub_9"});
  wanted.zone = "Pacific/Auckland";  // 13 hours ahead
  step([&](WriteTransaction& w) { must(w.create_usage(wanted, now())); });
  deliver(found("late").sequence);
  at_ = now();
  at_->wall = WallTime::from_seconds(kMidnight + 20 * 3'600);
  ASSERT_EQ(text(give("late", "1", "c1")), "done");
  EXPECT_EQ(UsageDay(found("c1").record.day()).iso(), "2026-11-23") << "there it is the next day already";
  EXPECT_EQ(found("c1").record.usage_date(), at_->wall.seconds().count());
}

}  // namespace
}  // namespace meterd::usages
