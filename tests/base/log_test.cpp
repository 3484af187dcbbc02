// Log lines: one line each, whatever the values hold.
#include "agent/base/log.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

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

// A pipe in place of standard error. Both ends block, as a service's do.
class LogToAPipe : public ::testing::Test {
 protected:
  LogToAPipe() { EXPECT_EQ(pipe2(ends_.data(), O_CLOEXEC), 0); }
  ~LogToAPipe() override {
    for (const int end : ends_) close(end);
  }
  // What is in it; it is never empty when this is called.
  std::string read_all() {
    std::string out(1 << 20, '\0');
    const auto got = read(ends_[0], out.data(), out.size());
    out.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return out;
  }

  std::array<int, 2> ends_{-1, -1};
};

TEST_F(LogToAPipe, WritesEachLineWithItsPriority) {
  StderrLog log(ends_[1]);
  log.error("a", {{"k", 1}});
  log.info("b");
  EXPECT_EQ(read_all(), "<3>event=a k=1\n<6>event=b\n");
}

TEST_F(LogToAPipe, DropsWhatNobodyReadsAndSaysHowMuchAfterwards) {
  StderrLog log(ends_[1]);
  constexpr int kWritten =
      20'000;  // some 300 KB into a pipe that holds 64 KiB: a write that waits would not end
  for (int i = 0; i < kWritten; ++i) log.info("full", {{"i", 1}});
  const auto kept = read_all();
  const auto lines = std::count(kept.begin(), kept.end(), '\n');
  ASSERT_LT(lines, kWritten);
  EXPECT_EQ(kept.find("dropped"), std::string::npos);
  log.info("room");
  log.info("more");
  EXPECT_EQ(read_all(), "<6>event=room dropped=" + std::to_string(kWritten - lines) + "\n<6>event=more\n");
}

TEST_F(LogToAPipe, LeavesTheOpenFileAsItIs) {
  StderrLog(ends_[1]).info("a");
  EXPECT_EQ(fcntl(ends_[1], F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(LogToAPipe, CutsALineThatAPipeMightNotTakeAtOnce) {
  StderrLog log(ends_[1]);
  log.info("long", {{"k", std::string(2 * PIPE_BUF, 'x')}});
  const auto line = read_all();
  EXPECT_EQ(line.size(), static_cast<std::size_t>(PIPE_BUF));
  EXPECT_EQ(line.back(), '\n');
}

}  // namespace
}  // namespace meterd
