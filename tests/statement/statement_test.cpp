// What a statement says: read back as text.
#include "agent/statement/statement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/statement/reader.hpp"

namespace meterd::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Statement, ShowsTitleFactsUsagesAndNotesInAnyScript) {
  const Pdf pdf(rendered(sample(8)));
  const auto text = pdf.text();
  EXPECT_THAT(text, ContainsRegex("^Usages of invoice inv_1\n"));
  EXPECT_THAT(text, ContainsRegex("Device +gw-0042\n"));
  EXPECT_THAT(text, ContainsRegex("Range +2026-11-01 to 2026-11-30\n"));
  EXPECT_THAT(text, ContainsRegex("Subscription +Item price +Date +Quantity +Note"));
  EXPECT_THAT(text, ContainsRegex("sub_1 +sms-usd +2026-11-22 13:45:09 UTC +1.25 +Größe geprüft"));
  EXPECT_THAT(text, ContainsRegex("sub_0 +data-usd +2026-11-22 13:45:09 UTC +2.25 +παράδειγμα"));
  EXPECT_THAT(text, ContainsRegex("sub_1 +data-usd +2026-11-22 13:45:09 UTC +3.25 +Передано повторно"));
  EXPECT_THAT(pdf.info(), ContainsRegex("Title: +Usages of invoice inv_1"));
}

TEST(Statement, GroupsBySubscriptionAndItemPriceAndKeepsTheGivenOrder) {
  statement::Statement statement{"Usages", {}, {}};
  statement.lines = {line_of("sub_b", "sms", "7", "first"), line_of("sub_a", "sms", "5", "second"),
                     line_of("sub_b", "data", "3", "third"), line_of("sub_b", "sms", "1", "fourth")};
  const auto text = Pdf(rendered(statement)).text();
  const auto at = [&text](const char* what) { return text.find(what); };
  EXPECT_LT(at("second"), at("third"));
  EXPECT_LT(at("third"), at("first"));
  EXPECT_LT(at("first"), at("fourth"));
  ASSERT_NE(at("fourth"), std::string::npos);
}

TEST(Statement, AddsExactly) {
  statement::Statement statement{"Usages", {}, {}};
  statement.lines = {line_of("sub", "tenths", "0.1"),
                     line_of("sub", "tenths", "0.2"),
                     line_of("sub", "wide", "99999999999999999999.00000000000000001"),
                     line_of("sub", "wide", "1"),
                     line_of("sub", "minus", "5"),
                     line_of("sub", "minus", "-7.5")};
  const auto text = Pdf(rendered(statement)).text();
  EXPECT_THAT(text, ContainsRegex("Total +0\\.3\n"));
  EXPECT_THAT(text, ContainsRegex("Total +100000000000000000000\\.00000000000000001\n"));
  EXPECT_THAT(text, ContainsRegex("Total +-2\\.5\n"));
}

TEST(Statement, EndsWithAllTotals) {
  const auto text = Pdf(rendered(sample(8))).text();
  const auto totals = text.find("\nTotals\n");
  ASSERT_NE(totals, std::string::npos);
  const auto end = text.substr(totals);
  EXPECT_THAT(end, ContainsRegex("Subscription +Item price +Usages +Total\n"));
  EXPECT_THAT(end, ContainsRegex("sub_0 +data-usd +2 +8\\.5\n"));
  EXPECT_THAT(end, ContainsRegex("sub_0 +sms-usd +2 +4\\.5\n"));
  EXPECT_THAT(end, ContainsRegex("sub_1 +data-usd +2 +10\\.5\n"));
  EXPECT_THAT(end, ContainsRegex("sub_1 +sms-usd +2 +6\\.5\n"));
}

TEST(Statement, ShowsAQuantityAsItWasGivenAndElseItsShortestText) {
  statement::Statement statement{"Usages", {}, {line_of("sub", "sms", "007.50")}};
  statement.lines.push_back(line_of("sub", "sms", "2.50"));
  statement.lines.back().quantity_text.clear();
  const auto text = Pdf(rendered(statement)).text();
  EXPECT_THAT(text, HasSubstr(" 007.50"));
  EXPECT_THAT(text, ContainsRegex(" 2\\.5\n"));
  EXPECT_THAT(text, ContainsRegex("Total +10\n"));
}

TEST(Statement, WithoutUsagesSaysSo) {
  statement::Statement statement{"Usages of invoice inv_0", {{"Device", "gw-1"}}, {}};
  const Pdf pdf(rendered(statement));
  const auto text = pdf.text();
  EXPECT_THAT(text, HasSubstr("No usages."));
  EXPECT_THAT(text, Not(HasSubstr("Total")));
  EXPECT_THAT(text, HasSubstr("page 1 of 1"));
}

TEST(Statement, SurvivesTextsThatTheFontOrUtf8DoesNotHave) {
  statement::Statement statement{"Title \xff\x01 😀", {{"", ""}, {"\xc3", "\xf0\x9f"}}, {}};
  statement.lines = {line_of("sub\xfe", "sms", "1", "数量 😀 \xe2\x80\xae end"),
                     line_of("", "", "2", "\x00(\\)"), line_of("(", "\\)", "3", ")) \\( <b> %")};
  const auto text = Pdf(rendered(statement)).text();
  EXPECT_THAT(text, HasSubstr("数量 � � end"));
  EXPECT_THAT(text, HasSubstr("sub�"));
  EXPECT_THAT(text, HasSubstr(")) \\( <b> %"));
}

TEST(Statement, OfTheSameUsagesIsTheSameBytes) {
  const auto bytes = rendered(sample(120));
  EXPECT_EQ(bytes, rendered(sample(120)));
  EXPECT_NE(bytes, rendered(sample(121)));
}

TEST(Statement, RefusesMoreUsagesThanItsLimit) {
  statement::Statement statement;
  statement.lines.resize(statement::kLinesMax + 1, line_of("sub", "sms", "1"));
  const auto refused = statement::render_pdf(statement);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::invalid);
  EXPECT_THAT(refused.error().message, HasSubstr("at most 20000 usages, not 20001"));
  statement.lines.resize(statement::kLinesMax);
  EXPECT_EQ(rendered(statement).substr(0, 5), "%PDF-");
}

TEST(Statement, NamesThePackageOfAFontThatIsNotThereOrNone) {
  const statement::FontFiles usual;
  const auto directory = std::filesystem::temp_directory_path().string();
  for (const auto& fonts :
       {statement::FontFiles{"/nonexistent/a.ttf", usual.bold},
        statement::FontFiles{usual.regular, "/nonexistent/b.ttf"},
        statement::FontFiles{"/etc/passwd", usual.bold}, statement::FontFiles{directory, usual.bold},
        statement::FontFiles{"/dev/null", usual.bold}}) {
    const auto refused = statement::render_pdf(sample(1), fonts);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, Code::invalid);
    EXPECT_THAT(refused.error().message, HasSubstr("install the package fonts-dejavu-core"));
    EXPECT_THAT(refused.error().message,
                HasSubstr(fonts.regular == usual.regular ? fonts.bold : fonts.regular));
  }
}

}  // namespace
}  // namespace meterd::test
