#include "agent/statement/text_flow.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace meterd::statement {
namespace {

using ::testing::ElementsAre;

// Every character is ten wide, a combining accent takes no room.
std::int64_t tens(char32_t point) { return point == 0x301 ? 0 : 10; }

TEST(StatementClean, LetsTextsOfAnyScriptPass) {
  EXPECT_EQ(clean("Größe Ωμέγα Привет 数量"), "Größe Ωμέγα Привет 数量");
  EXPECT_EQ(clean(""), "");
}

TEST(StatementClean, ReplacesWhatPaperCannotShow) {
  EXPECT_EQ(clean("two\nlines\tand\r"), "two lines and ");
  EXPECT_EQ(clean("a\x1b[2J\x7f"), "a�[2J�");
  EXPECT_EQ(clean("x\xc2\x9by"), "x�y");          // C1
  EXPECT_EQ(clean("x\xe2\x80\xaey"), "x�y");      // right-to-left override
  EXPECT_EQ(clean("x\xf0\x9f\x98\x80y"), "x�y");  // above U+FFFF
  EXPECT_EQ(clean("x\xef\xbf\xbfy"), "x�y");      // U+FFFF, a noncharacter
  EXPECT_EQ(clean(std::string("a\0b", 3)), "a�b");
}

TEST(StatementClean, ReplacesEachByteThatIsNotUtf8) {
  EXPECT_EQ(clean("\xff\xc3"), "��");
  EXPECT_EQ(clean("a\xe2\x82"), "a��");     // cut short
  EXPECT_EQ(clean("\xe2\x41\x42"), "�AB");  // what follows is kept
  EXPECT_EQ(clean("\xed\xa0\x80"), "���");  // a surrogate
  EXPECT_EQ(clean("\xc0\xaf"), "��");       // overlong
}

TEST(StatementWidth, CountsCharactersAndNotBytes) {
  EXPECT_EQ(width_of("ünï", tens), 30);
  EXPECT_EQ(width_of("数量", tens), 20);
  EXPECT_EQ(width_of("e\xcc\x81", tens), 10);
  EXPECT_EQ(width_of("", tens), 0);
}

TEST(StatementWrap, BreaksBetweenWords) {
  EXPECT_THAT(wrap("one two three", 70, tens), ElementsAre("one two", "three"));
  EXPECT_THAT(wrap("one two three", 130, tens), ElementsAre("one two three"));
  EXPECT_THAT(wrap("Größe über alles", 60, tens), ElementsAre("Größe", "über", "alles"));
  EXPECT_THAT(wrap("  one   two  ", 50, tens), ElementsAre("one", "two"));
}

TEST(StatementWrap, BreaksAWordTooWideForALineAndLosesNothing) {
  EXPECT_THAT(wrap("abcdefghij", 40, tens), ElementsAre("abcd", "efgh", "ij"));
  EXPECT_THAT(wrap("ääöö", 30, tens), ElementsAre("ääö", "ö"));
  EXPECT_THAT(wrap("a bcdefgh", 40, tens), ElementsAre("a", "bcde", "fgh"));
}

TEST(StatementWrap, PrefersToBreakIdsBehindTheirJoints) {
  EXPECT_THAT(wrap("data-gigabyte-EUR", 150, tens), ElementsAre("data-gigabyte-", "EUR"));
  EXPECT_THAT(wrap("a-bcdefghijk", 80, tens),
              ElementsAre("a-bcdefg", "hijk"));  // half a line is not given up
}

TEST(StatementWrap, NeverParksAnAccentOnALineOfItsOwn) {
  EXPECT_THAT(wrap("abce\xcc\x81"
                   "f",
                   40, tens),
              ElementsAre("abce\xcc\x81", "f"));
}

TEST(StatementWrap, OfNothingIsNoLine) {
  EXPECT_TRUE(wrap("", 50, tens).empty());
  EXPECT_TRUE(wrap("   ", 50, tens).empty());
}

TEST(StatementWrap, EndsWhereNotEvenOneCharacterFits) {
  EXPECT_THAT(wrap("ab c", 5, tens), ElementsAre("a", "b", "c"));
}

TEST(StatementClip, MarksWhatItCuts) {
  EXPECT_EQ(clip("short", 50, tens), "short");
  EXPECT_EQ(clip("a long text", 60, tens), "a lon…");
  EXPECT_EQ(clip("äöüäöü", 40, tens), "äöü…");
}

}  // namespace
}  // namespace meterd::statement
