// JSON whose numbers keep their digits.
#include "agent/base/exact_json.hpp"

#include <gtest/gtest.h>

namespace meterd {
namespace {

using Kind = ExactJson::Kind;

// Of {"n": TEXT}; "none": it is no number that can be held.
std::string number(const std::string& text) {
  const auto parsed = ExactJson::parse("{\"n\":" + text + "}");
  const auto* member = parsed ? parsed->member("n") : nullptr;
  const auto quantity = member == nullptr ? std::nullopt : member->quantity();
  return quantity ? quantity->text() : "none";
}

TEST(ExactJson, KeepsEveryDigitOfANumber) {
  EXPECT_EQ(number("12.355"), "12.355");
  EXPECT_EQ(number("0.1000000000000000055511151231257827"), "0.1000000000000000055511151231257827");
  EXPECT_EQ(number("123456789012345678901234567890"), "123456789012345678901234567890");
  EXPECT_EQ(number("-0.50"), "-0.5");
  EXPECT_EQ(number("-0"), "0");
}

TEST(ExactJson, ReadsAnExponent) {
  EXPECT_EQ(number("1.2355e1"), "12.355");
  EXPECT_EQ(number("1E3"), "1000");
  EXPECT_EQ(number("1.5e+2"), "150");
  EXPECT_EQ(number("12355e-3"), "12.355");
  EXPECT_EQ(number("5e-7"), "0.0000005");
  EXPECT_EQ(number("-5.25e-1"), "-0.525");
  EXPECT_EQ(number("0e99"), "0");
  EXPECT_EQ(number("100e-2"), "1");
}

TEST(ExactJson, HasNoNumberThatAQuantityCannotHold) {
  EXPECT_EQ(number("1e99"), "none");
  EXPECT_EQ(number("1e-39"), "none");
  EXPECT_EQ(number("1e999999999999999999999"), "none");
  EXPECT_EQ(number("\"1\""), "none") << "a text is no number";
  EXPECT_EQ(number("true"), "none");
}

TEST(ExactJson, IsATreeInTheOrderOfTheText) {
  const auto parsed = ExactJson::parse(R"({"b":[1,{"c":"x\n\u00fc"},[],null],"a":false})");
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->names.size(), 2U);
  EXPECT_EQ(parsed->names[0], "b");
  const auto* list = parsed->member("b", Kind::array);
  ASSERT_NE(list, nullptr);
  ASSERT_EQ(list->items.size(), 4U);
  EXPECT_EQ(list->items[0].text, "1");
  EXPECT_EQ(list->items[1].member("c", Kind::string)->text, "x\n\xc3\xbc");
  EXPECT_EQ(list->items[2].kind, Kind::array);
  EXPECT_EQ(list->items[3].kind, Kind::null);
  EXPECT_FALSE(parsed->member("a", Kind::boolean)->truth);
  EXPECT_EQ(parsed->member("a", Kind::string), nullptr);
  EXPECT_EQ(parsed->member("d"), nullptr);
  EXPECT_TRUE(ExactJson::parse("[true]")->items[0].truth);
}

TEST(ExactJson, RefusesWhatIsNoJsonOrCouldBeReadInTwoWays) {
  for (const char* text :
       {"", "{", "{\"a\":1}x", "{\"a\":1,\"a\":2}", "[1,]", "{a:1}", "NaN", "01", "+1", "1.", ".5"})
    EXPECT_FALSE(ExactJson::parse(text)) << text;
  EXPECT_TRUE(ExactJson::parse(R"([{"a":1},{"a":2}])")) << "the same name in two objects";
  EXPECT_FALSE(ExactJson::parse(std::string(33, '[') + std::string(33, ']')));
  EXPECT_TRUE(ExactJson::parse(std::string(32, '[') + std::string(32, ']')));
}

}  // namespace
}  // namespace meterd
