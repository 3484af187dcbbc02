// Invoices of a device that is its own ledger: whole terms, what comes late, and what a crash leaves half
// done.
#include <gmock/gmock.h>

#include "agent/upstream/chargebee/chargebee.hpp"
#include "agent/upstream/ledger/ledger.hpp"
#include "agent/usages/invoices.hpp"
#include "tests/journal/caller_fixture.hpp"

namespace meterd::usages {
namespace {

using journal::must;
using journal::WriteTransaction;
using journal::v0::Invoice;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Verb = InvoiceOrder::Verb;

class InvoiceTest : public journal::CallerTest {
 protected:
  InvoiceTest() {
    auto context = std::make_shared<flush::SealContext>();
    context->targets[kLedger] = {kLedger, upstream::ledger::make(), {}};
    const UpstreamName billing("billing");
    context->targets[billing] = {billing, upstream::chargebee::make("/api/v2"), {}};
    rules_.upstream = kLedger;
    rules_.ledger = kLedger;
    rules_.context = context;
    rules_.zone = must(meter::TimeZone::load("UTC"));
  }

  // Of sub_1, `at` seconds into the day.
  void used(const std::string& id, std::int64_t at, journal::Wanted wanted = {}) {
    if (std::string_view(wanted.upstream) == "billing" && !at_vendor_) wanted.upstream = "ledger";
    create(id, kMidnight + at, wanted);
  }
  static InvoiceOrder order(Verb verb, const std::string& invoice, std::int64_t until = 0) {
    InvoiceOrder out;
    out.verb = verb;
    out.invoice = invoice;
    out.subscription = SubscriptionId("sub_1");
    out.until = kMidnight + until;
    return out;
  }
  // Step by step to its end, or until `steps` are done; "" or why it was refused.
  std::string run(const InvoiceOrder& wanted, int steps = 1'000) {
    InvoiceStep done;
    do {
      step([&](WriteTransaction& w) {
        done = must(take_step(w, wanted, rules_, done.after, kUsagesAStep, now()));
      });
    } while (done.more && --steps > 0);
    invoice_ = done.invoice;
    return done.refused;
  }
  std::string close(const std::string& invoice, std::int64_t until) {
    return run(order(Verb::close, invoice, until));
  }
  std::string of(const std::string& id) {
    const auto stored = must(journal::read_usage(*journal_, UsageId(id)));
    return stored->record.invoice_id() + (stored->record.line_item_id().empty() ? "" : " ") +
           stored->record.line_item_id();
  }
  // "item price: quantity (usages)" of each line.
  std::vector<std::string> lines() const {
    std::vector<std::string> out;
    for (const auto& line : invoice_.lines())
      out.push_back(line.item_price_id() + ": " + line.quantity() + " (" + std::to_string(line.usages()) +
                    ")");
    return out;
  }
  bool is_late(const char* item_price, std::int64_t at) {
    std::vector<WriteTransaction::NamedInvoice> named;
    for (auto& row : must(journal::read_invoices(*journal_))) named.emplace_back(row.id, row.invoice);
    return in_closed_term(named, SubscriptionId("sub_1"), ItemPriceId(item_price), kMidnight + at);
  }
  static journal::Wanted mms(const char* quantity) { return {quantity, "mms-usd"}; }

