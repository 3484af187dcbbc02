// Which usages are part of which invoice, and what is known of a usage that somebody else names.
#include "tests/journal/caller_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Invoiced : public CallerTest {
 protected:
  void attach(std::uint64_t sequence, const std::string& invoice) {
    step([&](WriteTransaction& w) { must(w.attach(sequence, invoice, invoice + "-1", now())); });
  }
  std::size_t detach(const char* upstream, const std::string& invoice, std::size_t at_most = 100) {
    std::size_t out = 0;
    step([&](WriteTransaction& w) { out = must(w.detach(UpstreamName(upstream), invoice, at_most, now())); });
    return out;
  }
  std::vector<std::uint64_t> on(const char* upstream, const std::string& invoice) {
    const WriteTransaction txn(must(journal_->begin_read()));
    std::vector<std::uint64_t> out;
    for (const auto& one : must(txn.usages_of_invoice(UpstreamName(upstream), invoice, 100)))
      out.push_back(one.sequence);
    return out;
  }
  std::uint64_t at_marketplace(const std::string& id, std::int64_t usage_date) {
    Wanted wanted;
    wanted.upstream = "marketplace";
    return create(id, usage_date, wanted);
  }
  KnownUsage known(const std::string& id, std::int64_t usage_date, const char* item_price = "sms-usd") {
    const meter::SeriesKey series{UpstreamName("billing"), SubscriptionId("sub_1"), ItemPriceId(item_price)};
    return must(read_known(*journal_, {{UsageId(id), series, usage_date}})).at(0);
  }
};

TEST_F(Invoiced, AUsageIsPartOfOneInvoice) {
  const auto u1 = create("u1", kMidnight);
  attach(u1, "inv_1");
  EXPECT_THAT(on("billing", "inv_1"), ElementsAre(u1));
  attach(u1, "inv_2");
  EXPECT_THAT(on("billing", "inv_1"), IsEmpty());
  EXPECT_THAT(on("billing", "inv_2"), ElementsAre(u1));
  EXPECT_EQ(stored(u1).record.line_item_id(), "inv_2-1");
  attach(u1, "");
  EXPECT_THAT(on("billing", "inv_2"), IsEmpty());
}

TEST_F(Invoiced, TheInvoicesOfTwoUpstreamsHaveNothingToDoWithEachOther) {
  const auto ours = create("u1", kMidnight);
  const auto theirs = at_marketplace("u2", kMidnight);
  attach(ours, "1");
  attach(theirs, "1");
  EXPECT_THAT(on("billing", "1"), ElementsAre(ours));
  EXPECT_EQ(detach("billing", "1"), 1U);
  EXPECT_THAT(on("billing", "1"), IsEmpty());
  EXPECT_THAT(on("marketplace", "1"), ElementsAre(theirs));
  EXPECT_EQ(stored(theirs).record.invoice_id(), "1");
}

TEST_F(Invoiced, IsGivenBackAFewAtATime) {
  for (int i = 0; i < 5; ++i) attach(create("u" + std::to_string(i), kMidnight + i), "inv_1");
  EXPECT_EQ(detach("billing", "inv_1", 2), 2U);
  EXPECT_EQ(on("billing", "inv_1").size(), 3U);
  EXPECT_EQ(detach("billing", "inv_1", 100), 3U);
}

TEST_F(Invoiced, OneThatWasLostDoesNotHoldUpTheOthers) {
  const auto lost = create("u1", kMidnight);
  const auto kept = create("u2", kMidnight + 1);
  attach(lost, "inv_1");
  attach(kept, "inv_1");
  put_raw(usage_key(lost), "damaged");
  auto write = begin();  // the journal is not sound, so no step()
  EXPECT_EQ(must(write.detach(UpstreamName("billing"), "inv_1", 100, now())), 2U);
  must(write.commit());
  EXPECT_EQ(stored(kept).record.invoice_id(), "");
  EXPECT_THAT(on("billing", "inv_1"), IsEmpty());
}

