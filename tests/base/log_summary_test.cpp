// Repeats are counted instead of written, and nothing else is.
#include "agent/base/log_summary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace meterd {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class Lines final : public Log {
 public:
  std::vector<std::string> text;
  // What was written since the last call.
  std::vector<std::string> take() { return std::exchange(text, {}); }

 private:
  void write(Level level, const std::string& line) override {
    text.push_back(std::to_string(static_cast<int>(level)) + " " + line);
  }
};

class LogSummary : public ::testing::Test {
 protected:
  void pass(int seconds) { now_ += Seconds(seconds); }
  void repeat(int times) {
    for (int i = 0; i < times; ++i) log_.warning("refused", {{"limit", i}});
  }

  Lines lines_;
  Milliseconds now_{1'000'000};
  SummarisingLog log_{lines_, [this] { return now_; }};
};

TEST_F(LogSummary, WritesEveryAnswerToAnOperator) {
  for (int i = 0; i < 20; ++i) log_.answer(Level::info, "reloaded", {{"meters", 2}});
  EXPECT_THAT(lines_.take(), SizeIs(20));
  for (int i = 0; i < 20; ++i) log_.info("reloaded", {{"meters", 2}});
  EXPECT_THAT(lines_.take(), SizeIs(5)) << "any other line is a repeat";
}

TEST_F(LogSummary, WritesTheFirstOfAMinuteAsTheyAre) {
  repeat(5);
  EXPECT_THAT(lines_.text,
              ElementsAre("4 event=refused limit=0", "4 event=refused limit=1", "4 event=refused limit=2",
                          "4 event=refused limit=3", "4 event=refused limit=4"));
}

TEST_F(LogSummary, SaysWithTheNextLineOfTheKindHowManyWereLeftOut) {
  repeat(8);
  EXPECT_THAT(lines_.take(), SizeIs(5));
  pass(60);
  log_.warning("refused", {{"limit", 9}});
  EXPECT_THAT(lines_.take(), ElementsAre("4 event=refused limit=9 suppressed=3"));
  log_.warning("refused", {{"limit", 10}});
  EXPECT_THAT(lines_.take(), ElementsAre("4 event=refused limit=10"));
}

TEST_F(LogSummary, BringsTheLastOneLeftOutWithAnyLineAfterTheMinute) {
  repeat(7);
  pass(59);
  log_.info("other");
  EXPECT_THAT(lines_.take(), SizeIs(5 + 1)) << "the minute is not over";
  pass(1);
  log_.info("other");
  EXPECT_THAT(lines_.take(), ElementsAre("4 event=refused limit=6 suppressed=2 ago_s=60", "6 event=other"));
  pass(3'600);
  log_.info("other");
  EXPECT_THAT(lines_.take(), ElementsAre("6 event=other"));
}

TEST_F(LogSummary, StartsAMinuteWithTheFirstLineAndShowsTheFirstOfTheNextOne) {
  for (int minute = 0; minute < 3; ++minute) {
    repeat(6);
    EXPECT_THAT(lines_.take(), SizeIs(5)) << minute;
    pass(60);
  }
}

TEST_F(LogSummary, KeepsApartWhatSaysSomethingElse) {
  const auto storm = [&](std::string_view key, std::string_view value) {
    for (int i = 0; i < 6; ++i) log_.error("failed", {{key, value}});
    return lines_.take().size();
  };
  for (const auto* key : {"upstream", "interface", "socket", "what", "reason", "outcome", "error"}) {
    EXPECT_EQ(storm(key, "a"), 5U) << key;
    EXPECT_EQ(storm(key, "b"), 5U) << key;
    EXPECT_EQ(storm(key, "b"), 0U) << key;
  }
  EXPECT_EQ(storm("id", "a"), 5U);
  EXPECT_EQ(storm("id", "b"), 0U) << "an id does not make a kind";
}

TEST_F(LogSummary, KeepsLevelsAndEventsApart) {
  repeat(6);
  lines_.take();
  log_.error("refused");
  log_.info("refused");
  log_.warning("refused2");
  EXPECT_THAT(lines_.text, SizeIs(3));
}

TEST_F(LogSummary, IsWrittenAtTheEndInTheOrderOfWhatHappened) {
  {
    SummarisingLog log(lines_, [this] { return now_; });
    for (int i = 0; i < 6; ++i) log.warning("z_away", {{"upstream", "billing"}});
    for (int i = 0; i < 6; ++i) log.info("a_back", {{"upstream", "billing"}});
    lines_.take();
    pass(2);
  }
  EXPECT_THAT(lines_.take(), ElementsAre("4 event=z_away upstream=billing suppressed=1 ago_s=2",
                                         "6 event=a_back upstream=billing suppressed=1 ago_s=2"));
}

TEST_F(LogSummary, AFlushSaysItOnce) {
  repeat(6);
  lines_.take();
  log_.flush();
  log_.flush();
  EXPECT_THAT(lines_.text, SizeIs(1));
}

// Whoever can choose an error's text cannot fill the memory nor the log.
TEST_F(LogSummary, IsBoundedHoweverManyKindsThereAre) {
  for (int i = 0; i < 10'000; ++i) log_.error("failed", {{"error", i}});
  EXPECT_THAT(lines_.take(), SizeIs(SummarisingLog::kKindsMax + SummarisingLog::kShownPerMinute));
  log_.error("another", {{"error", "x"}});
  EXPECT_THAT(lines_.take(), SizeIs(1)) << "another event is still shown";
  pass(60);
  log_.error("failed", {{"error", "new"}});
  EXPECT_THAT(lines_.take(), SizeIs(2)) << "after a minute there is room again";
}

TEST_F(LogSummary, KeepsNoLongLine) {
  const std::string long_text(5'000, 'x');
  for (int i = 0; i < 6; ++i) log_.warning("refused", {{"detail", long_text}});
  lines_.take();
  log_.flush();
  EXPECT_THAT(lines_.text, ElementsAre("4 event=refused suppressed=1 ago_s=0"));
}

TEST_F(LogSummary, LosesNoLineOfManyThreads) {
  constexpr int kEach = 2'000;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([this] {
      for (int n = 0; n < kEach; ++n) log_.warning("refused");
    });
  for (auto& thread : threads) thread.join();
  log_.flush();
  ASSERT_THAT(lines_.text, SizeIs(SummarisingLog::kShownPerMinute + 1));
  EXPECT_EQ(lines_.text.back(), "4 event=refused suppressed=" + std::to_string(4 * kEach - 5) + " ago_s=0");
}

// The negative control: the same storm without the summary.
TEST(LogWithoutSummary, WritesEveryLine) {
  Lines lines;
  for (int i = 0; i < 100; ++i) lines.warning("refused");
  EXPECT_THAT(lines.text, SizeIs(100));
  EXPECT_THAT(lines.text, Each(Not(HasSubstr("suppressed"))));
}

}  // namespace
}  // namespace meterd
