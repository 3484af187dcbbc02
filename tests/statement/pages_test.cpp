// How a statement stands on its pages: size, page breaks, columns.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <vector>

#include "tests/statement/reader.hpp"

namespace meterd::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// Words share a place only if one lies upon the other.
bool overlap(const Pdf::Word& a, const Pdf::Word& b) {
  constexpr double kSlack = 1.5;  // boxes are as high as the tallest letter of the font
  return a.left + kSlack < b.right && b.left + kSlack < a.right && a.top + kSlack < b.bottom &&
         b.top + kSlack < a.bottom;
}

void expect_margins(const std::vector<Pdf::Word>& words) {
  for (const auto& word : words) {
    const bool is_foot = word.top > 841.89 - 44;
    EXPECT_GT(word.left, 43) << word.text;
    EXPECT_LT(word.right, 595.28 - 43) << word.text;
    EXPECT_LT(word.bottom, 841.89 - (is_foot ? 30 : 54)) << word.text;
  }
}

void expect_tidy(const Pdf& pdf) {
  for (std::size_t page = 1; page <= pdf.pages(); ++page) {
    const auto words = pdf.words(page);
    expect_margins(words);
    for (std::size_t i = 0; i < words.size(); ++i)
      for (std::size_t k = i + 1; k < words.size(); ++k)
        EXPECT_FALSE(overlap(words[i], words[k]))
            << "page " << page << ": " << words[i].text << " | " << words[k].text;
  }
}

TEST(StatementPages, AreA4WithTheirFontsEmbedded) {
  const Pdf pdf(rendered(sample(3)));
  EXPECT_THAT(pdf.info(), ContainsRegex("Page size: +[0-9.]+ x [0-9.]+ pts \\(A4\\)"));
  std::istringstream lines(pdf.fonts());
  std::string line;
  std::getline(lines, line);
  std::getline(lines, line);  // two lines of heading
  int fonts = 0;
  for (; std::getline(lines, line); ++fonts) EXPECT_THAT(line, ContainsRegex("DejaVu.* yes yes yes "));
  EXPECT_EQ(fonts, 2);
}

TEST(StatementPages, RepeatTitleAndHeadingAndAreNumbered) {
  const Pdf pdf(rendered(sample(100)));
  ASSERT_EQ(pdf.pages(), 3U);
  for (std::size_t page = 1; page <= 3; ++page) {
    const auto text = pdf.text(page);
    EXPECT_THAT(text, HasSubstr("Usages of invoice inv_1"));
    EXPECT_THAT(text, ContainsRegex("Subscription +Item price"));
    EXPECT_THAT(text, HasSubstr("page " + std::to_string(page) + " of 3"));
    EXPECT_THAT(text, ContainsRegex("\n *sub_[01] +[a-z]+-usd +2026"))
        << "each page names what it goes on with";
  }
}

TEST(StatementPages, HoldEachUsageOnce) {
  const Pdf pdf(rendered(sample(300)));
  const auto text = pdf.text();
  for (int i = 0; i < 300; ++i) {
    const auto quantity = " " + std::to_string(i) + ".25";
    const auto first = text.find(quantity);
    ASSERT_NE(first, std::string::npos) << quantity;
    EXPECT_EQ(text.find(quantity, first + 1), std::string::npos) << quantity;
  }
}

// Whatever stands before it: a group's total is never alone on a page, nor below its end.
TEST(StatementPages, KeepATotalBelowItsLastUsage) {
  for (std::size_t facts = 0; facts < 3; ++facts) {
    for (std::size_t lines = 38; lines < 44; ++lines) {
      statement::Statement statement{"Usages", {}, {}};
      statement.facts.assign(facts, {"Fact", "value"});
      statement.lines.assign(lines, line_of("sub", "sms", "1"));
      const Pdf pdf(rendered(statement));
      for (std::size_t page = 1; page <= pdf.pages(); ++page) {
        EXPECT_THAT(pdf.text(page), Not(ContainsRegex("Note\n+ *Total "))) << facts << ", " << lines;
        expect_margins(pdf.words(page));
      }
    }
  }
}

TEST(StatementPages, PutQuantitiesToTheRight) {
  statement::Statement statement{"Usages", {}, {}};
  statement.lines = {line_of("sub", "sms", "1"), line_of("sub", "sms", "12345.125"),
                     line_of("sub", "sms", "22")};
  const auto words = Pdf(rendered(statement)).words(1);
  const auto right_of = [&words](const std::string& text) {
    const auto word = std::find_if(words.begin(), words.end(), [&](const auto& w) { return w.text == text; });
    return word == words.end() ? -1.0 : word->right;
  };
  EXPECT_GT(right_of("12345.125"), 0);
  EXPECT_NEAR(right_of("1"), right_of("12345.125"), 0.1);
  EXPECT_NEAR(right_of("22"), right_of("12345.125"), 0.1);
  EXPECT_NEAR(right_of("Quantity"), right_of("12345.125"), 0.1);
}

TEST(StatementPages, WrapTheLongestIdsNotesAndQuantities) {
  const std::string id(100, 'W');
  const std::string words = "Größe über Maß ";
  std::string note;
  while (note.size() + words.size() < 500) note += words;
  statement::Statement statement{"Usages", {}, {}};
  for (int i = 0; i < 6; ++i)
    statement.lines.push_back(line_of(id, id, "9999999999999999999999999999999999999.9" + std::to_string(i),
                                      i % 2 == 0 ? note : std::string(500, 'W')));
  for (auto& line : statement.lines) line.date = "2026-11-22 13:45:09 +14:00";
  const Pdf pdf(rendered(statement));
  expect_tidy(pdf);
  const auto text = pdf.text();
  EXPECT_THAT(text, HasSubstr(" 9999999999999999999999999999999999999.95"));
  EXPECT_EQ(std::count(text.begin(), text.end(), 'W') % 100, 0);
  EXPECT_GE(std::count(text.begin(), text.end(), 'W'), 3 * 500 + 4 * 100);
  EXPECT_THAT(text, Not(HasSubstr("…")));
}

TEST(StatementPages, ShortenOnlyWhatIsHigherThanAPage) {
  statement::Statement statement{"Usages", {}, {line_of("sub", "sms", "1", std::string(30'000, 'W'))}};
  const Pdf pdf(rendered(statement));
  expect_tidy(pdf);
  EXPECT_THAT(pdf.text(), HasSubstr("…"));
  EXPECT_LE(pdf.pages(), 3U);
}

TEST(StatementPages, KeepTheirMarginsAndNothingOverlaps) {
  auto statement = sample(90);
  statement.title =
      std::string(40, 'T') + " a title that does not fit one line, nor the head of the next page, by far";
  statement.facts.push_back({"A label of some length", std::string(300, 'f')});
  expect_tidy(Pdf(rendered(statement)));
}

}  // namespace
}  // namespace meterd::test
