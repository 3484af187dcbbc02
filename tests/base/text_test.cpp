// Text helpers and backoff: strictness at every edge.
#include "agent/base/text.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "agent/base/backoff.hpp"

namespace meterd {
namespace {

TEST(ParseUnsigned, TakesWholeNumbersOnly) {
  EXPECT_EQ(parse_unsigned("0"), 0U);
  EXPECT_EQ(parse_unsigned("007"), 7U);
  EXPECT_EQ(parse_unsigned("18446744073709551615"), UINT64_MAX);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "1e3", "18446744073709551616", "٣"})
    EXPECT_EQ(parse_unsigned(text), std::nullopt) << text;
}

TEST(PercentEncode, KeepsOnlyUnreservedCharacters) {
  EXPECT_EQ(percent_encode("AZaz09-._~"), "AZaz09-._~");
  EXPECT_EQ(percent_encode("a b/c+d&e=f%"), "a%20b%2Fc%2Bd%26e%3Df%25");
  EXPECT_EQ(percent_encode("ü"), "%C3%BC");
  EXPECT_EQ(percent_encode(std::string("\0\xFF", 2)), "%00%FF");
}

TEST(PercentDecode, UndoesEveryByte) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  EXPECT_EQ(percent_decode(percent_encode(all), false), all);
  EXPECT_EQ(percent_decode(percent_encode(all), true), all);
  EXPECT_EQ(percent_decode("%c3%Bc", false), "ü");
}

TEST(PercentDecode, ReadsPlusAsSpaceOnlyInForms) {
  EXPECT_EQ(percent_decode("a+b%2B", true), "a b+");
  EXPECT_EQ(percent_decode("a+b%2B", false), "a+b+");
}

TEST(PercentDecode, RefusesMalformedEscapes) {
  for (const char* text : {"%", "%4", "a%", "a%4", "%4g", "%g4", "%%41", "%+1", "% 1", "abc%2"})
    EXPECT_EQ(percent_decode(text, true), std::nullopt) << text;
}

TEST(Utf8, TakesWhatIsValid) {
  for (const char* text :
       {"", "plain", "ü", "€", "😀", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF", "\xEE\x80\x80", "\xC2\x80"})
    EXPECT_TRUE(is_valid_utf8(text)) << text;
  EXPECT_TRUE(is_valid_utf8(std::string("a\0b", 3)));
}

TEST(Utf8, RefusesOverlongSurrogateTooLargeAndCutForms) {
  for (const char* text : {"\x80",
                           "\xBF",
                           "\xC0\x80",
                           "\xC1\xBF",
                           "\xE0\x80\x80",
                           "\xE0\x9F\xBF",
                           "\xED\xA0\x80",
                           "\xED\xBF\xBF",
                           "\xF0\x80\x80\x80",
                           "\xF0\x8F\xBF\xBF",
                           "\xF4\x90\x80\x80",
                           "\xF5\x80\x80\x80",
                           "\xFE",
                           "\xFF",
                           "\xC3",
                           "\xE2\x82",
                           "\xF0\x9F\x98",
                           "a\xC3",
                           "\xC3(",
                           "\xE2(\xA1",
                           "\xE2\x82("})
    EXPECT_FALSE(is_valid_utf8(text)) << percent_encode(text);
}

TEST(CleanText, HasALengthInBytesAndNoControlCharacters) {
  EXPECT_TRUE(is_clean_text("sub_1", 100));
  EXPECT_TRUE(is_clean_text("a b", 100));
  EXPECT_TRUE(is_clean_text(std::string(100, 'x'), 100));
  EXPECT_FALSE(is_clean_text(std::string(101, 'x'), 100));
  EXPECT_TRUE(is_clean_text("üü", 4));
  EXPECT_FALSE(is_clean_text("üü", 3));
  EXPECT_FALSE(is_clean_text("", 100));
  EXPECT_FALSE(is_clean_text("a\nb", 100));
  EXPECT_FALSE(is_clean_text("a\x7F", 100));
  EXPECT_FALSE(is_clean_text(std::string("a\0", 2), 100));
  EXPECT_FALSE(is_clean_text("\xFF", 100));
}

TEST(FullJitter, StaysBetweenATenthOfTheCeilingAndTheCeiling) {
  const BackoffLimits limits{Milliseconds(1'000), Milliseconds(60'000)};
  for (std::uint32_t attempt = 0; attempt < 100; ++attempt) {
    const std::int64_t ceiling = attempt <= 1   ? 1'000
                                 : attempt >= 7 ? 60'000
                                                : std::min<std::int64_t>(60'000, 1'000LL << (attempt - 1));
    const auto at_most = static_cast<std::uint64_t>(ceiling - ceiling / 10);
    for (const std::uint64_t random :
         {std::uint64_t{0}, std::uint64_t{1}, at_most, at_most + 1, UINT64_MAX}) {
      const auto wait = full_jitter(limits, attempt, random).count();
      EXPECT_GE(wait, ceiling / 10) << attempt;
      EXPECT_LE(wait, ceiling) << attempt;
    }
    EXPECT_EQ(full_jitter(limits, attempt, 0).count(), ceiling / 10);
    EXPECT_EQ(full_jitter(limits, attempt, at_most).count(), ceiling);
  }
}

TEST(FullJitter, NeverReturnsZeroAndSurvivesTheLargestAttempt) {
  EXPECT_GE(full_jitter({Milliseconds(1), Milliseconds(1)}, 1, 0).count(), 1);
  EXPECT_LE(full_jitter({}, UINT32_MAX, UINT64_MAX).count(), BackoffLimits{}.cap.count());
}

TEST(FullJitter, TakesAFirstWaitAboveTheCapAsTheCap) {
  EXPECT_LE(full_jitter({Milliseconds(5'000), Milliseconds(1'000)}, 1, UINT64_MAX - 3).count(), 1'000);
  EXPECT_GE(full_jitter({Milliseconds(5'000), Milliseconds(1'000)}, 3, 0).count(), 1);
}

TEST(FullJitter, SpreadsDifferentRandomNumbers) {
  std::set<std::int64_t> seen;
  for (std::uint64_t random = 0; random < 500; ++random)
    seen.insert(full_jitter({}, 10, random * 0x9E3779B97F4A7C15U).count());
  EXPECT_GT(seen.size(), 450U);
}

}  // namespace
}  // namespace meterd
