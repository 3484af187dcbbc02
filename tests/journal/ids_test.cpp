// Remembered event ids: known once committed, through restarts and aborted transactions, until they are
// forgotten; in few and full records.
#include <map>
#include <random>

#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

using IdWindow = WriteTransaction::IdWindow;
using ::testing::Each;
using ::testing::ElementsAre;

meter::EventHash id(std::uint64_t number) { return meter::EventHasher()("test", std::to_string(number)); }

std::vector<meter::EventHash> ids(std::uint64_t first, std::size_t count) {
  std::vector<meter::EventHash> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(id(first + i));
  return out;
}

class RememberIds : public JournalTest {
 protected:
  void SetUp() override { open(); }

  std::vector<bool> remember(const std::vector<meter::EventHash>& hashes, const IdWindow& window) {
    std::vector<bool> known;
    step([&](WriteTransaction& w) { known = must(w.remember_ids(hashes, window)); });
    return known;
  }
  bool knows(std::uint64_t number, std::uint32_t oldest, std::uint32_t today) {
    return remember({id(number)}, {oldest, today}).at(0);
  }
  std::size_t blocks() const { return count(prefix(Kind::id_block)); }
  std::uint64_t remembered() const { return journal_->remembered_ids().blocks().ids; }
};

TEST_F(RememberIds, KnowsAnIdOnEveryDayOfTheWindow) {
  EXPECT_FALSE(knows(1, 94, 100));
  EXPECT_TRUE(knows(1, 94, 100));
  EXPECT_TRUE(knows(1, 95, 101));
  EXPECT_TRUE(knows(1, 100, 106));
  EXPECT_FALSE(knows(2, 100, 106));
  EXPECT_EQ(remembered(), 2U) << "a known id is not stored again";
}

TEST_F(RememberIds, NoLongerKnowsWhatLeftTheWindow) {
  EXPECT_FALSE(knows(1, 94, 100));
  EXPECT_FALSE(knows(1, 101, 107));
}

TEST_F(RememberIds, TakesAWindowThatStartsAtTheFirstDay) {
  EXPECT_FALSE(knows(1, 0, 0));
  EXPECT_TRUE(knows(1, 0, 3));
}

TEST_F(RememberIds, CountsARepeatWithinOneCallOnce) {
  EXPECT_THAT(remember({id(1), id(2), id(1)}, {90, 90}), ElementsAre(false, false, true));
  EXPECT_EQ(remembered(), 2U);
}

