// Quantity: what its grammar takes and refuses, and that nothing is ever rounded.
#include "agent/base/quantity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace meterd {
namespace {

using ::testing::HasSubstr;

Quantity q(std::string_view text) {
  auto parsed = Quantity::parse_total(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return parsed ? *parsed : Quantity();
}

std::string repeated(std::size_t count, char c) { return std::string(count, c); }

TEST(QuantityText, IsTheShortestExactForm) {
  struct Case {
    const char* in;
    const char* out;
  };
  const std::vector<Case> cases{{"0", "0"},
                                {"-0", "0"},
                                {"0.0", "0"},
                                {"5", "5"},
                                {"5.0", "5"},
                                {"5.10", "5.1"},
                                {"0.1", "0.1"},
                                {"-12.355", "-12.355"},
                                {"007", "7"},
                                {"00.50", "0.5"},
                                {"-0.001", "-0.001"},
                                {"1000000000", "1000000000"},
                                {"999999999.999999999", "999999999.999999999"}};
  for (const auto& c : cases) EXPECT_EQ(q(c.in).text(), c.out) << c.in;
}

TEST(QuantityText, ParsesBackToTheSameValueAtEveryPlaceAndSign) {
  for (std::size_t whole = 0; whole <= 38; ++whole)
    for (std::size_t places = 0; whole + places <= 37; ++places)
      for (const char* sign : {"", "-"}) {
        std::string text = sign + (whole == 0 ? std::string("0") : "7" + repeated(whole - 1, '0'));
        if (places > 0) text += "." + repeated(places - 1, '0') + "3";
        if (text == "-0") continue;
        const auto parsed = Quantity::parse(text);
        ASSERT_TRUE(parsed.ok()) << text;
        ASSERT_EQ(parsed->text(), text);
        ASSERT_TRUE(parsed->fits_usage());
      }
}

TEST(QuantityParse, RefusesEverythingOutsideItsGrammar) {
  const std::vector<std::string> wrong{"",
                                       "-",
                                       "+1",
                                       "--1",
                                       "-+1",
                                       ".5",
                                       "-.5",
                                       "5.",
                                       "-5.",
                                       ".",
                                       "-.",
                                       "1..2",
                                       "1.2.3",
                                       "1e3",
                                       "1E3",
                                       "0x1",
                                       " 1",
                                       "1 ",
                                       "1 000",
                                       "1,5",
                                       "1_0",
                                       "NaN",
                                       "inf",
                                       "1-",
                                       "1.-5",
                                       "٣",
                                       "\t1",
                                       "1\n",
                                       "½",
                                       "1.5f",
                                       "$1",
                                       "1'0",
                                       std::string("1\0", 2),
                                       std::string("\0", 1)};
  for (const auto& text : wrong) {
    const auto parsed = Quantity::parse(text);
    ASSERT_FALSE(parsed.ok()) << "\"" << text << "\"";
    EXPECT_EQ(parsed.error().code, Code::invalid);
    EXPECT_FALSE(Quantity::parse_total(text).ok()) << "\"" << text << "\"";
  }
}

TEST(QuantityParse, TakesFortyCharactersAndRefusesFortyOne) {
  EXPECT_EQ(Quantity::parse(repeated(40, '9'))->text(), repeated(40, '9'));
  EXPECT_EQ(Quantity::parse("-" + repeated(39, '9'))->text(), "-" + repeated(39, '9'));
  EXPECT_EQ(Quantity::parse("0." + repeated(38, '9'))->text(), "0." + repeated(38, '9'));
  EXPECT_EQ(Quantity::parse(repeated(40, '0'))->text(), "0");
  for (const auto& text : {repeated(41, '9'), "-" + repeated(40, '9'), "0." + repeated(39, '1'),
                           "1" + repeated(1, '.') + repeated(39, '0'), repeated(100'000, '1')}) {
    const auto parsed = Quantity::parse(text);
    ASSERT_FALSE(parsed.ok()) << text.size();
    EXPECT_THAT(parsed.error().message, HasSubstr("40"));
  }
}

TEST(QuantityParse, TakesThirtyEightPlacesInATotalAndRefusesThirtyNine) {
  const std::string smallest = "0." + repeated(37, '0') + "1";
  EXPECT_EQ(q(smallest).text(), smallest);
  EXPECT_FALSE(Quantity::parse_total("0." + repeated(38, '0') + "1").ok());
  EXPECT_FALSE(Quantity::parse_total("0." + repeated(39, '0')).ok());
}

TEST(QuantityParse, TakesTheWidestTotalItCanHold) {
  const std::string widest = repeated(57, '9') + "." + repeated(38, '9');
  EXPECT_EQ(q(widest).text(), widest);
  EXPECT_EQ(q("-" + widest).text(), "-" + widest);
  EXPECT_FALSE(q(widest).fits_usage());
  EXPECT_FALSE(Quantity::parse_total(repeated(58, '9')).ok());
}

TEST(QuantityOf, IsTheSameAsTheNumberInText) {
  for (const std::uint64_t units : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{999'999'999},
                                    std::uint64_t{1'000'000'000}, std::numeric_limits<std::uint64_t>::max()})
    EXPECT_EQ(Quantity::of(units).text(), std::to_string(units));
}

TEST(QuantityText, OfWholeNumbersAgreesAtTheEndsOfTheirRange) {
  for (const char* text :
       {"0", "1", "9", "10", "4294967295", "4294967296", "18446744073709551614", "18446744073709551615",
        "18446744073709551616", "340282366920938463463374607431768211456", "-1", "-18446744073709551615"})
    EXPECT_EQ(Quantity::parse_total(text)->text(), text);
  for (const char* text : {"0.5", "1.00000000000000000000000000000000000001", "18446744073709551615.5",
                           "0.00000000000000000000000000000000000001"})
    EXPECT_EQ(Quantity::parse_total(text)->text(), text);
}

TEST(QuantityAddition, HoldsATenthTenTimesAsExactlyOne) {
  Quantity sum;
  for (int i = 0; i < 10; ++i) sum += q("0.1");
  EXPECT_EQ(sum, Quantity::of(1));
  EXPECT_EQ(sum.text(), "1");
}

TEST(QuantityAddition, KeepsTheSmallestUnitBesideTheLargest) {
  const Quantity large = q(repeated(40, '9'));
  const Quantity small = q("0." + repeated(37, '0') + "1");
  EXPECT_EQ((large + small).text(), repeated(40, '9') + "." + repeated(37, '0') + "1");
  EXPECT_EQ(large + small - large, small);
}

TEST(QuantityAddition, HoldsTotalsOfMoreThanEightyDigits) {
  Quantity total = q("0." + repeated(37, '9') + "7");
  Quantity doubled = q(repeated(40, '9'));
  for (int i = 0; i < 55; ++i) doubled += doubled;  // 36,028,797,018,963,968 usages of the largest size
  total += doubled;
  const std::string text = total.text();
  EXPECT_EQ(text, "36028797018963967" + repeated(23, '9') + "63971202981036032." + repeated(37, '9') + "7");
  EXPECT_GT(text.size() - 1, 80U);
  EXPECT_EQ(q(text), total);
  EXPECT_EQ(total - doubled, q("0." + repeated(37, '9') + "7"));
}

TEST(QuantityAddition, WorksOnItself) {
  Quantity a = q("-1.5");
  a += a;
  EXPECT_EQ(a.text(), "-3");
  const Quantity& same = a;
  a -= same;
  EXPECT_TRUE(a.is_zero());
  EXPECT_FALSE(a.is_negative());
}

TEST(QuantityAdditionDeathTest, AbortsRatherThanWraps) {
  EXPECT_DEATH(
      {
        Quantity a = q(repeated(57, '9'));
        for (int i = 0; i < 8; ++i) a += a;
      },
      "invariant_broken");
}

TEST(QuantityNegative, CancelsAndCarriesAcrossZero) {
  EXPECT_EQ((q("1") - q("1.5")).text(), "-0.5");
  EXPECT_EQ((q("-0.5") + q("1")).text(), "0.5");
  EXPECT_TRUE((q("12.25") + q("-12.25")).is_zero());
  EXPECT_EQ(-q("0"), q("0"));
  EXPECT_EQ(-(-q("7.7")), q("7.7"));
  EXPECT_TRUE(q("-0." + repeated(37, '0') + "1").is_negative());
}

TEST(QuantityOrder, FollowsTheNumbersAndNotTheTexts) {
  const std::vector<std::string> rising{"-100",
                                        "-99.9",
                                        "-1",
                                        "-0.5",
                                        "-0." + repeated(37, '0') + "1",
                                        "0",
                                        "0." + repeated(37, '0') + "1",
                                        "0.5",
                                        "1",
                                        "1.01",
                                        "2",
                                        "10",
                                        "100",
                                        repeated(40, '9')};
  for (std::size_t i = 0; i < rising.size(); ++i)
    for (std::size_t k = 0; k < rising.size(); ++k) {
      EXPECT_EQ(q(rising[i]) < q(rising[k]), i < k) << rising[i] << " " << rising[k];
      EXPECT_EQ(q(rising[i]) == q(rising[k]), i == k) << rising[i] << " " << rising[k];
    }
  EXPECT_EQ(q("1.50"), q("1.5"));
}

TEST(QuantityFitsUsage, IsTheLengthOfItsTextAtMostForty) {
  EXPECT_TRUE(q(repeated(40, '9')).fits_usage());
  EXPECT_FALSE((q(repeated(40, '9')) + q("1")).fits_usage());
  EXPECT_TRUE(q(repeated(20, '9') + "." + repeated(19, '9')).fits_usage());
  EXPECT_FALSE(q(repeated(20, '9') + "." + repeated(20, '9')).fits_usage());
  EXPECT_TRUE(q(repeated(20, '9') + "." + repeated(18, '9') + "000").fits_usage());
}

TEST(QuantityTimes, IsExactInEveryPlace) {
  struct Case {
    const char *a, *b, *product;
  };
  const std::vector<Case> cases{
      {"0", "5", "0"},
      {"3", "0.0075", "0.0225"},
      {"-3", "0.0075", "-0.0225"},
      {"-0.5", "-0.5", "0.25"},
      {"999999999999999999", "999999999999999999", "999999999999999998000000000000000001"},
      {"0.0000000000000000001", "0.0000000000000000001", "0.00000000000000000000000000000000000001"},
      {"123456789.987654321", "0.000000001", "0.123456789987654321"}};
  for (const auto& c : cases) {
    EXPECT_EQ(q(c.a).times(q(c.b)), q(c.product)) << c.a << " * " << c.b;
    EXPECT_EQ(q(c.b).times(q(c.a)), q(c.product)) << c.b << " * " << c.a;
  }
}

TEST(QuantityTimes, IsTheSumOfAsManyAsThereAre) {
  Quantity sum;
  for (int n = 0; n <= 300; ++n) {
    EXPECT_EQ(q("0.1234567890123456789").times(Quantity::of(static_cast<std::uint64_t>(n))), sum) << n;
    sum += q("0.1234567890123456789");
  }
}

TEST(QuantityTimes, RefusesWhatItCannotHold) {
  EXPECT_FALSE(q("0." + repeated(37, '0') + "1").times(q("0.1"))) << "39 places";
  EXPECT_TRUE(q("0." + repeated(37, '0') + "1").times(q("10")));
  EXPECT_FALSE(q("1" + repeated(30, '0')).times(q("1" + repeated(30, '0'))));
  EXPECT_TRUE(q("1" + repeated(28, '0')).times(q("1" + repeated(28, '0'))));
}

TEST(QuantityCut, DropsWhatIsBehindThePlace) {
  EXPECT_EQ(q("0.0225").cut_to(2), q("0.02"));
  EXPECT_EQ(q("-0.0225").cut_to(2), q("-0.02")) << "towards zero";
  EXPECT_EQ(q("12.999").cut_to(0), q("12"));
  EXPECT_EQ(q("12.5").cut_to(38), q("12.5"));
  const std::string nines = "0." + repeated(38, '9');
  for (int places = 1; places <= 38; ++places)
    EXPECT_EQ(q(nines).cut_to(places).text(), nines.substr(0, static_cast<std::size_t>(places) + 2));
}

}  // namespace
}  // namespace meterd
