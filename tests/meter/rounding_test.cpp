// Blocks for bytes: whole ones, and to the byte over any number of usages.
#include "agent/meter/rounding.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace meterd::meter {
namespace {

Quantity q(const char* text) { return *Quantity::parse(text); }

struct Rule {
  const char* name;
  std::uint64_t block;
};
const Rule kRules[] = {{"1kB-v1", 1'000},  {"10kB-v1", 10'000},  {"1MB-v1", 1'000'000},
                       {"1KiB-v1", 1'024}, {"10KiB-v1", 10'240}, {"1MiB-v1", 1'048'576}};

TEST(Rounding, BillsWholeBlocksAndKeepsTheRestToTheByte) {
  for (const auto& [name, block] : kRules) {
    const auto price = price_of_rounding(name);
    ASSERT_TRUE(price.has_value()) << name;
    EXPECT_EQ(price->rounding, name);
    Quantity carry;
    Quantity billed;
    std::uint64_t counted = 0;
    std::uint64_t state = 7;
    for (int day = 0; day < 400; ++day) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      const std::uint64_t bytes = (state >> 33U) % (3 * block);
      counted += bytes;
      const auto charge = charge_for(Quantity::of(bytes), *price, carry);
      ASSERT_TRUE(charge.has_value()) << name;
      EXPECT_TRUE(adds_up(Quantity::of(bytes), *charge));
      EXPECT_EQ(charge->rounding, name);
      carry = charge->carry_out;
      billed += charge->amount;
      ASSERT_EQ(billed, Quantity::of(counted / block)) << name << " on day " << day;
      ASSERT_EQ(*carry.times(Quantity::of(block)), Quantity::of(counted % block)) << name;
    }
  }
}

TEST(Rounding, KnowsItsNamesAndNoOthers) {
  for (const auto& rule : kRules) EXPECT_THAT(rounding_names(), ::testing::HasSubstr(rule.name));
  for (const char* other : {"none", "", "1kB", "1kB-v2", "1KB-v1"})
    EXPECT_EQ(price_of_rounding(other), std::nullopt) << other;
}

TEST(Rounding, TakesWhatIsLeftOverToAnotherRuleAsTheSameBytes) {
  const auto mega = *price_of_rounding("1MB-v1");
  EXPECT_EQ(carry_over({q("0.5"), "1kB-v1"}, mega), q("0.0005"));
  EXPECT_EQ(carry_over({q("0.5"), "1MB-v1"}, mega), q("0.5"));
  EXPECT_EQ(carry_over({q("0.25"), "1MiB-v1"}, *price_of_rounding("1KiB-v1")), q("256"));
}

TEST(Rounding, TakesMoneyForNoPartOfABlock) {
  EXPECT_EQ(carry_over({q("0.5"), ""}, *price_of_rounding("1MB-v1")), std::nullopt);
  EXPECT_EQ(carry_over({q("0.5"), "1MB-v1"}, Price{q("0.0075"), 2}), std::nullopt);
  EXPECT_EQ(carry_over({}, Price{q("0.0075"), 2}), Quantity()) << "of nothing nothing is lost";
}

TEST(CarryOver, SaysWhatItCannotTakeOver) {
  const Carried fine{q("0.00000000000000000000000000000000000001"), "1kB-v1"};  // its bytes have 35 places
  EXPECT_EQ(carry_over(fine, *price_of_rounding("1MB-v1")), std::nullopt);
  EXPECT_EQ(describe(fine),
            "0.00000000000000000000000000000000000001 of a block (1kB-v1): "
            "0.00000000000000000000000000000000001 units");
  EXPECT_EQ(describe({q("0.5"), "1kB-v1"}), "0.5 of a block (1kB-v1): 500 units");
  EXPECT_EQ(describe({q("0.0025"), ""}), "0.0025 in money");
  EXPECT_EQ(describe({q("0.5"), "of a later meterd"}), "0.5 of a block (of a later meterd)");
}

}  // namespace
}  // namespace meterd::meter