  const UpstreamName kLedger{"ledger"};
  Rules rules_;
  Invoice invoice_;         // as the last order left it
  bool at_vendor_ = false;  // what is used goes to the upstream that has invoices of its own
};

TEST_F(InvoiceTest, AClosedTermHasALinePerItemPriceWithUsage) {
  used("u1", 10, {"1.5"});
  used("u2", 20, {"2"});
  used("u3", 20, mms("7"));
  used("u4", 30, {"100"});  // the next term's
  EXPECT_EQ(close("inv_1", 30), "");
  EXPECT_THAT(lines(), ElementsAre("sms-usd: 3.5 (2)", "mms-usd: 7 (1)"));
  EXPECT_EQ(of("u1"), "inv_1 inv_1-1");
  EXPECT_EQ(of("u3"), "inv_1 inv_1-2");
  EXPECT_EQ(of("u4"), "");
  EXPECT_EQ(close("inv_2", 60), "");
  EXPECT_THAT(lines(), ElementsAre("sms-usd: 100 (1)"));
}

TEST_F(InvoiceTest, OthersAreNotOnIt) {
  journal::Wanted other;
  other.subscription = "sub_2";
  used("u1", 10, other);
  used("u2", 11, mms("1"));
  auto sms_only = order(Verb::close, "inv_1", 60);
  sms_only.item_price = ItemPriceId("sms-usd");
  EXPECT_EQ(run(sms_only), "");
  EXPECT_THAT(lines(), IsEmpty());
  EXPECT_EQ(of("u1"), "");
  EXPECT_EQ(of("u2"), "");
}

TEST_F(InvoiceTest, WhoHasAnUpstreamIsInvoicedThere) {
  at_vendor_ = true;
  used("u1", 10);
  EXPECT_EQ(close("inv_1", 60), "");
  EXPECT_THAT(lines(), IsEmpty());
  EXPECT_EQ(of("u1"), "");
}

TEST_F(InvoiceTest, AnOpenOneTakesNothingUntilItIsClosed) {
  used("u1", 10);
  EXPECT_EQ(run(order(Verb::open, "inv_1", 60)), "");
  EXPECT_EQ(of("u1"), "");
  used("u2", 20);
  EXPECT_EQ(close("inv_1", 60), "");
  EXPECT_THAT(lines(), ElementsAre("sms-usd: 2 (2)"));
}

TEST_F(InvoiceTest, WhatComesLateIsNeverInvoiced) {
  used("u1", 10);
  EXPECT_EQ(close("inv_1", 60), "");
  used("late", 20);
  used("u2", 70);
  EXPECT_EQ(close("inv_2", 120), "");
  EXPECT_THAT(lines(), ElementsAre("sms-usd: 1 (1)"));
  EXPECT_EQ(of("late"), "");
  EXPECT_EQ(of("u2"), "inv_2 inv_2-1");
}

TEST_F(InvoiceTest, ATermOfOneItemPriceMakesOnlyItsOwnLate) {
  auto sms_only = order(Verb::close, "inv_sms", 60);
  sms_only.item_price = ItemPriceId("sms-usd");
  EXPECT_EQ(run(sms_only), "");
  used("late", 20);
  used("u1", 30, mms("4"));
  EXPECT_EQ(close("inv_all", 120), "");
  EXPECT_THAT(lines(), ElementsAre("mms-usd: 4 (1)"));
  EXPECT_EQ(invoice_.late(), 1U);
}

TEST_F(InvoiceTest, WhatLiesOutsideOfTheActiveTimesIsNeverInvoiced) {
  rules_.subscriptions[SubscriptionId("sub_1")].active = {{kMidnight + 15, kMidnight + 30}};
  used("before", 14);
  used("first", 15);
  used("last", 29);
  used("behind", 30);
  EXPECT_EQ(close("inv_1", 60), "");
  EXPECT_THAT(lines(), ElementsAre("sms-usd: 2 (2)"));
  EXPECT_EQ(invoice_.inactive(), 2U);
  EXPECT_EQ(of("before") + of("behind"), "");
  EXPECT_EQ(of("first"), "inv_1 inv_1-1");
}

TEST_F(InvoiceTest, AVoidedOneGivesAllBackAndIsClosedAgainWithWhatWasLate) {
  used("u1", 10);
  EXPECT_EQ(close("inv_1", 60), "");
  used("late", 20, {"5"});
  EXPECT_EQ(run(order(Verb::annul, "inv_1")), "");
  EXPECT_EQ(invoice_.state(), journal::v0::VOIDED);
  EXPECT_THAT(lines(), IsEmpty());
  EXPECT_EQ(of("u1"), "");
  EXPECT_EQ(close("inv_1", 60), "");
  EXPECT_THAT(lines(), ElementsAre("sms-usd: 6 (2)"));
}

TEST_F(InvoiceTest, ADeletedOneIsGone) {
  used("u1", 10);
  EXPECT_EQ(close("inv_1", 60), "");
  EXPECT_EQ(run(order(Verb::remove, "inv_1")), "");
  EXPECT_EQ(of("u1"), "");
  EXPECT_THAT(must(journal::read_invoices(*journal_)), IsEmpty());
  EXPECT_THAT(run(order(Verb::remove, "inv_1")), HasSubstr("there is no invoice inv_1"));
}

TEST_F(InvoiceTest, OneOfManyStepsThatIsCutShortGoesOnWithTheSameOrder) {
  for (int i = 0; i < 150; ++i) used("u" + std::to_string(i), i);
  EXPECT_EQ(run(order(Verb::close, "inv_1", 1'000), 1), "");
  EXPECT_EQ(invoice_.state(), journal::v0::CLOSING);
  EXPECT_EQ(of("u100"), "");
  EXPECT_EQ(close("inv_1", 1'000), "");
  EXPECT_EQ(invoice_.state(), journal::v0::CLOSED);
  EXPECT_THAT(lines(), ElementsAre("sms-usd: 150 (150)"));
  EXPECT_EQ(run(order(Verb::annul, "inv_1"), 1), "");
  EXPECT_EQ(invoice_.state(), journal::v0::CLEARING);
  EXPECT_THAT(close("inv_1", 1'000), HasSubstr("being voided"));
  EXPECT_EQ(run(order(Verb::annul, "inv_1")), "");
  EXPECT_EQ(of("u0") + of("u149"), "");
}

TEST_F(InvoiceTest, WhatWouldBillTwiceIsRefused) {
  used("u1", 10);
  EXPECT_EQ(close("inv_1", 60), "");
  EXPECT_EQ(close("inv_1", 60), "");  // its answer may have been lost: the same invoice
  EXPECT_THAT(lines(), ElementsAre("sms-usd: 1 (1)"));
  EXPECT_THAT(close("inv_1", 90), HasSubstr("is closed; void it first"));
  EXPECT_THAT(close("inv_2", 60), HasSubstr("closed by invoice inv_1"));
  EXPECT_THAT(close("inv_2", 30), HasSubstr("closed by invoice inv_1"));
  auto of_another = order(Verb::close, "inv_1", 90);
  of_another.subscription = SubscriptionId("sub_2");
  EXPECT_THAT(run(of_another), HasSubstr("another one's"));
  EXPECT_EQ(of("u1"), "inv_1 inv_1-1");
}

TEST_F(InvoiceTest, AShorterTermInsideOfAClosedOneIsRefused) {
  EXPECT_EQ(close("inv_1", 60), "");
  EXPECT_EQ(close("inv_2", 120), "");
  used("late", 70);
  EXPECT_THAT(close("inv_3", 90), HasSubstr("closed by invoice inv_2"));
  EXPECT_EQ(of("late"), "");
}

TEST_F(InvoiceTest, AVoidedTermIsClosedAgainBeforeALaterOne) {
  used("u1", 10);
  EXPECT_EQ(close("inv_1", 60), "");
  EXPECT_EQ(close("inv_2", 120), "");
  EXPECT_EQ(run(order(Verb::annul, "inv_1")), "");
  EXPECT_FALSE(is_late("sms-usd", 10));
  EXPECT_TRUE(is_late("sms-usd", 70));
  EXPECT_EQ(close("inv_1", 60), "");
  EXPECT_THAT(lines(), ElementsAre("sms-usd: 1 (1)"));
}

TEST_F(InvoiceTest, TheOthersAreClosedAfterOneItemPriceWas) {
  auto mms_only = order(Verb::close, "inv_mms", 60);
  mms_only.item_price = ItemPriceId("mms-usd");
  EXPECT_EQ(run(mms_only), "");
  used("late", 10, mms("7"));
  used("u1", 20);
  EXPECT_EQ(close("inv_all", 60), "");
  EXPECT_THAT(lines(), ElementsAre("sms-usd: 1 (1)"));
  EXPECT_TRUE(is_late("mms-usd", 10));
}

TEST_F(InvoiceTest, AWiderItemPriceDoesNotTakeWhatIsLateForItsOwn) {
  auto mms_only = order(Verb::close, "inv_mms", 120);
  mms_only.item_price = ItemPriceId("mms-usd");
  EXPECT_EQ(run(mms_only), "");
  used("late", 10, mms("7"));
  EXPECT_EQ(close("inv_all", 60), "");
  EXPECT_THAT(lines(), IsEmpty());
  EXPECT_EQ(of("late"), "");
}

}  // namespace
}  // namespace meterd::usages
