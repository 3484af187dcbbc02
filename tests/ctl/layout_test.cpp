#include "agent/ctl/layout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace meterd::ctl {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Le;
using ::testing::ResultOf;

// What a fold took apart, put together again.
std::string without_blanks(const std::vector<std::string>& lines) {
  std::string out;
  for (const auto& line : lines)
    std::copy_if(line.begin(), line.end(), std::back_inserter(out), [](char c) { return c != ' '; });
  return out;
}

TEST(LayoutClean, TakesFromTheTerminalEveryCharacterThatItWouldActOn) {
  EXPECT_EQ(clean("a\x1b[2Jb"), "a?[2Jb");
  EXPECT_EQ(clean("two\nlines\tand\r\x7f"), "two lines and ?");
  EXPECT_EQ(clean("x\xc2\x9by"), "x?y");  // C1: the one-byte escape of some terminals
  EXPECT_EQ(clean("sub\xe2\x80\xae"
                  "1_bus"),
            "sub?1_bus");  // right-to-left override
  EXPECT_EQ(clean(std::string_view("a\0b", 3)), "a?b");
  EXPECT_EQ(clean("\xff\xc3"), "??");
  EXPECT_EQ(clean("ünïcode 数量"), "ünïcode 数量");
}

TEST(LayoutWidth, CountsColumnsAndNotBytes) {
  EXPECT_EQ(width_of("abc"), 3U);
  EXPECT_EQ(width_of("ünï"), 3U);
  EXPECT_EQ(width_of("数量"), 4U);
  EXPECT_EQ(width_of("e\xcc\x81"), 1U);  // e with a combining accent
}

TEST(LayoutClip, MarksWhatItCuts) {
  EXPECT_EQ(clip("short", 5), "short");
  EXPECT_EQ(clip("a long text", 8), "a lon...");
  EXPECT_EQ(width_of(clip("数量数量数量", 8)), 7U);  // half a character is none
}

TEST(LayoutWrap, BreaksBetweenPiecesAndIndentsTheRest) {
  const std::string word(30, 'w');
  EXPECT_THAT(wrap({word, word, word}, "  ", {2, 4}), ElementsAre("  " + word + "  " + word, "    " + word));
}

TEST(LayoutWrap, FoldsAPieceWiderThanALineAndLosesNothing) {
  const std::string id(200, 'i');
  const auto lines = wrap({"before", id, "after"}, "  ", {0, 4});
  EXPECT_THAT(lines, Each(ResultOf(width_of, Le(80U))));
  EXPECT_EQ(without_blanks(lines), "before" + id + "after");
}

TEST(LayoutWrap, OfNothingIsNoLine) {
  EXPECT_TRUE(wrap({}, " ", {0, 2}).empty());
  EXPECT_TRUE(wrap_words("", {0, 2}).empty());
  EXPECT_TRUE(wrap_words("   ", {0, 2}).empty());
}

TEST(LayoutTable, IsAsWideAsItsCellsAndPutsNumbersToTheRight) {
  EXPECT_THAT(table({{"NAME"}, {"N", true}}, {{"a", "1"}, {"long name", "100"}}, 2),
              ElementsAre("  NAME         N", "  a            1", "  long name  100"));
}

TEST(LayoutTable, FoldsTextsBeforeNumbersAndLosesNothing) {
  const std::string id(100, 's');
  const std::string price(100, 'p');
  const std::string quantity(40, '9');
  const auto lines =
      table({{"SUBSCRIPTION"}, {"ITEM PRICE"}, {"QUANTITY", true}}, {{id, price, quantity}}, 2);
  EXPECT_THAT(lines, Each(ResultOf(width_of, Le(80U))));
  EXPECT_THAT(lines, ::testing::Contains(::testing::HasSubstr(quantity)));
  const auto all = without_blanks(lines);
  EXPECT_EQ(std::count(all.begin(), all.end(), 's'), 100);
  EXPECT_EQ(std::count(all.begin(), all.end(), 'p'), 100);
}

TEST(LayoutTable, FoldsNumbersWhenNothingElseIsLeft) {
  const std::string n(90, '7');
  const auto lines = table({{"A", true}, {"B", true}}, {{n, n}}, 0);
  EXPECT_THAT(lines, Each(ResultOf(width_of, Le(80U))));
  const auto all = without_blanks(lines);
  EXPECT_EQ(std::count(all.begin(), all.end(), '7'), 180);
}

}  // namespace
}  // namespace meterd::ctl
