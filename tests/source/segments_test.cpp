// What a text costs: the alphabet, the sizes, and what may not be split.
#include "agent/source/modem/segments.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace meterd::source {
namespace {

std::string times(std::size_t count, std::string_view piece) {
  std::string out;
  while (count-- > 0) out += piece;
  return out;
}

// The 128 places of the default alphabet in the order of TS 23.038; 0x1B, the escape, stands for itself.
constexpr std::string_view kAlphabet[] = {
    "@", "£", "$", "¥", "è", "é", "ù", "ì", "ò",    "Ç", "\n", "Ø", "ø", "\r", "Å", "å",  "Δ", "_", "Φ",
    "Γ", "Λ", "Ω", "Π", "Ψ", "Σ", "Θ", "Ξ", "\x1b", "Æ", "æ",  "ß", "É", " ",  "!", "\"", "#", "¤", "%",
    "&", "'", "(", ")", "*", "+", ",", "-", ".",    "/", "0",  "1", "2", "3",  "4", "5",  "6", "7", "8",
    "9", ":", ";", "<", "=", ">", "?", "¡", "A",    "B", "C",  "D", "E", "F",  "G", "H",  "I", "J", "K",
    "L", "M", "N", "O", "P", "Q", "R", "S", "T",    "U", "V",  "W", "X", "Y",  "Z", "Ä",  "Ö", "Ñ", "Ü",
    "§", "¿", "a", "b", "c", "d", "e", "f", "g",    "h", "i",  "j", "k", "l",  "m", "n",  "o", "p", "q",
    "r", "s", "t", "u", "v", "w", "x", "y", "z",    "ä", "ö",  "ñ", "ü", "à"};
static_assert(std::size(kAlphabet) == 128);
constexpr std::string_view kExtension[] = {"\f", "^", "{", "}", "\\", "[", "~", "]", "|", "€"};

TEST(SegmentsAlphabet, GivesEachOfThe128CharactersOneSeptet) {
  for (const auto character : kAlphabet) {
    EXPECT_EQ(segments_of_text(times(160, character)), 1U) << character;
    EXPECT_EQ(segments_of_text(times(161, character)), 2U) << character;
  }
}

TEST(SegmentsAlphabet, GivesEachCharacterOfTheExtensionTableTwo) {
  for (const auto character : kExtension) {
    EXPECT_EQ(segments_of_text(times(80, character)), 1U) << character;
    EXPECT_EQ(segments_of_text(times(80, character) + "a"), 2U) << character;
  }
}

TEST(SegmentsAlphabet, IsLeftWithOneForeignCharacter) {
  for (const std::string_view character : {"`", "ç", "á", "\t", "\x7f", "\x01", "—", "α", "ÿ", "’"}) {
    const std::string text = times(69, "a") + std::string(character);
    EXPECT_EQ(segments_of_text(text), 1U) << character;
    EXPECT_EQ(segments_of_text(text + "a"), 2U) << character;
  }
}

struct Case {
  std::string name, text;
  std::uint32_t segments;
};
class SegmentsTable : public ::testing::TestWithParam<Case> {};
TEST_P(SegmentsTable, CountsAsOperatorsDo) {
  EXPECT_EQ(segments_of_text(GetParam().text), GetParam().segments);
}

const Case kCases[] = {
    {"empty", "", 1},
    {"one", "a", 1},
    {"gsm_two_full_parts", times(306, "a"), 2},
    {"gsm_one_more", times(307, "a"), 3},
    {"gsm_five_parts", times(5 * 153, "a"), 5},
    {"extension_ends_the_single_one", times(158, "a") + "€", 1},
    {"extension_beyond_the_single_one", times(159, "a") + "€", 2},
    // 153 + 153 septets would do, were the escape not on the boundary.
    {"extension_on_the_boundary", times(152, "a") + "{" + times(152, "a"), 3},
    {"extension_before_the_boundary", times(151, "a") + "{" + times(153, "a"), 2},
    {"extension_on_each_boundary", times(152, "a") + "{" + times(150, "a") + "{" + times(151, "a"), 3},
    {"ucs2_single", times(70, "ж"), 1},
    {"ucs2_two", times(71, "ж"), 2},
    {"ucs2_two_full_parts", times(134, "ж"), 2},
    {"ucs2_three", times(135, "ж"), 3},
    {"extension_is_one_unit_of_ucs2", times(69, "{") + "ж", 1},
    {"emoji_are_two_units", times(35, "😀"), 1},
    {"emoji_and_one", times(35, "😀") + "a", 2},
    // 67 is odd: each part holds 33 pairs.
    {"emoji_are_not_split", times(66, "😀"), 2},
    {"emoji_beyond_two_parts", times(67, "😀"), 3},
    {"emoji_on_the_boundary", times(66, "ж") + "😀" + times(66, "ж"), 3},
    {"family_of_joined_emoji", "👨‍👩‍👧‍👦", 1},
    {"combining_marks_count", times(35, "e\u0301"), 1},
    {"combining_marks_count_one_more", times(36, "e\u0301"), 2},
    {"invalid_utf8_is_a_unit_a_byte", times(70, "\xff"), 1},
    {"invalid_utf8_two", times(71, "\xff"), 2},
    {"cut_short_utf8", times(69, "a") + "\xe2\x82", 2},
    {"overlong_utf8", "\xc0\xaf" + times(68, "a"), 1},
    {"encoded_surrogate", "\xed\xa0\x80" + times(67, "a"), 1},
    {"above_unicode", "\xf4\x90\x80\x80" + times(67, "a"), 2},
    {"nul_is_foreign", std::string(71, '\0'), 2},
};
INSTANTIATE_TEST_SUITE_P(Table, SegmentsTable, ::testing::ValuesIn(kCases),
                         [](const auto& parameter) { return parameter.param.name; });

TEST(SegmentsOfData, FollowTheOctets) {
  EXPECT_EQ(segments_of_data(0), 1U);
  EXPECT_EQ(segments_of_data(140), 1U);
  EXPECT_EQ(segments_of_data(141), 2U);
  EXPECT_EQ(segments_of_data(268), 2U);
  EXPECT_EQ(segments_of_data(269), 3U);
}

}  // namespace
}  // namespace meterd::source
