// Units to money: nothing is lost between one usage and the next.
#include "agent/meter/price.hpp"

#include <gtest/gtest.h>

#include <string>

namespace meterd::meter {
namespace {

Quantity q(const std::string& text) { return *Quantity::parse_total(text); }

TEST(Price, IsRoundedDownAndTheRestIsCarried) {
  const auto charge = charge_for(q("3"), {q("0.0075"), 2}, q("0"));
  ASSERT_TRUE(charge);
  EXPECT_EQ(charge->amount, q("0.02"));
  EXPECT_EQ(charge->carry_out, q("0.0025"));
  const auto next = charge_for(q("1"), {q("0.0075"), 2}, charge->carry_out);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->amount, q("0.01")) << "0.0075 and the 0.0025 of before";
  EXPECT_EQ(next->carry_out, q("0"));
}

TEST(Price, ManySmallUsagesCostWhatOneLargeOneDoes) {
  for (int decimals = 0; decimals <= 9; ++decimals) {
    const Price price{q("0.00123456789"), decimals};
    Quantity billed, carry;
    for (int i = 0; i < 1'000; ++i) {
      const auto charge = charge_for(q("1.7"), price, carry);
      ASSERT_TRUE(charge);
      EXPECT_EQ(charge->amount + charge->carry_out, *q("1.7").times(price.unit) + charge->carry_in);
      EXPECT_FALSE(charge->carry_out.is_negative());
      billed += charge->amount;
      carry = charge->carry_out;
    }
    EXPECT_EQ(billed + carry, *q("1700").times(price.unit));
    EXPECT_EQ(billed, charge_for(q("1700"), price, {})->amount) << decimals;
  }
}

TEST(Price, RefusesWhatWouldNotBeExact) {
  EXPECT_TRUE(charge_for(q("0." + std::string(25, '0') + "1"), {q("0.000000000001"), 2}, {}));
  EXPECT_FALSE(charge_for(q("0." + std::string(26, '0') + "1"), {q("0.000000000001"), 2}, {}));
}

TEST(Amount, OfFifteenDigitsFitsADouble) {
  for (const char* fits : {"0", "0.01", "123456789012345", "1234567890123.45", "0.000000000123456789012345",
                           "1000000000000000000"})
    EXPECT_TRUE(fits_a_double(q(fits))) << fits;
  for (const char* too_long : {"1234567890123456", "12345678901234.56", "1000000000000000.01"})
    EXPECT_FALSE(fits_a_double(q(too_long))) << too_long;
}

}  // namespace
}  // namespace meterd::meter
