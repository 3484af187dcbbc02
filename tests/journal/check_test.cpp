// The full check: silent on a sound journal, and it names every kind of damage. Negative controls for all the
// other tests, which rely on it.
#include "agent/journal/records.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class JournalCheck : public JournalTest {
 protected:
  void SetUp() override {
    open();
    sequence_ = waiting_usage();
    step([&](WriteTransaction& w) { must(w.add(bucket("open"), tally("4", 2), opening(5'000))); });
    step([&](WriteTransaction& w) {
      must(w.add(bucket("done"), tally("8"), opening()));
      must(w.deliver(seal(w, bucket("done")), "r", now()));
    });
  }

  void change_balance(const meter::BucketKey& key, const std::function<void(Balance&)>& change) {
    auto balance = balance_of(key);
    change(balance);
    put_raw(balance_key(key), wrap(balance_key(key), encode(balance)));
  }
  void change_usage(const std::function<void(UsageRecord&)>& change) {
    auto record = stored(sequence_).record;
    change(record);
    put_raw(usage_key(sequence_), wrap(usage_key(sequence_), record.SerializeAsString()));
  }
  std::vector<std::string> problems() const { return report().problems; }

  std::uint64_t sequence_ = 0;
};

TEST_F(JournalCheck, AddsUpEveryPartOfASoundJournal) {
  const auto sums = report();
  EXPECT_THAT(sums.problems, IsEmpty());
  EXPECT_EQ(sums.balances, 3U);
  EXPECT_EQ(sums.usages, 2U);
  EXPECT_EQ(sums.accepted, q("13"));
  EXPECT_EQ(sums.open, q("4"));
  EXPECT_EQ(sums.waiting, q("1"));
  EXPECT_EQ(sums.delivered, q("8"));
}

TEST_F(JournalCheck, ReportsABalanceWhoseAcceptedIsNotItsSum) {
  change_balance(bucket("open"), [](Balance& b) { b.accepted += q("0.00000000000000000001"); });
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("billing/sub_1/open/2026-11-22: accepted is not the sum")));
}

TEST_F(JournalCheck, ReportsAQuantityMovedBetweenParts) {
  change_balance(bucket(), [](Balance& b) {
    b.waiting -= q("1");
    b.delivered += q("1");
  });
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("not the sums of its usages")));
}

TEST_F(JournalCheck, ReportsAUsageWithAnotherQuantity) {
  change_usage([](UsageRecord& r) { r.set_quantity("1.00000000000000000001"); });
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("not the sums of its usages")));
}

TEST_F(JournalCheck, ReportsALostBalance) {
  erase_raw(balance_key(bucket()));
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("has usages and no balance")));
}

TEST_F(JournalCheck, ReportsALostUsage) {
  erase_raw(usage_key(sequence_));
  EXPECT_THAT(problems(), Contains(HasSubstr("not the sums of its usages")));
}

TEST_F(JournalCheck, ReportsALostOutboxEntry) {
  erase_raw(outbox_key(UpstreamName("billing"), {Lane::ready, {}, sequence_}));
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("is not in the outbox")));
}

TEST_F(JournalCheck, ReportsAnOutboxEntryInTheWrongLane) {
  change_usage([](UsageRecord& r) { r.set_state(v0::PARKED); });
  EXPECT_THAT(problems(), Contains(HasSubstr("is not in the outbox")));
}

TEST_F(JournalCheck, ReportsALostIdDateOrRequest) {
  const auto usage = usage_of(stored(sequence_).record);
  erase_raw(usage_id_key(usage.id));
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("is not found by its id")));
  erase_raw(taken_key(usage.series, usage.usage_date, sequence_));
  EXPECT_THAT(problems(), Contains(HasSubstr("does not hold its usage_date")));
  change_usage([](UsageRecord& r) { r.clear_request(); });
  EXPECT_THAT(problems(), Contains(HasSubstr("without an encoded request")));
}

TEST_F(JournalCheck, ReportsAnOpenBucketThatNoSealWillFind) {
  erase_raw(seal_due_key(5'000, bucket("open")));
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("an open bucket that no seal will find")));
}

TEST_F(JournalCheck, ReportsAnOpenQuantityWithoutEvents) {
  change_balance(bucket("open"), [](Balance& b) { b.open_events = 0; });
  EXPECT_THAT(problems(), Contains(HasSubstr("an open quantity without events")));
}

TEST_F(JournalCheck, ReportsRecordsThatFailTheirChecksum) {
  for (const auto& key : {usage_key(sequence_), balance_key(bucket("open"))}) {
    std::string value = get_raw(key);
    value.back() = static_cast<char>(value.back() ^ 1);
    put_raw(key, value);
  }
  EXPECT_THAT(problems(), Contains(HasSubstr("a usage record cannot be read")));
  EXPECT_THAT(problems(), Contains(HasSubstr("a balance record cannot be read")));
}

TEST_F(JournalCheck, ListsABoundedNumberOfProblems) {
  step([&](WriteTransaction& w) {
    for (int i = 0; i < 150; ++i)
      must(w.add(bucket(("item-" + std::to_string(i)).c_str()), tally("1"), opening(6'000)));
  });
  auto txn = must(journal_->begin_write());
  for (int i = 0; i < 150; ++i)
    must(txn.erase(seal_due_key(6'000, bucket(("item-" + std::to_string(i)).c_str()))));
  must(txn.commit());
  EXPECT_EQ(problems().size(), 100U);
}

class JournalCorruptRecord : public JournalCheck {};

TEST_F(JournalCorruptRecord, IsCorruptToEveryReaderOfIt) {
  std::string value = get_raw(usage_key(sequence_));
  const auto id = UsageId(stored(sequence_).record.id());
  value[4] = static_cast<char>(value[4] ^ 0x80);
  put_raw(usage_key(sequence_), value);
  EXPECT_EQ(begin().usage(sequence_).error().code, Code::corrupt);
  EXPECT_EQ(begin().find_usage(id).error().code, Code::corrupt);
  EXPECT_EQ(begin().deliver(sequence_, "r", now()).error().code, Code::corrupt);
  EXPECT_EQ(read_usage(*journal_, id).error().code, Code::corrupt);
  EXPECT_EQ(read_outbox(*journal_, 10).error().code, Code::corrupt);
}

TEST_F(JournalCorruptRecord, IsCorruptWhenItBelongsUnderAnotherKey) {
  put_raw(usage_key(99), get_raw(usage_key(sequence_)));
  EXPECT_EQ(begin().usage(99).error().code, Code::corrupt);
}

TEST_F(JournalCorruptRecord, IsCorruptWhenAnUpstreamsStateOrTheGeneralRecordIs) {
  put_raw(upstream_key(UpstreamName("billing")), "xx");
  EXPECT_EQ(begin().upstream(UpstreamName("billing")).error().code, Code::corrupt);
  EXPECT_EQ(read_overview(*journal_).error().code, Code::corrupt);
  put_raw(general_key(), "xxxxx");
  EXPECT_EQ(begin().put_last_trusted(now()).error().code, Code::corrupt);
}

}  // namespace
}  // namespace meterd::journal
