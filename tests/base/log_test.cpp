// Log lines: one line each, whatever the values hold.
#include "agent/base/log.hpp"

#include <gtest/gtest.h>

namespace meterd {
namespace {

TEST(LogLine, NamesTheEventFirstAndKeepsTheOrderOfFields) {
  EXPECT_EQ(Log::line("journal_opened", {}), "event=journal_opened");
  EXPECT_EQ(Log::line("sealed",
                      {{"usages", 3}, {"upstream", "billing"}, {"left", std::uint64_t{0}}, {"delta", -7}}),
            "event=sealed usages=3 upstream=billing left=0 delta=-7");
}

TEST(LogLine, QuotesWhatWouldEndAValue) {
  EXPECT_EQ(Log::line("e", {{"k", "two words"}}), "event=e k=\"two words\"");
  EXPECT_EQ(Log::line("e", {{"k", ""}}), "event=e k=\"\"");
  EXPECT_EQ(Log::line("e", {{"k", "a=b"}}), "event=e k=\"a=b\"");
  EXPECT_EQ(Log::line("e", {{"k", "say \"hi\""}}), "event=e k=\"say \\\"hi\\\"\"");
  EXPECT_EQ(Log::line("e", {{"k", "c:\\x"}}), "event=e k=\"c:\\\\x\"");
  EXPECT_EQ(Log::line("e", {{"k", "grün"}}), "event=e k=grün");
}

TEST(LogLine, StaysOneLineWithoutControlCharacters) {
  EXPECT_EQ(Log::line("e", {{"k", "a\nevent=forged level=3"}}), "event=e k=\"a event=forged level=3\"");
  for (int byte = 0; byte < 0x80; ++byte) {
    const std::string line = Log::line("e", {{"k", std::string("a") + static_cast<char>(byte) + "b"}});
    for (const char c : line) {
      ASSERT_GE(static_cast<unsigned char>(c), 0x20) << byte;
      ASSERT_NE(c, '\x7F') << byte;
    }
  }
}

TEST(LogLine, QuotesAValueWithAControlCharacter) {
  EXPECT_EQ(Log::line("e", {{"k", "\x1B[31mred"}}), "event=e k=\" [31mred\"");
  EXPECT_EQ(Log::line("e", {{"k", std::string("a\0b", 3)}}), "event=e k=\"a b\"");
}

class Collecting final : public Log {
 public:
  std::string text;

 private:
  void write(Level level, const std::string& line) override {
    text += std::to_string(static_cast<int>(level)) + ":" + line + "\n";
  }
};

TEST(LogLevels, AreJournaldPriorities) {
  Collecting log;
  log.error("a");
  log.warning("b");
  log.info("c");
  EXPECT_EQ(log.text, "3:event=a\n4:event=b\n6:event=c\n");
}

}  // namespace
}  // namespace meterd
