// A usage of a caller of the device's Usages API, from the call to the upstream and out of it again.
#include "agent/usages/collection.hpp"
#include "tests/core/core_fixture.hpp"

namespace meterd::testing {
namespace {

namespace asio = boost::asio;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CallerUsageTest : public CoreTest {
 protected:
  CallerUsageTest() {
    device.crash();
    device.config.chargebee_upstream = UpstreamName("billing");
    device.start();
  }
  static std::string render(const journal::UsageRecord& record) { return record.id(); }

  // "" once it is done, else why not.
  std::string change(asio::awaitable<Result<usages::Change>> task) {
    std::string out = "no answer";
    asio::co_spawn(*device.loop, wrapped(std::move(task)),
                   [&](const std::exception_ptr&, std::string why) { out = std::move(why); });
    device.clock->settle();
    return out;
  }
  std::string create(const std::string& id, std::int64_t usage_date = 1'601'718'989) {
    usages::Draft draft;
    draft.subscription = SubscriptionId("sub_1");
    draft.item_price = ItemPriceId("sms-usd");
    draft.id = UsageId(id);
    draft.usage_date = usage_date;
    draft.quantity = *Quantity::parse("5.00");
    draft.given_quantity = "5.00";
    return change(device.core->collection().create(draft, {}, render));
  }
  std::string remove(const std::string& id) {
    return change(device.core->collection().remove({SubscriptionId("sub_1"), UsageId(id)}, {}, render));
  }

 private:
  static asio::awaitable<std::string> wrapped(asio::awaitable<Result<usages::Change>> task) {
    auto done = co_await std::move(task);
    if (!done) co_return done.error().message;
    co_return done->refusal ? done->refusal->message : std::string();
  }
};

TEST_F(CallerUsageTest, IsDeliveredWithTheCallersIdAndQuantity) {
  EXPECT_EQ(create("u1"), "");
  device.advance(Seconds(10));
  ASSERT_THAT(device.billing.records, SizeIs(1));
  EXPECT_EQ(device.billing.records["u1"].quantity, "5.00");
  EXPECT_EQ(device.billing.records["u1"].usage_date, "1601718989");
  EXPECT_THAT(device.outbox(), IsEmpty());
  expect_balanced();
}

TEST_F(CallerUsageTest, IsDeletedAtTheUpstreamWithAKeyOfItsOwn) {
  EXPECT_EQ(create("u1"), "");
  device.advance(Seconds(10));
  EXPECT_EQ(remove("u1"), "");
  device.advance(Seconds(10));
  EXPECT_THAT(device.billing.records, IsEmpty());
  ASSERT_THAT(device.billing.deletes, SizeIs(1));
  EXPECT_THAT(device.billing.deletes[0], ::testing::EndsWith(" id=u1"));
  EXPECT_THAT(device.billing.deletes[0], ::testing::Not(::testing::StartsWith("u1 ")));
  EXPECT_THAT(device.outbox(), IsEmpty());
  EXPECT_EQ(device.verify().withdrawn.text(), "5");
  expect_balanced();
}

TEST_F(CallerUsageTest, IsAskedToBeDeletedWithTheSameBytesAfterACrash) {
  EXPECT_EQ(create("u1"), "");
  device.advance(Seconds(10));
  device.billing.apply_then_lose = true;
  EXPECT_EQ(remove("u1"), "");
  device.clock->settle();
  ASSERT_THAT(device.billing.deletes, SizeIs(1));
  restart();
  device.advance(Seconds(3'600));
  ASSERT_THAT(device.billing.deletes, SizeIs(2));
  EXPECT_EQ(device.billing.deletes[0], device.billing.deletes[1]);
  EXPECT_THAT(device.outbox(), IsEmpty()) << "not found is a receipt";
  EXPECT_EQ(device.verify().withdrawn.text(), "5");
  expect_balanced();
}

TEST_F(CallerUsageTest, NeverLeavesIfItIsDeletedBefore) {
  device.billing.script.push_back(vendor_error(401, "api_authentication_failed"));
  EXPECT_EQ(create("first", 1'601'718'000), "");  // and the upstream is left alone for a while
  EXPECT_EQ(create("u1"), "");
  EXPECT_EQ(remove("u1"), "");
  device.advance(Seconds(7'200));
  EXPECT_THAT(device.billing.deletes, IsEmpty());
  for (const auto& body : device.billing.bodies) EXPECT_THAT(body, ::testing::StartsWith("id=first&"));
  EXPECT_THAT(device.billing.records, SizeIs(1));
  expect_balanced();
}

TEST_F(CallerUsageTest, IsReplacedOnItsSecondOnlyOnceTheFirstIsGone) {
  EXPECT_EQ(create("u1"), "");
  device.advance(Seconds(10));
  device.billing.script.push_back(vendor_error(503, "internal_temporary_error"));
  EXPECT_EQ(remove("u1"), "");
  EXPECT_EQ(create("u2"), "");
  device.advance(Seconds(3'600));
  ASSERT_THAT(device.billing.records, SizeIs(1));
  EXPECT_TRUE(device.billing.records.contains("u2"));
  EXPECT_THAT(device.billing.bodies, SizeIs(2)) << "it was never refused as taken";
  expect_balanced();
}

}  // namespace
}  // namespace meterd::testing
