// The memory of a trusted clock.
#include "platform/trust.hpp"

#include <gtest/gtest.h>

namespace meterd::platform {
namespace {

WallTime wall(std::int64_t seconds) { return WallTime::from_seconds(1'800'000'000 + seconds); }
BootTime boot(std::int64_t seconds) { return {Seconds(seconds)}; }

TEST(TrustLatch, TrustsNothingUntilSomeoneVouchesForTheClock) {
  TrustLatch latch(std::nullopt);
  EXPECT_FALSE(latch.trusts(false, wall(0), boot(10)));
  EXPECT_TRUE(latch.trusts(true, wall(1), boot(11)));
}

TEST(TrustLatch, StaysThroughDaysWithoutATimeServer) {
  TrustLatch latch(std::nullopt);
  EXPECT_TRUE(latch.trusts(true, wall(0), boot(10)));
  for (int day = 1; day < 400; ++day)
    EXPECT_TRUE(latch.trusts(false, wall(day * 86'400), boot(10 + day * 86'400)));
}

TEST(TrustLatch, EndsWithAStepAndComesBackWithTheNextVouching) {
  TrustLatch latch(std::nullopt);
  EXPECT_TRUE(latch.trusts(true, wall(0), boot(10)));
  EXPECT_TRUE(latch.trusts(false, wall(101), boot(110))) << "a leap second is no other clock";
  EXPECT_FALSE(latch.trusts(false, wall(3'700), boot(110)));
  EXPECT_FALSE(latch.trusts(false, wall(-3'700), boot(110)));
  EXPECT_TRUE(latch.trusts(true, wall(3'700), boot(110)));
  EXPECT_TRUE(latch.trusts(false, wall(3'800), boot(210)));
}

TEST(TrustLatch, RemembersFromBeforeARestartOfTheProcess) {
  TrustLatch latch((wall(0).since_epoch - boot(10).since_boot));
  EXPECT_TRUE(latch.trusts(false, wall(86'400), boot(86'410)));
  EXPECT_FALSE(latch.trusts(false, wall(90'000), boot(86'410)));
}

}  // namespace
}  // namespace meterd::platform
