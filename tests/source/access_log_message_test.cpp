// Messages of access logs: the headers that servers write, and JSON from whoever can make a request.
#include <gtest/gtest.h>

#include <random>

#include "agent/source/access_log/message.hpp"
#include "tests/base/seed.hpp"
#include "tests/support/rounds.hpp"

namespace meterd::source {
namespace {

using Kind = Field::Kind;
using namespace std::string_literals;

const std::string kObject = R"({"sub":"sub_1"})";

struct HeaderCase {
  const char* name;
  std::string line;
  bool is_read;
};

class Headers : public ::testing::TestWithParam<HeaderCase> {};

TEST_P(Headers, AreTakenOffOrRefused) {
  const auto object = object_of(GetParam().line);
  EXPECT_EQ(object.has_value(), GetParam().is_read);
  EXPECT_EQ(object.value_or(kObject), kObject);
}

const HeaderCase kHeaders[] = {
    {"none", kObject, true},
    {"priority_alone", "<190>" + kObject, true},
    {"nginx_without_host", "<190>Nov 21 23:46:41 meterd: " + kObject, true},
    {"nginx_with_host", "<190>Nov  1 23:46:41 gateway meterd: " + kObject, true},
    {"host_is_an_address", "<190>Nov  1 23:46:41 fe80::1 meterd: " + kObject, true},
    {"haproxy_rfc3164", "<134>Nov 23 01:14:34 localhost haproxy[9536]: " + kObject + "\n", true},
    {"haproxy_rfc5424", "<134>1 2026-11-23T01:13:57.494333+00:00 - haproxy 9160 - - " + kObject, true},
    {"structured_data", R"(<134>1 2026-11-23T01:13:57Z gw haproxy 9160 - [a@1 k="{\"]}"][b@1] )" + kObject,
     true},
    {"byte_order_mark", "<134>1 2026-11-23T01:13:57Z gw haproxy 9160 - - \xEF\xBB\xBF" + kObject, true},
    {"spaces_and_zeros_behind", kObject + " \r\0"s, true},
    {"empty", "", false},
    {"spaces", "   ", false},
    {"header_without_priority", "Nov 21 23:46:41 meterd: " + kObject, false},
    {"priority_that_does_not_end", "<190" + kObject, false},
    {"priority_of_no_digits", "<>" + kObject, false},
    {"priority_of_letters", "<abc>" + kObject, false},
    {"priority_too_long", "<11900>" + kObject, false},
    {"no_object", "<190>Nov 21 23:46:41 meterd: GET / 200", false},
    {"no_tag", "<190>Nov 21 23:46:41 " + kObject, false},
    {"no_time", "<190>meterd: " + kObject, false},
    {"rfc5424_cut", "<134>1 2026-11-23T01:13:57Z gw haproxy", false},
    {"structured_data_cut", R"(<134>1 2026-11-23T01:13:57Z gw haproxy 9160 - [a@1 k="\)", false},
    {"array", "<190>[1]", false},
};
INSTANTIATE_TEST_SUITE_P(Access, Headers, ::testing::ValuesIn(kHeaders),
                         [](const auto& one) { return std::string(one.param.name); });

class MessageReaderTest : public ::testing::Test {
 protected:
  // "sub=TEXT", "seq=TEXT"; "!": refused.
  std::string read(const std::string& line) {
    if (!reader_.read(line)) return "!";
    return text(0) + " " + text(1);
  }
  std::string text(std::size_t index) const {
    const auto& field = reader_.field(index);
    constexpr const char* kKinds[] = {"absent", "null", "", "#", "other"};
    return kKinds[static_cast<std::size_t>(field.kind)] + std::string(field.text);
  }
  MessageReader reader_{{"sub", "seq"}};
};

TEST_F(MessageReaderTest, TakesTheMembersThatAreWantedInAnyOrder) {
  EXPECT_EQ(read(R"({"sub":"sub_1","seq":12})"), "sub_1 #12");
  EXPECT_EQ(read(R"({"x":{"sub":"no","seq":[1,{"seq":2}]},"seq":"12","y":[{"sub":3}],"sub":"a"})"), "a 12");
  EXPECT_EQ(read("{}"), "absent absent");
  EXPECT_EQ(read(R"({"sub":null,"seq":true})"), "null other");
  EXPECT_EQ(read(R"({"sub":{"sub":"x"},"seq":["1"]})"), "other other");
  EXPECT_EQ(read(R"({"Sub":"x","su":"x","subs":"x"})"), "absent absent");
}

TEST_F(MessageReaderTest, KeepsNothingOfTheMessageBefore) {
  EXPECT_EQ(read(R"({"sub":"a\"b","seq":1})"), "a\"b #1");
  EXPECT_EQ(read("{}"), "absent absent");
  EXPECT_EQ(read(R"({"sub":"tr)"), "!");
  EXPECT_EQ(read(R"({"seq":3})"), "absent #3");
}

TEST_F(MessageReaderTest, UndoesEscapes) {
  EXPECT_EQ(read(R"({"sub":"\u0041\/\"\\\n","seq":"\u0031"})"), "A/\"\\\n 1");
  EXPECT_EQ(read("{\"\\u0073ub\":\"x\"}"), "x absent");
  EXPECT_EQ(read("{\"sub\":\"" + std::string(3'000, 'a') + "\\t" + std::string(3'000, 'b') + "\"}"),
            std::string(3'000, 'a') + "\t" + std::string(3'000, 'b') + " absent");
}

