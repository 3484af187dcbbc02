// What a usage that the upstream lists means, beside what the journal knows under its id.
#include "agent/flush/compare.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace meterd::flush {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace v0 = journal::v0;

const meter::SeriesKey kSeries{UpstreamName("billing"), SubscriptionId("sub_1"), ItemPriceId("sms-usd")};

upstream::ListedUsage theirs(const char* quantity = "5.0") {
  upstream::ListedUsage out;
  out.id = UsageId("u1");
  out.item_price = kSeries.item_price;
  out.usage_date = 1'000;
  out.quantity = quantity;
  return out;
}
journal::KnownUsage ours(v0::UsageState state = v0::DELIVERED) {
  journal::KnownUsage out;
  out.stored.emplace();
  auto& record = out.stored->record;
  record.set_id("u1");
  record.set_upstream("billing");
  record.set_subscription_id("sub_1");
  record.set_item_price_id("sms-usd");
  record.set_usage_date(1'000);
  record.set_quantity("5");
  record.set_state(state);
  return out;
}
Judged judge(const upstream::ListedUsage& listed, const journal::KnownUsage& known) {
  return judge_listed({"abcdefgh", false}, kSeries, listed, known);
}

TEST(JudgeListed, WhatWasDeliveredIsThere) {
  const auto judged = judge(theirs(), ours());
  EXPECT_THAT(judged.differs, IsEmpty());
  EXPECT_TRUE(judged.delivered);
  EXPECT_FALSE(judged.adopt);
}

TEST(JudgeListed, EachFieldThatWasAlteredIsNamed) {
  auto other = theirs("7");
  other.usage_date = 2'000;
  other.item_price = ItemPriceId("mms-usd");
  const auto judged = judge(other, ours());
  EXPECT_THAT(judged.differs, HasSubstr("quantity (theirs 7, ours 5)"));
  EXPECT_THAT(judged.differs, HasSubstr("usage_date (theirs 2000, ours 1000)"));
  EXPECT_THAT(judged.differs, HasSubstr("item_price_id (theirs mms-usd, ours sms-usd)"));
  EXPECT_THAT(judge(theirs("much"), ours()).differs, HasSubstr("quantity (theirs much, ours 5)"));
}

TEST(JudgeListed, WhatTheJournalNeverMadeIsNotOurs) {
  EXPECT_THAT(judge(theirs(), {}).differs, HasSubstr("not ours"));
  auto elsewhere = ours();
  elsewhere.stored->record.set_subscription_id("sub_2");
  EXPECT_THAT(judge(theirs(), elsewhere).differs, HasSubstr("sub_2"));
  EXPECT_FALSE(judge(theirs(), elsewhere).delivered);
}

TEST(JudgeListed, WhatTheOriginalOfACopyMadeIsOurs) {
  auto later = theirs();
  later.id = UsageId("abcdefgh-zzzzzzzzzzzzzzzzzzzzzzzzzz");
  const auto judged = judge_listed({"abcdefgh", true}, kSeries, later, {});
  EXPECT_THAT(judged.differs, IsEmpty());
  EXPECT_TRUE(judged.forgotten);
  EXPECT_THAT(judge(later, {}).differs, HasSubstr("the same [device] id"));  // and of no copy it is not
  EXPECT_THAT(judge_listed({"abcdefgh", true}, kSeries, theirs(), {}).differs, HasSubstr("not ours"));
}

TEST(JudgeListed, WhatTheOriginalBilledAsPartOfMoreIsThatMuch) {
  auto part = ours();
  part.stored->record.set_copied(true);
  part.stored->record.set_receipt("200 resource_version=1 billed_before_as_part_of=8");
  auto whole = theirs("8");
  whole.usage_date = 7;  // as the original dated it
  EXPECT_THAT(judge(whole, part).differs, IsEmpty());
  EXPECT_THAT(judge(theirs("5"), part).differs, HasSubstr("theirs 5, ours 8"));
  whole.usage_date = 1'000;
  EXPECT_THAT(judge(whole, ours()).differs, HasSubstr("theirs 8, ours 5"));
}

TEST(JudgeListed, WhatIsNoLongerKeptIsNoDifference) {
  journal::KnownUsage forgotten;
  forgotten.forgotten = true;
  EXPECT_THAT(judge(theirs(), forgotten).differs, IsEmpty());
  EXPECT_TRUE(judge(theirs(), forgotten).forgotten);
}

TEST(JudgeListed, ADamagedRecordIsNotCalledSomebodyElses) {
  journal::KnownUsage damaged;
  damaged.damaged = true;
  EXPECT_THAT(judge(theirs(), damaged).differs, HasSubstr("damaged"));
}

TEST(JudgeListed, WhatIsUnderWayIsNoDifference) {
  EXPECT_THAT(judge(theirs(), ours(v0::WAITING)).differs, IsEmpty());
  EXPECT_FALSE(judge(theirs(), ours(v0::WAITING)).delivered);
  auto leaving = ours();
  leaving.stored->record.set_deleted_by(9);
  EXPECT_THAT(judge(theirs("6"), leaving).differs, IsEmpty());
  EXPECT_FALSE(judge(theirs("6"), leaving).delivered);
}

TEST(JudgeListed, WhatAnOperatorHasToEndAndIsThereIsADifference) {
  EXPECT_THAT(judge(theirs(), ours(v0::PARKED)).differs, HasSubstr("parked"));
  EXPECT_THAT(judge(theirs(), ours(v0::IN_DOUBT)).differs, HasSubstr("in_doubt"));
}

TEST(JudgeListed, WhatWasGivenUpHereIsAskedForOnceMore) {
  for (const auto state : {v0::WITHDRAWN, v0::SUPERSEDED}) {
    auto gone = ours(state);
    gone.stored->record.set_deleted_by(9);  // as a deletion that is done leaves it
    EXPECT_TRUE(judge(theirs(), gone).ended);
    EXPECT_THAT(judge(theirs(), gone).differs, IsEmpty());
  }
  EXPECT_FALSE(judge(theirs(), ours()).ended);
}

TEST(JudgeListed, TheInvoiceIsTakenOverAndGivenUpWithTheUpstreams) {
  auto invoiced = theirs();
  invoiced.invoice = "inv_1";
  invoiced.line_item = "li_1";
  EXPECT_TRUE(judge(invoiced, ours()).adopt);
  auto known = ours();
  known.stored->record.set_invoice_id("inv_1");
  known.stored->record.set_line_item_id("li_1");
  EXPECT_FALSE(judge(invoiced, known).adopt);
  EXPECT_TRUE(judge(theirs(), known).adopt);
  for (const auto state : {v0::WITHDRAWN, v0::PARKED, v0::WAITING, v0::IN_DOUBT})
    EXPECT_FALSE(judge(invoiced, ours(state)).adopt);  // nothing that may still be given up
}

}  // namespace
}  // namespace meterd::flush
