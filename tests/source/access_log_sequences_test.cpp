// What the numbers of a web server's workers say: each one came or is lost, through restarts, overtaking, and
// workers that come and go.
#include <random>

#include "agent/journal/source_records.hpp"
#include "agent/source/access_log/sequences.hpp"
#include "tests/base/seed.hpp"
#include "tests/source/support.hpp"

namespace meterd::source {
namespace {

class SequencesTest : public ::testing::Test {
 protected:
  // What is lost so far.
  std::int64_t take(std::string_view worker, std::initializer_list<std::uint64_t> numbers) {
    for (const auto number : numbers) {
      step = sequences.take(worker, number, now);
      lost += static_cast<std::int64_t>(step.lost) - (step.is_found ? 1 : 0);
    }
    return lost;
  }
  void restart() { sequences = Sequences(sequences.cursor()); }

  Sequences sequences;
  Sequences::Step step;
  platform::WallReading now{WallTime::from_seconds(1'800'000'000), true};
  std::int64_t lost = 0;
};

TEST_F(SequencesTest, LoseNothingInOrder) { EXPECT_EQ(take("w", {1, 2, 3, 4}), 0); }

TEST_F(SequencesTest, KnowWhatWasSkipped) {
  EXPECT_EQ(take("w", {1, 2, 5}), 2);
  EXPECT_EQ(take("w", {6, 8}), 3);
}

TEST_F(SequencesTest, KnowWhatWasLostBeforeAWorkerWasSeen) {
  EXPECT_EQ(take("w", {4}), 3);
  EXPECT_EQ(step.since_ms, 0) << "not seen before";
}

TEST_F(SequencesTest, DoubtWhatIsBelowAWorkersFirstNumberInAJournalThatWasPutBack) {
  take("w", {1, 2});
  journal::CounterCursor cursor;
  *cursor.mutable_access_log() = sequences.cursor();
  journal::mark_copied(cursor);
  sequences = Sequences(cursor.access_log(), true);
  EXPECT_EQ(take("w", {10}), 0);
  EXPECT_EQ(step.doubtful, 7U);
  EXPECT_EQ(step.since_ms, now.time.since_epoch.count());
  EXPECT_EQ(take("w", {9}), 0) << "overtaken, and never called lost";
  EXPECT_EQ(take("w", {12}), 1) << "from then on it is known";
  EXPECT_EQ(take("another", {5}), 1) << "that never came before the backup";
  EXPECT_EQ(step.doubtful, 4U);
}

TEST_F(SequencesTest, RememberThroughARestartWhomTheyDidNotSeeSinceTheJournalWasPutBack) {
  take("w", {1, 2});
  journal::CounterCursor cursor;
  *cursor.mutable_access_log() = sequences.cursor();
  journal::mark_copied(cursor);
  sequences = Sequences(cursor.access_log(), true);
  sequences = Sequences(sequences.cursor(), true);
  EXPECT_EQ(take("w", {10, 12}), 1);
}

TEST_F(SequencesTest, CountFromZeroAsWell) { EXPECT_EQ(take("w", {0, 1, 2}), 0); }

TEST_F(SequencesTest, TakeWhatWasOvertakenForFound) {
  EXPECT_EQ(take("w", {1, 4}), 2);
  EXPECT_EQ(take("w", {3}), 1);
  EXPECT_EQ(take("w", {2}), 0);
  EXPECT_EQ(take("w", {5, 7, 6}), 0);
}

TEST_F(SequencesTest, SplitAGapInItsMiddle) {
  EXPECT_EQ(take("w", {1, 10, 5}), 7);
  EXPECT_EQ(take("w", {2, 9, 4, 6, 3, 8, 7}), 0);
  EXPECT_EQ(take("w", {11}), 0);
}

TEST_F(SequencesTest, TakeALowNumberForAWorkerThatBeganAnew) {
  EXPECT_EQ(take("w", {1, 2, 3, 4, 1, 2}), 0);
  EXPECT_EQ(take("w", {4}), 1);
  EXPECT_EQ(take("w", {4}), 4) << "its first three are lost";
}

TEST_F(SequencesTest, KeepWorkersApart) {
  EXPECT_EQ(take("a", {1, 2}), 0);
  EXPECT_EQ(take("b", {1}), 0);
  EXPECT_EQ(take("a", {4}), 1);
  EXPECT_EQ(take("b", {2}), 1);
}

TEST_F(SequencesTest, GoOnAfterARestart) {
  take("a", {1, 2, 5});
  take("b", {1});
  restart();
  EXPECT_EQ(take("b", {2}), 2);
  EXPECT_EQ(take("a", {4}), 1) << "it was on its way";
  EXPECT_EQ(take("a", {9}), 4) << "sent while nobody listened";
}

TEST_F(SequencesTest, SayWhenAWorkerWasSeenLast) {
  take("w", {1});
  const auto seen = now.time.since_epoch.count();
  restart();
  now.time = now.time + Seconds(60);
  take("w", {3});
  EXPECT_EQ(step.since_ms, seen);
  now.trusted = false;
  take("w", {5});
  now.trusted = true;
  take("w", {7});
  EXPECT_EQ(step.since_ms, 0) << "the clock was not to be trusted then";
}

TEST_F(SequencesTest, ForgetTheWorkerThatWasNotSeenForLongest) {
  take("old", {1, 2});
  take("kept", {1});
  for (std::size_t i = 0; i < Sequences::kWorkersMax - 2; ++i) take("w" + std::to_string(i), {1});
  take("kept", {2});
  take("new", {1});
  EXPECT_EQ(sequences.cursor().workers_size(), static_cast<int>(Sequences::kWorkersMax));
  EXPECT_EQ(take("kept", {3}), 0);
  EXPECT_EQ(take("old", {3}), 2) << "as at its first sight";
}

TEST_F(SequencesTest, RememberInTheOrderOfSightThroughARestart) {
  for (std::size_t i = 0; i < Sequences::kWorkersMax; ++i) take("w" + std::to_string(i), {1});
  take("w0", {2});
  restart();
  take("new", {1});
  EXPECT_EQ(take("w0", {3}), 0);
  EXPECT_EQ(take("w1", {2}), 1) << "this one was forgotten";
}

TEST_F(SequencesTest, KeepTheLatestGapsOfAWorker) {
  std::uint64_t number = 1;
  for (std::size_t i = 0; i <= Sequences::kRangesMax; ++i) take("w", {number += 2});
  const auto before = lost;
  EXPECT_EQ(sequences.cursor().workers(0).missing_size(), static_cast<int>(Sequences::kRangesMax));
  EXPECT_EQ(take("w", {number - 1}), before - 1);
}

TEST_F(SequencesTest, HoldNumbersOfAnySize) {
  constexpr std::uint64_t kMost = UINT64_MAX;
  EXPECT_EQ(take("w", {1, kMost}), static_cast<std::int64_t>(kMost - 2));
  EXPECT_EQ(take("w", {2, kMost - 1}), static_cast<std::int64_t>(kMost - 4));
}

TEST_F(SequencesTest, AreChangedByEachNumberUntilTheCursorIsTaken) {
  EXPECT_FALSE(sequences.is_changed());
  take("w", {1});
  EXPECT_TRUE(sequences.is_changed());
  (void)sequences.take_cursor();
  EXPECT_FALSE(sequences.is_changed());
}

// Messages of three workers with losses, overtaking within a few places, and restarts: what came and what is
// lost are together what was sent.
TEST(SequencesRandom, WhatCameAndWhatIsLostAreTogetherWhatWasSent) {
  const auto seed = meterd::testing::announced_seed("source_test", 1);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    Sequences sequences;
    std::vector<std::uint64_t> highest(3), came(3), sent(3);
    std::int64_t lost = 0;
    std::vector<std::pair<std::size_t, std::uint64_t>> on_the_way;
    const auto arrive = [&](std::size_t at) {
      const auto [worker, number] = on_the_way[at];
      on_the_way.erase(on_the_way.begin() + static_cast<std::ptrdiff_t>(at));
      const auto step = sequences.take(std::string(1, static_cast<char>('a' + worker)), number, {});
      lost += static_cast<std::int64_t>(step.lost) - (step.is_found ? 1 : 0);
      ++came[worker];
      highest[worker] = std::max(highest[worker], number);
    };
    for (int i = 0; i < 300; ++i) {
      const auto worker = random() % 3;
      ++sent[worker];
      if (random() % 4 != 0) on_the_way.emplace_back(worker, sent[worker]);
      if (on_the_way.size() > 3) arrive(i % 4 == 0 ? 0 : random() % on_the_way.size());
      if (random() % 50 == 0) sequences = Sequences(sequences.cursor());
    }
    while (!on_the_way.empty()) arrive(random() % on_the_way.size());
    std::uint64_t seen = 0, counted = 0;  // the losses at a worker's very end show later
    for (std::size_t i = 0; i < 3; ++i) seen += highest[i], counted += came[i];
    EXPECT_EQ(counted + static_cast<std::uint64_t>(lost), seen) << "round " << round << ", seed " << seed;
  }
}

}  // namespace
}  // namespace meterd::source
