// Negative controls: the full check names everything that is wrong about deletions, their order, and the
// indexes of the Usages API.
#include <functional>

#include "tests/journal/caller_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What callers of the device's Usages API leave behind.
class JournalCheckUsages : public CallerTest {
 protected:
  void SetUp() override {
    CallerTest::SetUp();
    usage_ = delivered("u1", kMidnight);
    deletion_ = ask_to_delete(usage_);
    next_ = create_behind(deletion_, "u2", kMidnight);
  }
  void change(std::uint64_t sequence, const std::function<void(UsageRecord&)>& change) {
    auto record = stored(sequence).record;
    change(record);
    put_raw(usage_key(sequence), wrap(usage_key(sequence), record.SerializeAsString()));
  }
  void erase_entry(const OutboxEntry& entry) { erase_raw(outbox_key(UpstreamName("billing"), entry)); }
  std::vector<std::string> problems() const { return report().problems; }

  std::uint64_t usage_ = 0, deletion_ = 0, next_ = 0;
};

TEST_F(JournalCheckUsages, CountsNoDeletionAsAUsage) {
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_EQ(report().usages, 2U);
}

TEST_F(JournalCheckUsages, ReportsOneThatIsNotLetGo) {
  change(deletion_, [](UsageRecord& r) { r.set_followed_by(0); });
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("usage u2 waits for one that will not let it go")));
}

TEST_F(JournalCheckUsages, ReportsOneThatWaitsForWhatHasEnded) {
  change(next_, [&](UsageRecord& r) { r.set_behind(usage_); });
  change(usage_, [&](UsageRecord& r) { r.set_followed_by(next_); });
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("usage u2 waits for one that will not let it go")));
}

TEST_F(JournalCheckUsages, ReportsALostDeletion) {
  erase_raw(usage_key(deletion_));
  erase_entry({Lane::ready, {}, deletion_});
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("usage u1 is to be deleted and has no deletion"),
                                      HasSubstr("usage u2 waits for one that will not let it go")));
}

TEST_F(JournalCheckUsages, ReportsADeletionOfAnother) {
  change(deletion_, [&](UsageRecord& r) { r.set_deletes(next_); });
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("usage u1 is to be deleted and has no deletion")));
}

TEST_F(JournalCheckUsages, ReportsADeletionThatIsNotInTheOutboxOrHasNoRequest) {
  erase_entry({Lane::ready, {}, deletion_});
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("usage u1 has no end and is not in the outbox")));
  change(deletion_, [](UsageRecord& r) { r.clear_request(); });
  EXPECT_THAT(problems(), Contains(HasSubstr("usage u1 waits without an encoded request")));
}

TEST_F(JournalCheckUsages, ReportsOneThatStandsInTheLaneOfThoseWhoMayGo) {
  const auto right = outbox_key(UpstreamName("billing"), {Lane::behind, {}, next_});
  const auto wrong = outbox_key(UpstreamName("billing"), {Lane::ready, {}, next_});
  put_raw(wrong, wrap(wrong, {}));
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("an entry of the outbox that is no usage's")));
  erase_raw(right);
  EXPECT_THAT(problems(), Contains(HasSubstr("usage u2 has no end and is not in the outbox")));
}

TEST_F(JournalCheckUsages, ReportsMoreCreditThanWasCharged) {
  change(next_, [](UsageRecord& r) { r.set_credited("1"); });
  EXPECT_THAT(problems(), IsEmpty());
  change(next_, [](UsageRecord& r) { r.set_credited("1.1"); });
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("usage u2: more of it is credited than it charged")));
  change(next_, [](UsageRecord& r) { r.set_credited("one"); });
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("usage u2: more of it is credited than it charged")));
}

TEST_F(JournalCheckUsages, ReportsAUsageThatIsMissingAmongThoseOfItsSubscription) {
  erase_raw(by_subscription_key(SubscriptionId("sub_1"), next_));
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("usage u2 is missing among those of its subscription")));
  const auto nobodys = by_subscription_key(SubscriptionId("sub_1"), 99);
  put_raw(nobodys, wrap(nobodys, {}));
  EXPECT_THAT(problems(), Contains(HasSubstr("a record names a usage that there is not")));
}

TEST_F(JournalCheckUsages, ReportsAnEndThatIsNotInTheHistoryAndAnEntryThatIsNobodysEnd) {
  const auto other = delivered("u3", kMidnight + 1);
  const auto ended_s = stored(other).record.ended_at_ms() / 1'000;
  erase_raw(history_key(ended_s, other));
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("usage u3 has ended and will never be forgotten")));
  const auto expect_nobodys = [&](const std::string& key) {
    put_raw(key, wrap(key, {}));
    EXPECT_THAT(problems(), Contains(HasSubstr("an entry of the history that is no usage's")));
    erase_raw(key);
  };
  expect_nobodys(history_key(ended_s + 1, other));
  expect_nobodys(history_key(ended_s, next_));
  expect_nobodys(history_key(stored(usage_).record.ended_at_ms() / 1'000, usage_));  // its deletion waits
  const auto nobodys = history_key(ended_s, 99);
  put_raw(nobodys, wrap(nobodys, {}));
  EXPECT_THAT(problems(), Contains(HasSubstr("a record names a usage that there is not")));
}

}  // namespace
}  // namespace meterd::journal