TEST_F(MessageReaderTest, LetsBytesThroughThatAreNotUtf8) {
  EXPECT_EQ(read("{\"path\":\"/\xff\xfe\",\"sub\":\"a\xff\",\"seq\":1}"), "a\xff #1");
}

TEST_F(MessageReaderTest, RefusesAWantedMemberThatComesTwice) {
  EXPECT_EQ(read(R"({"sub":"a","sub":"a"})"), "!");
  EXPECT_EQ(read(R"({"seq":1,"seq":null})"), "!");
  EXPECT_EQ(read(R"({"path":"a","path":"b","sub":"a"})"), "a absent");
}

TEST_F(MessageReaderTest, RefusesWhatIsNotOneObject) {
  for (const std::string line :
       {"{", "{}{}", "{} x", R"({"sub":})", R"({"sub":"a)", R"({"sub":'a'})", R"({sub:1})", R"({"seq":01})",
        R"({"seq":1,})", R"({"sub":"\x"})", R"({"seq":NaN})", "{\"sub\":\"a\tb\"}"})
    EXPECT_EQ(read(line), "!") << line;
  EXPECT_EQ(read("{\"x\":" + std::string(100'000, '[')), "!");
  EXPECT_EQ(read("{\"x\":" + std::string(40, '[') + std::string(40, ']') + "}"), "!");
}

// Whatever it takes or refuses, it reads within the line: for the sanitizers.
TEST_F(MessageReaderTest, SurvivesAnyBytes) {
  std::mt19937_64 random(meterd::testing::announced_seed("source_test", 1));
  const std::string good[] = {
      R"(<190>Nov 21 23:46:41 gw meterd: {"sub":"a\u00e4","x":[1,{"seq":2}],"seq":1.5e2})",
      R"(<134>1 2026-11-23T01:13:57Z gw haproxy 9160 - [a@1 k="{\"]}"] {"seq":"7","sub":null})"};
  constexpr std::string_view kBytes = "<>[]{}\":,\\u0 1-.e\xff";
  for (int round = 0; round < meterd::testing::rounds(20'000); ++round) {
    std::string line = good[random() % 2];
    for (auto changes = random() % 4; changes > 0; --changes) {
      const auto at = random() % line.size();
      if (random() % 2 == 0)
        line[at] = kBytes[random() % kBytes.size()];
      else
        line.erase(at, 1 + random() % 8);
      if (line.empty()) line = "{";
    }
    const std::string exact(line.begin(), line.end());
    if (reader_.read(exact)) {
      (void)text(0);
      (void)reader_.field(1).quantity();
    }
  }
}

TEST_F(MessageReaderTest, KeepsEveryDigitOfANumber) {
  const auto quantity = [&](const std::string& json) {
    const std::string line = "{\"seq\":" + json + "}";
    EXPECT_TRUE(reader_.read(line));
    const auto out = reader_.field(1).quantity();
    return out ? out->text() : "none";
  };
  EXPECT_EQ(quantity("18446744073709551616"), "18446744073709551616");
  EXPECT_EQ(quantity("\"0.1000000000000000055511151231257827\""), "0.1000000000000000055511151231257827");
  EXPECT_EQ(quantity("1.5e2"), "150");
  EXPECT_EQ(quantity("-1"), "-1");
  for (const char* none :
       {"\"1.5e2\"", "\"+1\"", "\" 1\"", "\"0x10\"", "\"1,2\"", "\"\"", "1e99", "true", "null", "[]"})
    EXPECT_EQ(quantity(none), "none") << none;
}

}  // namespace
}  // namespace meterd::source
