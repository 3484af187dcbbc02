// Repair: what cannot be read is set aside and counted, and the rest goes on.
#include "agent/journal/records.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class JournalRepair : public JournalTest {
 protected:
  void SetUp() override { open(); }
  void damage(const std::string& key) {
    std::string value = get_raw(key);
    value.back() = static_cast<char>(value.back() ^ 1);
    put_raw(key, value);
  }
  std::uint64_t set_aside() const { return must(read_overview(*journal_)).set_aside; }
};

TEST_F(JournalRepair, SetsAnUnreadableRecordAsideAndCountsIt) {
  const auto key = counter_key("wwan0");
  put_raw(key, "not a record");
  step([&](WriteTransaction& w) { must(w.set_aside(key)); });
  EXPECT_EQ(get_raw(key), "");
  const std::string aside = prefix(Kind::set_aside) + number_value(0) + key;
  EXPECT_EQ(must(unwrap(aside, get_raw(aside))), "not a record");
  EXPECT_EQ(must(read_overview(*journal_)).set_aside, 1U);
  step([&](WriteTransaction& w) { must(w.set_aside(key)); });  // nothing there any more
  EXPECT_EQ(must(read_overview(*journal_)).set_aside, 1U);
}

TEST_F(JournalRepair, SendsTheOthersWhenOneUsageCannotBeRead) {
  const auto first = waiting_usage();
  const auto second = waiting_usage();
  const auto third = waiting_usage();
  const auto usage = usage_of(stored(second).record);
  damage(usage_key(second));
  std::vector<std::uint64_t> sent;
  const auto attempt = [&] {
    sent.clear();
    auto write = begin();
    for (const auto& u : must(write.begin_attempts(UpstreamName("billing"), now(), 10)))
      sent.push_back(u.sequence);
    must(write.commit());
  };
  attempt();
  EXPECT_THAT(sent, ElementsAre(first, third));
  EXPECT_EQ(set_aside(), 1U);
  EXPECT_EQ(get_raw(usage_key(second)), "");
  attempt();
  EXPECT_THAT(sent, ElementsAre(first, third));
  EXPECT_EQ(set_aside(), 1U) << "once";
  const auto balance = balance_of(bucket());
  EXPECT_EQ(balance.set_aside, q("1")) << "what its record cannot say any more, the balance sheet does";
  EXPECT_EQ(balance.waiting, q("2"));
  EXPECT_EQ(balance.accepted, q("3"));
  EXPECT_EQ(upstream().waiting(), 2U);
  expect_sound();
  EXPECT_THAT(report().set_aside_records, ElementsAre(HasSubstr("of billing/sub_1/sms-usd, usage_date " +
                                                                std::to_string(usage.usage_date))));
  EXPECT_THAT(report().set_aside_records, ElementsAre(HasSubstr("usage " + usage.id.value())));
}

TEST_F(JournalRepair, MakesABalanceAgainFromItsUsagesAndGoesOn) {
  const auto delivered = waiting_usage();
  step([&](WriteTransaction& w) { must(w.deliver(delivered, "r", now())); });
  const auto parked = waiting_usage();
  step([&](WriteTransaction& w) { must(w.park(parked, "refused", now())); });
  const auto first = waiting_usage();
  step([&](WriteTransaction& w) { supersede(w, first); });
  step([&](WriteTransaction& w) { must(w.add(bucket("sms-usd", "2026-11-23"), tally("40"), opening())); });
  damage(balance_key(bucket()));
  EXPECT_EQ(begin().balance(bucket()).error().code, Code::corrupt);

  step([&](WriteTransaction& w) { must(w.rebuild_balance(bucket(), "UTC")); });
  const auto b = balance_of(bucket());
  EXPECT_EQ(b.delivered, q("1"));
  EXPECT_EQ(b.parked, q("1"));
  EXPECT_EQ(b.waiting, q("1"));
  EXPECT_EQ(b.accepted, q("3"));
  EXPECT_EQ(b.next_revision, 1'004U) << "no revision is used twice, not even one whose usage was pruned";
  EXPECT_EQ(set_aside(), 1U);
  waiting_usage();
  EXPECT_EQ(balance_of(bucket()).next_revision, 1'005U);
}

TEST_F(JournalRepair, KeepsTheOpenPartOfALostBalanceInTheRecordSetAside) {
  step([&](WriteTransaction& w) { must(w.add(bucket(), tally("7"), opening(1'000))); });
  const auto key = balance_key(bucket());
  const std::string whole = get_raw(key);
  damage(key);
  step([&](WriteTransaction& w) { must(w.rebuild_balance(bucket(), "UTC")); });
  EXPECT_TRUE(balance_of(bucket()).accepted.is_zero());
  const std::string aside = prefix(Kind::set_aside) + number_value(0) + key;
  const auto kept = get_raw(aside);
  EXPECT_EQ(must(unwrap(aside, kept)).size(), whole.size());
  // Its old entry among the due ones goes when its turn comes.
  step([&](WriteTransaction& w) {
    for (const auto& one : must(w.due_buckets(now().wall, 10))) must(w.postpone_seal(one, 9'000));
  });
  EXPECT_EQ(count(prefix(Kind::seal_due)), 0U);
}

TEST_F(JournalRepair, KeepsEveryRecordSetAsideEvenFromTheSamePlace) {
  for (const char* item : {"7", "8"}) {
    step([&](WriteTransaction& w) { must(w.add(bucket(), tally(item), opening())); });
    damage(balance_key(bucket()));
    step([&](WriteTransaction& w) { must(w.rebuild_balance(bucket(), "UTC")); });
  }
  EXPECT_EQ(set_aside(), 2U);
  EXPECT_EQ(count(prefix(Kind::set_aside)), 2U);
}

}  // namespace
}  // namespace meterd::journal