TEST_F(RememberIds, KnowsThemAfterARestart) {
  const auto many = ids(0, 1'000);
  EXPECT_THAT(remember(many, {90, 90}), Each(false));
  reopen();
  EXPECT_EQ(remembered(), 1'000U);
  EXPECT_THAT(remember(many, {90, 90}), Each(true));
  EXPECT_THAT(remember(ids(1'000, 10), {90, 90}), Each(false));
}

TEST_F(RememberIds, ForgetsWhatWasNotCommitted) {
  EXPECT_FALSE(knows(1, 90, 90));
  {
    auto aborted = begin();
    EXPECT_THAT(must(aborted.remember_ids(ids(2, 600), {90, 90})), Each(false));
  }
  EXPECT_EQ(remembered(), 1U);
  // Their numbers are given again, to other ids: neither is taken for the other.
  EXPECT_THAT(remember(ids(700, 600), {90, 90}), Each(false));
  EXPECT_THAT(remember(ids(2, 600), {90, 90}), Each(false));
  EXPECT_THAT(remember(ids(2, 600), {90, 90}), Each(true));
  EXPECT_TRUE(knows(1, 90, 90));
}

// A full disk has a window tried again and again.
TEST_F(RememberIds, LeavesNoMoreInTheIndexHoweverOftenACommitFails) {
  EXPECT_FALSE(knows(1, 90, 90));
  const auto many = ids(2, 600);
  const auto try_once = [&] {
    auto aborted = begin();
    EXPECT_THAT(must(aborted.remember_ids(many, {90, 90})), Each(false));
  };
  try_once();
  const auto used = journal_->remembered_ids().used_entries();
  for (int i = 0; i < 100; ++i) try_once();
  EXPECT_EQ(journal_->remembered_ids().used_entries(), used);
  EXPECT_THAT(remember(many, {90, 90}), Each(false));
  EXPECT_THAT(remember(many, {90, 90}), Each(true));
}

TEST_F(RememberIds, FillsBlocksInsteadOfAddingOneForEachCommit) {
  for (std::uint64_t i = 0; i < 126; ++i) EXPECT_FALSE(knows(i, 90, 90));
  EXPECT_EQ(blocks(), 1U);
  EXPECT_FALSE(knows(126, 90, 90));
  EXPECT_EQ(blocks(), 2U);
  EXPECT_FALSE(knows(127, 91, 91)) << "another day is another block";
  EXPECT_EQ(blocks(), 3U);
  EXPECT_THAT(remember(ids(1'000, 125 + 2 * 254), {91, 91}), Each(false));
  EXPECT_EQ(blocks(), 5U) << "the open one, and two full pages";
}

TEST_F(RememberIds, ForgetsOldDaysOnlyAndInBoundedSteps) {
  for (std::uint32_t partition : {90U, 91U, 92U, 96U}) remember(ids(partition * 1'000, 10), {90, partition});
  EXPECT_EQ(remembered(), 40U);
  step([&](WriteTransaction& w) { EXPECT_EQ(must(w.forget_ids(96, 2)), 2U); });
  step([&](WriteTransaction& w) { EXPECT_EQ(must(w.forget_ids(96, 2)), 1U); });
  step([&](WriteTransaction& w) { EXPECT_EQ(must(w.forget_ids(96, 2)), 0U); });
  EXPECT_EQ(blocks(), 1U);
  EXPECT_EQ(remembered(), 10U);
  EXPECT_TRUE(knows(96'000, 90, 96));
  EXPECT_FALSE(knows(90'000, 90, 96)) << "it went with its day";
  reopen();
  EXPECT_EQ(remembered(), 11U);
}

TEST_F(RememberIds, KeepsWhatHasNoDayYetAndDatesItInBoundedSteps) {
  for (int commit = 0; commit < 3; ++commit)
    remember(ids(static_cast<std::uint64_t>(commit) * 1'000, 200), {0, 5, false});
  const auto undated = blocks();
  ASSERT_EQ(undated, 3U);
  reopen();
  EXPECT_TRUE(knows(0, 90, 96)) << "whatever the window";
  step([&](WriteTransaction& w) { EXPECT_EQ(must(w.forget_ids(96, 100)), 0U); });
  step([&](WriteTransaction& w) { EXPECT_EQ(must(w.date_ids({90, 96}, 2)), 2U); });
  step([&](WriteTransaction& w) { EXPECT_EQ(must(w.date_ids({90, 96}, 2)), 1U); });
  step([&](WriteTransaction& w) { EXPECT_EQ(must(w.date_ids({90, 96}, 2)), 0U); });
  EXPECT_TRUE(knows(1'199 - 1'000, 96, 96));
  step([&](WriteTransaction& w) { EXPECT_EQ(must(w.forget_ids(97, 100)), 3U); });
  EXPECT_EQ(remembered(), 0U);
}

TEST_F(RememberIds, SetsAnUnreadableBlockAsideAndGoesOn) {
  remember(ids(0, 300), {90, 90});
  const auto key = id_block_key(1);
  auto value = get_raw(key);
  value.back() = static_cast<char>(value.back() ^ 1);
  put_raw(key, value);
  EXPECT_FALSE(knows(0, 90, 90)) << "found out while running";
  EXPECT_TRUE(knows(299, 90, 90));
  EXPECT_EQ(count(prefix(Kind::set_aside)), 1U);

  auto second = get_raw(id_block_key(2));
  second.front() = static_cast<char>(second.front() ^ 1);
  put_raw(id_block_key(2), second);
  reopen();
  EXPECT_EQ(count(prefix(Kind::set_aside)), 2U) << "found out at the start";
  EXPECT_FALSE(knows(299, 90, 90));
}

// Against a plain map, with restarts, aborts, days and forgetting.
TEST_F(RememberIds, AgreesWithAPlainMap) {
  std::mt19937_64 random(20'261'122);
  std::map<std::uint64_t, std::uint32_t> model;  // id -> its day
  std::uint32_t today = 100;
  for (int commit = 0; commit < 400; ++commit) {
    if (random() % 20 == 0) ++today;
    const std::uint32_t oldest = today - 4;
    std::vector<std::uint64_t> numbers;
    for (std::size_t n = random() % 80; n > 0; --n) numbers.push_back(random() % 5'000);
    std::vector<meter::EventHash> hashes;
    for (const auto number : numbers) hashes.push_back(id(number));
    const bool abort = random() % 5 == 0;
    auto after = model;
    auto write = begin();
    const auto known = must(write.remember_ids(hashes, {oldest, today}));
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto found = after.find(numbers[i]);
      ASSERT_EQ(known[i], found != after.end() && found->second >= oldest) << commit << ": " << numbers[i];
      if (!known[i]) after[numbers[i]] = today;
    }
    must(write.forget_ids(oldest, 3));
    if (abort) continue;
    must(write.commit());
    model = std::move(after);
    if (random() % 25 == 0) reopen();
  }
}

}  // namespace
}  // namespace meterd::journal
