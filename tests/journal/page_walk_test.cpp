// The walk over LMDB's pages: silent on whatever LMDB itself may write, and never silent on a page whose
// structure was changed.
#include "agent/journal/page_walk.hpp"

#include <filesystem>
#include <map>
#include <random>

#include "agent/journal/records.hpp"
#include "tests/base/seed.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string name_of(const PageDamage& damage) { return std::to_string(damage.page) + ": " + damage.what; }

class PageWalk : public ::testing::Test {
 protected:
  PageWalk() { std::filesystem::create_directories(path_); }
  std::string data() const { return path_ + "/data.mdb"; }

  std::unique_ptr<Environment> open(std::uint64_t map_bytes = 16U << 20) {
    return must(Environment::open({path_, map_bytes, FileCheck::none}));
  }
  WalkReport walk(const VisitRecord& visit = {}) const {
    return must(walk_pages(must(PageFile::open(data())), visit));
  }
  void expect_sound() const {
    const auto report = walk();
    for (const auto& damage : report.damage) ADD_FAILURE() << name_of(damage);
    EXPECT_EQ(report.unreadable_records, 0U);
    EXPECT_EQ(report.pages_reached + report.pages_free, report.last_page + 1);
    EXPECT_TRUE(report.free_list_is_whole || report.txnid == 0);
  }

  TempDirectory directory_;
  std::string path_ = directory_ / "journal";
};

TEST_F(PageWalk, FindsNothingWrongWithAFileWithoutCommits) {
  open().reset();
  expect_sound();
  EXPECT_EQ(walk().txnid, 0U);
}

// Keys and values of every size that LMDB treats in a way of its own, lists of free pages longer than a page,
// transactions that end without effect, readers that keep old pages, and a map that is full.
TEST_F(PageWalk, FindsNothingWrongWithWhateverLmdbWrites) {
  const auto seed = meterd::testing::announced_seed("journal_test", 20'261'122);
  std::mt19937_64 random(seed);
  const auto pick = [&](std::uint64_t below) { return random() % below; };
  auto environment = open(2U << 20);
  std::map<std::string, std::string> expected;
  std::optional<Transaction> reader;
  for (int commit = 0; commit < 1'500; ++commit) {
    if (pick(20) == 0) reader.reset();
    if (!reader && pick(40) == 0) reader.emplace(must(environment->begin_read()));
    auto txn = must(environment->begin_write());
    auto after = expected;
    bool refused = false;
    const auto changes = pick(10) == 0 ? 400 : 1 + pick(20);
    const bool shrinks = (commit / 100) % 3 == 2;
    for (std::uint64_t i = 0; i < changes && !refused; ++i) {
      auto key = "k" + std::to_string(pick(3'000)) + std::string(pick(8) == 0 ? pick(400) : 0, 'x');
      if (shrinks && !after.empty()) {
        const auto at = after.lower_bound(key);
        if (at != after.end()) key = at->first;
        refused = !txn.erase(key).ok();
        after.erase(key);
        continue;
      }
      const std::string value = wrap(key, std::string(pick(30) == 0 ? pick(20'000) : pick(200), 'v'));
      refused = !txn.put(key, value).ok();
      after[key] = value;
    }
    if (refused || pick(15) == 0 || !txn.commit()) continue;  // as if it had not been
    expected = std::move(after);
    if (commit % 10 == 0) expect_sound();
  }
  reader.reset();
  environment.reset();
  std::map<std::string, std::string> found;
  const auto report = walk([&](auto key, auto value, bool) { found.emplace(key, value); });
  EXPECT_THAT(report.damage, IsEmpty());
  EXPECT_TRUE(found == expected) << "seed " << seed;
}

}  // namespace
}  // namespace meterd::journal
