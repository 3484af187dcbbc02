// What the doctor has upstreams asked, beside what they are sent.
#include "tests/core/core_fixture.hpp"

namespace meterd::testing {
namespace {

using Finding = upstream::Diagnosis::Finding;

class ExaminationTest : public CoreTest {
 protected:
  api::ExaminedUpstream examined() {
    auto found = device.examine();
    EXPECT_TRUE(found.ok());
    return found && found->size() == 1 ? found->front() : api::ExaminedUpstream{};
  }
};

TEST_F(ExaminationTest, KnowsTheUpstreamsClock) {
  device.billing.script.emplace_back(
      upstream::HttpResponse{200, {{"date", "Sun, 06 Nov 1994 08:49:37 GMT"}}, R"({"list":[]})"});
  const auto found = examined();
  EXPECT_EQ(found.diagnosis.finding, Finding::fine);
  ASSERT_TRUE(found.clock_ahead.has_value());
  EXPECT_EQ(device.clock->wall().time - *found.clock_ahead, WallTime::from_seconds(784'111'777));
}

TEST_F(ExaminationTest, DoesNotBelieveAStrangersClock) {
  device.billing.script.emplace_back(
      upstream::HttpResponse{200, {{"date", "Sun, 06 Nov 1994 08:49:37 GMT"}}, "<html>"});
  const auto found = examined();
  EXPECT_EQ(found.diagnosis.finding, Finding::foreign);
  EXPECT_FALSE(found.clock_ahead.has_value());
}

TEST_F(ExaminationTest, DoesNotBelieveAProxysClock) {
  device.billing.script.emplace_back(
      upstream::HttpResponse{502, {{"date", "Sun, 06 Nov 1994 08:49:37 GMT"}}, "<html>"});
  EXPECT_FALSE(examined().clock_ahead.has_value());
}

TEST_F(ExaminationTest, AsksAfterASubscriptionThatHadUsages) {
  device.report("sms.sent", "sub_1", "1");
  device.advance(Seconds(2 * 86'400));
  device.billing.asked.clear();
  const auto found = examined();
  EXPECT_EQ(found.diagnosis.finding, Finding::fine);
  EXPECT_THAT(device.billing.asked,
              ::testing::ElementsAre("/api/v2/usages?limit=1&subscription_id%5Bis%5D=sub_1"));
  EXPECT_EQ(found.lifetimes.subscriptions, 1U);
  EXPECT_EQ(found.plan.lifetime_limit, 5'000);
}

TEST_F(ExaminationTest, AsksNobodyWhenItsTimeIsOver) {
  const auto found = device.examine(Milliseconds(0));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->at(0).diagnosis.finding, Finding::unavailable);
  EXPECT_EQ(found->at(0).plan.lifetime_limit, 5'000);
  EXPECT_THAT(device.billing.asked, ::testing::IsEmpty());
}

}  // namespace
}  // namespace meterd::testing