TEST_F(Invoiced, ADeletionThatTheUpstreamRefusedForItsInvoiceIsGivenUp) {
  const auto u1 = delivered("u1", kMidnight);
  const auto other = delivered("u2", kMidnight + 1);
  park(ask_to_delete(u1));
  const auto waiting = ask_to_delete(other);
  EXPECT_EQ(in_outbox().size(), 2U);
  step([&](WriteTransaction& w) { must(w.note_invoice(u1, "inv_1", "li_1", now())); });
  EXPECT_THAT(in_outbox(), ElementsAre(waiting));
  EXPECT_TRUE(is_listed_now(u1));
  EXPECT_EQ(stored(u1).record.invoice_id(), "inv_1");
}

TEST_F(Invoiced, WhatIsForgottenIsOnNoInvoice) {
  const auto u1 = delivered("u1", kMidnight);
  attach(u1, "inv_1");
  EXPECT_EQ(forget_all(), 1U);
  EXPECT_THAT(on("billing", "inv_1"), IsEmpty());
  EXPECT_THAT(report().problems, IsEmpty());
}

TEST_F(Invoiced, TheCheckNamesAnEntryThatIsMissingOrWrong) {
  const auto u1 = create("u1", kMidnight);
  attach(u1, "inv_1");
  const auto entry = invoiced_key(UpstreamName("billing"), "inv_1", u1);
  erase_raw(entry);
  EXPECT_THAT(report().problems, ElementsAre(HasSubstr("u1 is missing among those of its invoice")));
  put_raw(entry, wrap(entry, {}));
  EXPECT_THAT(report().problems, IsEmpty());
  const auto other = invoiced_key(UpstreamName("billing"), "inv_2", u1);
  put_raw(other, wrap(other, {}));
  EXPECT_THAT(report().problems, ElementsAre(HasSubstr("names a usage that is not part of it")));
  erase_raw(other);
  const auto nobodys = invoiced_key(UpstreamName("billing"), "inv_1", 999);
  put_raw(nobodys, wrap(nobodys, {}));
  EXPECT_THAT(report().problems, ElementsAre(HasSubstr("there is not")));
}

TEST_F(Invoiced, AnUpstreamsSubscriptionsAreWalkedOneByOne) {
  Wanted wanted;
  for (const auto* subscription : {"b", "a", "longer"}) {
    wanted.subscription = subscription;
    create(std::string("u-") + subscription, kMidnight, wanted);
  }
  at_marketplace("u-other", kMidnight);
  std::vector<std::string> walked;
  SubscriptionId after;
  while (const auto next = must(read_next_subscription(*journal_, UpstreamName("billing"), after))) {
    after = *next;
    walked.push_back(after.value());
  }
  EXPECT_THAT(walked, ElementsAre("a", "b", "longer"));
}

TEST_F(Invoiced, WhatWasForgottenIsKnownByItsDay) {
  EXPECT_FALSE(known("gone", kMidnight + 50).forgotten);
  delivered("gone", kMidnight + 100);
  forget_all();
  EXPECT_TRUE(known("gone", kMidnight + 100).forgotten);
  EXPECT_TRUE(known("other", kMidnight + 50).forgotten);    // may have been
  EXPECT_FALSE(known("other", kMidnight + 101).forgotten);  // the last that was had an earlier date
  EXPECT_FALSE(known("other", kMidnight - 1).forgotten);    // the day before
  EXPECT_FALSE(known("other", kMidnight + 50, "mms-usd").forgotten);
  EXPECT_FALSE(known("other", 0).forgotten);
}

TEST_F(Invoiced, WhatNoKeyHoldsIsUnknownAndWhatCannotBeReadIsDamaged) {
  EXPECT_FALSE(known(std::string(256, 'x'), kMidnight).stored);
  EXPECT_FALSE(known("u1", kMidnight, std::string(256, 'x').c_str()).stored);
  const auto u1 = create("u1", kMidnight);
  EXPECT_EQ(known("u1", kMidnight).stored->sequence, u1);
  put_raw(usage_key(u1), "damaged");
  EXPECT_TRUE(known("u1", kMidnight).damaged);
}

}  // namespace
}  // namespace meterd::journal
