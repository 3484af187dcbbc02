// Delivery to an upstream that can be asked once only: what is on its way is in doubt until its answer is in
// the journal, and what an amount leaves over is kept.
#include <gmock/gmock.h>

#include "tests/journal/caller_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const UpstreamName kUpstream("billing");

class Doubt : public CallerTest {
 protected:
  // The sequences of the request that would leave now.
  std::vector<std::uint64_t> begin_request(std::size_t at_most, std::int64_t since_boot_ms = 0) {
    std::vector<std::uint64_t> out;
    step([&](WriteTransaction& w) {
      for (const auto& one : must(w.begin_unrepeatable(kUpstream, now(since_boot_ms), at_most)))
        out.push_back(one.sequence);
    });
    return out;
  }
  static Wanted of(const char* subscription, const char* item_price = "sms-usd") {
    Wanted wanted;
    wanted.subscription = subscription;
    wanted.item_price = item_price;
    return wanted;
  }
};

TEST_F(Doubt, BeginsBeforeTheFirstByteAndOutlivesACrash) {
  const auto sequence = create("u1", kMidnight);
  EXPECT_THAT(begin_request(10), ElementsAre(sequence));
  reopen();
  EXPECT_EQ(state(sequence), UsageState::in_doubt);
  EXPECT_EQ(upstream().in_doubt(), 1U);
  EXPECT_EQ(upstream().waiting(), 0U);
  EXPECT_EQ(stored(sequence).record.attempts(), 1U);
  EXPECT_THAT(begin_request(10), IsEmpty()) << "never again by itself";
  EXPECT_EQ(must(begin().in_doubt(kUpstream, 0, 10)).size(), 1U);
}

TEST_F(Doubt, EndsWithTheAnswer) {
  const auto delivered = create("u1", kMidnight);
  const auto again = create("u2", kMidnight + 1);
  const auto unsent = create("u3", kMidnight + 2);
  const auto held = create("u4", kMidnight + 3);
  EXPECT_THAT(begin_request(10), ElementsAre(delivered, again, unsent, held));
  step([&](WriteTransaction& w) {
    must(w.deliver(delivered, "202", now()));
    must(w.retry(again, {}, "submitted=false"));
    must(w.unsend(unsent));
    must(w.hold_in_doubt(held, "receive: reset"));
  });
  EXPECT_EQ(state(delivered), UsageState::delivered);
  EXPECT_EQ(state(again), UsageState::waiting);
  EXPECT_EQ(stored(unsent).record.attempts(), 0U);
  EXPECT_EQ(state(held), UsageState::in_doubt);
  EXPECT_EQ(stored(held).record.last_error(), "receive: reset");
  EXPECT_THAT(begin_request(10), ElementsAre(again, unsent));
}

