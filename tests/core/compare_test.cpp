// What the upstream has beside what was delivered: all of meterctl reconcile's second half but its text.
#include "tests/core/core_fixture.hpp"

namespace meterd::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = flush::Difference::Kind;

class CompareTest : public CoreTest {
 protected:
  // One delivered usage after the other; their ids in the order of their dates.
  std::vector<std::string> deliver(const std::string& subscription, int count) {
    std::map<std::string, std::string> ids;
    const auto before = device.billing.records.size();
    for (int i = 0; i < count; ++i) {
      check(!device.report("sms.sent", subscription, std::to_string(i + 1)).refusal, "it counts");
      check(device.flush(true).ok(), "it is sealed");
      device.advance(Seconds(2'000));
    }
    for (const auto& [id, record] : device.billing.records)
      if (record.subscription == subscription) ids[record.usage_date] = id;
    std::vector<std::string> out;
    for (const auto& [date, id] : ids) out.push_back(id);
    check(device.billing.records.size() == before + static_cast<std::size_t>(count), "all are delivered");
    return out;
  }
  Billing::Record& billed_as(const std::string& id) { return device.billing.records.at(id); }
  // All of it, from the beginning.
  flush::Compared compare() {
    auto done = device.compare();
    check(done.ok(), "it can be compared");
    return std::move(*done);
  }
  void withdraw(const std::string& id) {
    auto withdrawn = std::make_shared<std::string>("no answer");
    boost::asio::co_spawn(*device.loop, withdrawn_by(device.core->collection(), id, withdrawn),
                          boost::asio::detached);
    device.clock->settle();
    ASSERT_EQ(*withdrawn, "");
    device.advance(Seconds(10));
    ASSERT_FALSE(device.billing.records.contains(id));
  }
  static boost::asio::awaitable<void> withdrawn_by(usages::Collection& collection, std::string id,
                                                   std::shared_ptr<std::string> out) {
    const usages::Act act{"user 0", "a test"};
    const usages::Render render = [](const journal::UsageRecord& record) { return record.id(); };
    auto done = co_await collection.withdraw(UsageId(id), act, render);
    *out = !done ? done.error().message : done->refusal ? done->refusal->message : "";
  }
  flush::Compared throttled_after_a_page() {
    device.billing.lists = 0;
    device.billing.meanwhile = [this] {
      if (device.billing.lists == 1 && device.billing.script.empty())
        device.billing.script.push_back(vendor_error(429, "api_request_limit_exceeded"));
    };
    auto done = compare();
    device.billing.meanwhile = [] {};
    EXPECT_TRUE(done.more);
    EXPECT_THAT(done.error, HasSubstr("429"));
    return done;
  }
  std::string invoice_of(const std::string& id) {
    const auto stored = journal::read_usage(*device.journal, UsageId(id));
    check(stored.ok() && stored->has_value(), "the usage is kept");
    return (*stored)->record.invoice_id() + "/" + (*stored)->record.line_item_id();
  }
  static auto is(Kind kind, const std::string& id, const std::string& detail) {
    return AllOf(Field(&flush::Difference::kind, kind), Field(&flush::Difference::id, UsageId(id)),
                 Field(&flush::Difference::detail, HasSubstr(detail)));
  }
};

TEST_F(CompareTest, WhatWasDeliveredIsThereAllOfItPageByPage) {
  deliver("sub_1", 5);
  deliver("sub_2", 1);
  const auto done = compare();
  EXPECT_FALSE(done.more);
  EXPECT_EQ(done.subscriptions, 2U);
  EXPECT_EQ(done.usages, 6U);
  EXPECT_THAT(done.differences, IsEmpty());
  EXPECT_EQ(device.billing.lists, 4U);
  expect_balanced();
}

TEST_F(CompareTest, NothingDeliveredIsNothingToCompare) {
  const auto done = compare();
  EXPECT_FALSE(done.more);
  EXPECT_EQ(done.subscriptions, 0U);
  EXPECT_EQ(device.billing.lists, 0U);
}

TEST_F(CompareTest, WhatTheUpstreamLostIsMissing) {
  const auto ids = deliver("sub_1", 3);
  device.billing.records.erase(ids[1]);
  EXPECT_THAT(compare().differences, ElementsAre(is(Kind::missing, ids[1], "is not there")));
}

TEST_F(CompareTest, WhatAListOnlyLeavesOutIsNotMissing) {
  const auto ids = deliver("sub_1", 3);
  device.billing.unlisted = {ids[0]};
  const auto done = compare();
  EXPECT_THAT(done.differences, IsEmpty());
  EXPECT_EQ(done.usages, 3U);
}

TEST_F(CompareTest, WhatIsAlteredOrNotOursIsNamed) {
  const auto ids = deliver("sub_1", 2);
  billed_as(ids[0]).quantity = "100";
  device.billing.records["theirs"] = {"sub_1", "sms-usd", "1700000000", "4"};
  EXPECT_THAT(compare().differences,
              ::testing::UnorderedElementsAre(is(Kind::altered, ids[0], "theirs 100, ours 1"),
                                              is(Kind::altered, "theirs", "not ours")));
}

TEST_F(CompareTest, WhatCameTooLateForAnInvoiceIsNotBilled) {
  const auto ids = deliver("sub_1", 3);
  billed_as(ids[1]).invoice = "inv_1";
  const auto done = compare();
  EXPECT_THAT(done.differences, ElementsAre(is(Kind::not_billed, ids[0], "on no invoice")));  // not ids[2]
}

TEST_F(CompareTest, WhatWasInvoicedWhileItWasListedIsBilled) {
  const auto ids = deliver("sub_1", 3);
  for (const auto& id : ids) billed_as(id).invoice = "inv_1";
  device.billing.without_invoice = {ids[0]};
  EXPECT_THAT(compare().differences, IsEmpty());
}

TEST_F(CompareTest, WhatWasWithdrawnAndIsThereAfterAllIsNamed) {
  const auto ids = deliver("sub_1", 2);
  const auto kept = billed_as(ids[0]);
  withdraw(ids[0]);
  EXPECT_THAT(compare().differences, IsEmpty());
  device.billing.records[ids[0]] = kept;  // a create that had been delayed
  EXPECT_THAT(compare().differences, ElementsAre(is(Kind::altered, ids[0], "is withdrawn here")));
}

TEST_F(CompareTest, OneThatCannotBeComparedDoesNotHideTheOthers) {
  deliver("sub_1", 1);
  const auto ids = deliver("sub_2", 1);
  device.billing.unreadable = "sub_1";
  device.billing.records.erase(ids[0]);
  const auto done = compare();
  EXPECT_FALSE(done.more);
  EXPECT_EQ(done.subscriptions, 1U);
  EXPECT_THAT(done.differences, ElementsAre(is(Kind::not_compared, "", "cannot be read"),
                                            is(Kind::missing, ids[0], "is not there")));
}

TEST_F(CompareTest, IdsThatNoJournalKeyHoldsAreSomebodyElses) {
  deliver("sub_1", 1);
  std::string id;  // 100 characters, as the vendor allows
  for (int i = 0; i < 100; ++i) id += "\u65e5";
  device.billing.records[id] = {"sub_1", id, "1700000000", "4"};
  EXPECT_THAT(compare().differences, ElementsAre(is(Kind::altered, id, "not ours")));
}

TEST_F(CompareTest, AnInvoiceIsNotedAndClearedAgain) {
  const auto ids = deliver("sub_1", 3);
  for (const auto& id : ids) {
    billed_as(id).invoice = "inv_1";
    billed_as(id).line_item = "li_1";
  }
  EXPECT_EQ(compare().invoiced, 3U);
  EXPECT_EQ(invoice_of(ids[2]), "inv_1/li_1");
  const auto commits = device.core->committer().stats().commits;
  EXPECT_EQ(compare().invoiced, 0U);
  EXPECT_EQ(device.core->committer().stats().commits, commits);  // what is known costs no commit
  billed_as(ids[2]) = {"sub_1", "sms-usd", billed_as(ids[2]).usage_date, "3"};
  EXPECT_EQ(compare().invoiced, 1U);
  EXPECT_EQ(invoice_of(ids[2]), "/");
  EXPECT_EQ(invoice_of(ids[1]), "inv_1/li_1");
  expect_balanced();
}

TEST_F(CompareTest, WhatIsNoLongerKeptHereIsNotCalledSomebodyElses) {
  device.config.retain_delivered = Seconds(86'400);
  restart();
  deliver("sub_1", 2);
  device.advance(Seconds(2 * 86'400));
  deliver("sub_1", 1);
  const auto done = compare();
  EXPECT_THAT(done.differences, IsEmpty());
  EXPECT_EQ(done.forgotten, 2U);
  EXPECT_EQ(done.usages, 3U);
}

TEST_F(CompareTest, AThrottledOneGoesOnWhereItWas) {
  const auto ids = deliver("sub_1", 5);
  device.billing.records.erase(ids[4]);
  const auto first = throttled_after_a_page();
  EXPECT_EQ(first.usages, 2U);
  const auto rest = device.compare(first.run);
  ASSERT_TRUE(rest.ok());
  EXPECT_FALSE(rest->more);
  EXPECT_THAT(rest->error, IsEmpty());
  EXPECT_THAT(rest->differences, ElementsAre(is(Kind::missing, ids[4], "")));
  EXPECT_EQ(rest->usages, 3U);  // none twice
}

TEST_F(CompareTest, WhatIsDeliveredMeanwhileNeedNotBeThere) {
  deliver("sub_1", 5);
  const auto first = throttled_after_a_page();
  const auto later = deliver("sub_1", 1).back();
  device.billing.records.erase(later);
  const auto rest = device.compare(first.run);
  ASSERT_TRUE(rest.ok());
  EXPECT_THAT(rest->differences, IsEmpty());
  EXPECT_THAT(compare().differences, ElementsAre(is(Kind::missing, later, "")));
}

TEST_F(CompareTest, WithoutTimeItDoesNothingYetAndAnOldRunIsOver) {
  deliver("sub_1", 1);
  const auto first = device.compare(0, Milliseconds(0));
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(first->more);
  EXPECT_EQ(device.billing.lists, 0U);
  const auto second = device.compare();
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(second->more);
  const auto over = device.compare(first->run);
  ASSERT_FALSE(over.ok());
  EXPECT_EQ(over.error().code, Code::rejected);
}

TEST_F(CompareTest, AnUnknownUpstreamIsRefused) {
  device.config.upstreams.front().name = UpstreamName("other");
  const auto unknown = device.compare();
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, Code::rejected);
}

}  // namespace
}  // namespace meterd::testing
