// The promise of every commit: what was acknowledged outlives a power cut at any system call. In full:
// power_loss.
#include <gmock/gmock.h>
#include <lmdb.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <set>

#include "tests/base/seed.hpp"
#include "tests/journal/fakes.hpp"
#include "tests/power/campaign.hpp"
#include "tests/power/workload.hpp"
#include "tests/support/rounds.hpp"

namespace meterd::power {
namespace {

CampaignOptions some(std::uint64_t points, int commits) {
  CampaignOptions options;
  options.points = points;
  options.seed = testing::announced_seed("power_test", 1);
  options.jobs = 2;
  options.commits = commits;
  return options;
}

std::uint64_t count(const Outcome& outcome, Verdict verdict) {
  return outcome.counts.by_verdict[static_cast<int>(verdict)];
}

void expect_nothing_found(const Outcome& outcome) {
  EXPECT_EQ(outcome.error, "");
  EXPECT_THAT(outcome.findings, ::testing::IsEmpty());
  EXPECT_EQ(outcome.counts.failures(), 0U);
}

TEST(PowerLoss, KeepsAcknowledgedEventsAndUsagesOnceAtEverySystemCall) {
  const auto points = testing::rounds(1'000U);
  const auto outcome = run_campaign(some(points, testing::rounds(80)));
  expect_nothing_found(outcome);
  EXPECT_GE(outcome.counts.points, points);
  EXPECT_GE(outcome.counts.images, 4 * outcome.counts.points);
  EXPECT_GE(outcome.counts.migrations, testing::rounds(20U) / 20);  // one, where there are enough starts
}

TEST(PowerLoss, OfAFirstStartLeavesNothingThatCannotBeStarted) {
  const auto outcome = run_campaign(some(testing::rounds(300U), 0));
  expect_nothing_found(outcome);
  EXPECT_GT(outcome.counts.trials, testing::rounds(10U));
}

TEST(PowerLoss, LosesAcknowledgedCommitsWhereTheMetaPageIsNotSynced) {
  auto options = some(30, 6);
  options.environment_flags = MDB_NOMETASYNC;
  options.in_child = true;
  const auto outcome = run_campaign(options);
  EXPECT_EQ(outcome.error, "");
  EXPECT_GT(count(outcome, Verdict::lost), 0U);
}

TEST(PowerLoss, LosesAndTearsWhereNothingIsSynced) {
  auto options = some(30, 12);
  options.environment_flags = MDB_NOSYNC;
  options.in_child = true;
  const auto outcome = run_campaign(options);
  EXPECT_EQ(outcome.error, "");
  EXPECT_GT(count(outcome, Verdict::lost), 0U);
  EXPECT_GT(count(outcome, Verdict::torn) + count(outcome, Verdict::refused), 0U);
}

// Without it the cuts would say nothing about callers.
TEST(PowerLoss, HappensWhileCallersCreateAndDelete) {
  const journal::TempDirectory directory;
  journal::FakeDisk disk;
  journal::FakeRandom random;
  auto journal = journal::Journal::open({directory / "journal", 16 << 20, 1 << 16, "boot", {}}, disk, random);
  ASSERT_TRUE(journal.ok());
  Workload workload(testing::announced_seed("power_test", 1));
  std::set<std::string> seen;
  for (int i = 0; i < 600; ++i) {
    for (const auto& act : workload.next(**journal)) {
      auto txn = (*journal)->begin_write();
      ASSERT_TRUE(txn.ok());
      journal::WriteTransaction write(std::move(*txn), &(*journal)->remembered_ids());
      const auto done = act.run(**journal, write);
      ASSERT_TRUE(done.ok()) << done.error().message;
      ASSERT_TRUE(write.commit().ok());
    }
    auto outbox = journal::read_outbox(**journal, 10'000);
    ASSERT_TRUE(outbox.ok());
    for (const auto& [sequence, record] : *outbox) {
      const bool parked = journal::state_of(record) == journal::UsageState::parked;
      if (record.deletes() != 0) seen.insert(parked ? "deletion refused" : "deletion waits");
      if (record.deletes() != 0 && record.behind() != 0) seen.insert("deletion behind its usage");
      if (record.deletes() == 0 && record.behind() != 0) seen.insert("usage behind a deletion");
    }
  }
  EXPECT_THAT(seen, ::testing::ElementsAre("deletion behind its usage", "deletion refused", "deletion waits",
                                           "usage behind a deletion"));
  const auto report = journal::check_journal(**journal);
  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->problems, ::testing::IsEmpty());
  EXPECT_LT(Quantity(), report->withdrawn);
}

// Nor about upstreams that can be asked once only.
TEST(PowerLoss, HappensWhileUsagesAreInDoubt) {
  const journal::TempDirectory directory;
  journal::FakeDisk disk;
  journal::FakeRandom random;
  auto journal = journal::Journal::open({directory / "journal", 16 << 20, 1 << 16, "boot", {}}, disk, random);
  ASSERT_TRUE(journal.ok());
  Workload workload(testing::announced_seed("power_test", 1), Marketplace::asked_once);
  std::set<std::string> seen;
  for (int i = 0; i < 2'000; ++i) {
    auto txn = (*journal)->begin_write();
    ASSERT_TRUE(txn.ok());
    journal::WriteTransaction write(std::move(*txn), &(*journal)->remembered_ids());
    const auto done = workload.next(**journal).front().run(**journal, write);
    ASSERT_TRUE(done.ok()) << done.error().message;
    ASSERT_TRUE(write.commit().ok());
    auto outbox = journal::read_outbox(**journal, 10'000);
    ASSERT_TRUE(outbox.ok());
    std::size_t on_their_way = 0;
    for (const auto& [sequence, record] : *outbox) {
      const bool unanswered = record.last_error() == journal::kNoAnswerKnown;
      const auto state = journal::state_of(record);
      on_their_way += unanswered ? 1 : 0;
      EXPECT_TRUE(!unanswered || state == journal::UsageState::in_doubt) << record.id();
      if (unanswered && record.attempts() > 1) seen.insert("sent again after an answer");
      if (!unanswered && state == journal::UsageState::in_doubt) seen.insert("held");
      if (!record.carry_in().empty() && record.carry_in() != "0") seen.insert("a carry");
    }
    if (on_their_way > 1) seen.insert("a batch");
  }
  EXPECT_THAT(seen, ::testing::ElementsAre("a batch", "a carry", "held", "sent again after an answer"));
  const auto report = journal::check_journal(**journal);
  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->problems, ::testing::IsEmpty());
}

// What the trials ask of every image, of many more commits: without a cut.
class RepeatedCommits {
 public:
  RepeatedCommits(std::uint64_t seed, Marketplace marketplace) : workload_(seed, marketplace) {
    journal::FakeDisk disk;
    journal::FakeRandom random;
    auto opened =
        journal::Journal::open({directory_ / "journal", 16 << 20, 1 << 16, "boot", {}}, disk, random);
    check(opened.ok(), "a new journal opens");
    journal_ = std::move(*opened);
  }
  // How many commits the repeats of their own reports and calls changed.
  int changed_of(int batches) {
    int changed = 0;
    for (int i = 0; i < batches; ++i) {
      const auto acts = workload_.next(*journal_);
      commit(acts, false);
      const auto once = state();
      commit(acts, true);
      if (state() != once) ++changed;
    }
    return changed;
  }

 private:
  void commit(const std::vector<Act>& acts, bool again) {
    auto txn = journal_->begin_write();
    check(txn.ok(), "a transaction begins");
    journal::WriteTransaction write(std::move(*txn), &journal_->remembered_ids());
    for (const auto& act : acts)
      if (!again || act.is_report) check(act.run(*journal_, write).ok(), "an act can be done");
    check(write.commit().ok(), "a transaction commits");
  }
  std::string state() const {
    auto read = read_state(*journal_);
    check(read.ok(), "the journal can be read");
    return std::move(read->lasting);
  }

  const journal::TempDirectory directory_;
  Workload workload_;
  std::unique_ptr<journal::Journal> journal_;
};

// The first ones found an answer that expired in the commit that remembered it: given under an untrusted
// clock, which a trusted one followed, or dated by the change before it.
TEST(PowerLoss, IsMadeGoodByRepeatingTheCommitInFlight) {
  std::vector<std::uint64_t> seeds = {5003, 7004, 9005, 11'002, 13'007, 7, 12, 77, 114};
  const auto random = testing::announced_seed("power_test", 1);
  for (std::uint64_t i = 0; i < testing::rounds(80U); ++i) seeds.push_back(random + i);
  for (const auto seed : seeds)
    EXPECT_EQ(RepeatedCommits(seed, Marketplace::idempotent).changed_of(60), 0) << "seed " << seed;
  for (std::uint64_t i = 0; i < 20; ++i)
    EXPECT_EQ(RepeatedCommits(random + i, Marketplace::asked_once).changed_of(60), 0)
        << "seed " << random + i;
}

class SyncedDirectories final : public Observer {
 public:
  void opened(int fd, const std::string& path, int /*flags*/) override { open_[fd] = path; }
  void closed(int fd) override { open_.erase(fd); }
  void wrote(int, std::uint64_t, std::string_view) override {}
  void reserved(int) override {}
  void synced(int fd) override { synced_.insert(open_[fd]); }
  void renamed(const std::string&, const std::string&) override {}
  void removed(const std::string&) override {}
  const std::set<std::string>& synced() const { return synced_; }

 private:
  std::map<int, std::string> open_;
  std::set<std::string> synced_;
};

TEST(PowerLoss, CannotTakeADirectoryThatAFirstStartMade) {
  const journal::TempDirectory directory;
  SyncedDirectories calls;
  observe(&calls);
  journal::FakeDisk disk;
  journal::FakeRandom random;
  const journal::JournalOptions options{directory / "a/b/journal", 1 << 20, 1 << 16, "boot", {}};
  const auto journal = journal::Journal::open(options, disk, random);
  observe(nullptr);
  ASSERT_TRUE(journal.ok());
  EXPECT_THAT(calls.synced(),
              ::testing::IsSupersetOf({directory / "a/b/journal", directory / "a/b", directory / "a",
                                       std::filesystem::path(directory / "a").parent_path().string()}));
}

}  // namespace
}  // namespace meterd::power