TEST_F(Doubt, ThatAPolicySentAgainIsRememberedUntilAnOperatorLooks) {
  const auto sequence = create("u1", kMidnight);
  begin_request(1);
  step([&](WriteTransaction& w) { must(w.resend(sequence, {1, 5'000}, "as declared")); });
  reopen();
  EXPECT_EQ(state(sequence), UsageState::waiting);
  EXPECT_TRUE(stored(sequence).record.resent());
  EXPECT_EQ(stored(sequence).record.last_error(), "as declared");
  EXPECT_EQ(stored(sequence).record.due_ms(), 5'000);
  step([&](WriteTransaction& w) { must(w.retry(sequence, {}, "429")); });
  EXPECT_TRUE(stored(sequence).record.resent()) << "what became of the first request is still not known";
  begin_request(1);
  step([&](WriteTransaction& w) { must(w.return_to_waiting(sequence, {}, "it is not there")); });
  EXPECT_FALSE(stored(sequence).record.resent());
}

TEST_F(Doubt, ARequestIsOfOneSubscriptionInJournalOrder) {
  const auto a1 = create("a1", kMidnight, of("sub_a"));
  const auto b1 = create("b1", kMidnight, of("sub_b"));
  const auto a2 = create("a2", kMidnight + 1, of("sub_a", "mms-usd"));
  const auto b2 = create("b2", kMidnight + 1, of("sub_b"));
  const auto a3 = create("a3", kMidnight + 2, of("sub_a"));
  Wanted elsewhere = of("sub_a");
  elsewhere.upstream = "other";
  create("x", kMidnight + 9, elsewhere);
  EXPECT_THAT(begin_request(2), ElementsAre(a1, a2));
  EXPECT_THAT(begin_request(10), ElementsAre(b1, b2));
  EXPECT_THAT(begin_request(10), ElementsAre(a3));
}

TEST_F(Doubt, WhatIsNotDueOrAloneIsNotTakenAlong) {
  const auto first = create("u1", kMidnight);
  const auto delayed = create("u2", kMidnight + 1);
  const auto alone = create("u3", kMidnight + 2);
  EXPECT_THAT(begin_request(10), ElementsAre(first, delayed, alone));
  step([&](WriteTransaction& w) {
    must(w.retry(first, {}, "again"));
    must(w.retry(delayed, {now().boot.boot_number, 60'000}, "later"));
    must(w.retry_alone(alone, "400"));
  });
  EXPECT_THAT(begin_request(10), ElementsAre(first));
  EXPECT_THAT(begin_request(10), ElementsAre(alone));
  const auto last = create("u4", kMidnight + 3);
  EXPECT_THAT(begin_request(10, 60'000), ElementsAre(delayed, last));
}

class CarryTest : public CallerTest {};

TEST_F(CarryTest, IsWrittenWithTheUsageAndReadBack) {
  const auto created = [&](const std::string& id, std::int64_t date, const char* amount, const char* in,
                           const char* out) {
    auto usage = caller_usage(id, date, {});
    usage.usage.charge = meter::Charge{q(amount), q("0.0075"), q(in), q(out)};
    std::uint64_t sequence = 0;
    step([&](WriteTransaction& w) {
      EXPECT_EQ(must(w.carry(usage.usage.series)).amount, q(in));
      sequence = must(w.create_usage(usage, now())).sequence;
    });
    return sequence;
  };
  created("u1", kMidnight, "0", "0", "0.0075");
  const auto second = created("u2", kMidnight + 1, "0.01", "0.0075", "0.005");
  reopen();
  EXPECT_EQ(usage_of(stored(second).record).charge,
            (meter::Charge{q("0.01"), q("0.0075"), q("0.0075"), q("0.005")}));
  EXPECT_EQ(must(begin().carry(caller_usage("u", 0, {}).usage.series)).amount, q("0.005"));
  EXPECT_THAT(report().problems, IsEmpty());
}

TEST_F(CarryTest, ThatDoesNotAddUpIsAProblem) {
  auto usage = caller_usage("u1", kMidnight, {});
  usage.usage.charge = meter::Charge{q("0.01"), q("0.0075"), {}, q("0.0075")};
  {
    auto write = begin();
    must(write.create_usage(usage, now()));
    must(write.commit());
  }
  EXPECT_THAT(report().problems,
              ElementsAre(::testing::HasSubstr("its amount is not what its quantity costs")));
}

TEST_F(CarryTest, OfWhichTheRecordCannotBeReadIsSetAside) {
  auto usage = caller_usage("u1", kMidnight, {});
  usage.usage.charge = meter::Charge{{}, q("0.0075"), {}, q("0.0075")};
  step([&](WriteTransaction& w) { must(w.create_usage(usage, now())); });
  put_raw(carry_key(usage.usage.series), "damaged");
  {
    auto write = begin();
    EXPECT_EQ(must(write.carry(usage.usage.series)).amount, Quantity());
    must(write.commit());
  }
  EXPECT_THAT(report().set_aside_records, ElementsAre(::testing::HasSubstr("what rounding left of")));
}

}  // namespace
}  // namespace meterd::journal
