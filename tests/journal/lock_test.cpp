// The mark in meterd.lock: which data file is the one that was kept here, and which is a copy.
#include "agent/journal/lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "agent/journal/records.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Identity identity() { return {7, 1'795'305'600'123'456'789, "0123456789abcdef", 12, std::string(32, 'e')}; }

TEST(JournalMark, ComesBackAsItWasWritten) {
  const Mark mark{true, false, identity()};
  const auto read = parse_mark(text_of(mark));
  EXPECT_TRUE(read.kept);
  EXPECT_FALSE(read.restored);
  ASSERT_TRUE(read.identity.has_value());
  EXPECT_EQ(text_of(read), text_of(mark));
  EXPECT_EQ(copy_reason(read, identity()), "");
  EXPECT_TRUE(parse_mark(text_of({true, true})).restored);
  EXPECT_FALSE(parse_mark("").kept);
}

TEST(JournalMark, IsAsItsDocumentShowsIt) {
  const Identity shown{131, 1'795'305'600'123'456'789,          "0123456789abcdef",
                       42,  "000102030405060708090a0b0c0d0e0f", kFormat};
  auto text = text_of({true, false, shown});
  EXPECT_EQ(text.size(), 230U);
  const auto line = text.substr(text.find('\n') + 1);
  const auto broken = line.find(" epoch=");
  const std::string document = file_bytes(METERD_FORMAT);
  EXPECT_THAT(document, HasSubstr("    " + line.substr(0, broken) + "\n        epoch="));
  EXPECT_THAT(document, HasSubstr(line.substr(line.find("crc="), 12)));
}

TEST(JournalMark, HasOneLengthWhateverItSays) {
  auto longest = identity();
  longest.inode = UINT64_MAX;
  longest.commit = UINT64_MAX;
  longest.born_ns = INT64_MAX;
  longest.format = UINT32_MAX;
  auto unknown = identity();
  unknown.machine.clear();
  const auto length = text_of({true, false, longest}).size();
  EXPECT_EQ(text_of({true, false, unknown}).size(), length);
  EXPECT_EQ(text_of({true, true}).size(), length);
  EXPECT_LE(length, 512U);  // one sector: a power cut leaves the old or the new one
}

TEST(JournalMark, ADamagedSecondLineGivesNoReason) {
  auto text = text_of({true, false, identity()});
  text[60] = '9';
  const auto read = parse_mark(text);
  EXPECT_TRUE(read.kept);
  EXPECT_FALSE(read.identity.has_value());
  auto other = identity();
  other.inode = 1;
  EXPECT_EQ(copy_reason(read, other), "");
}

TEST(JournalMark, TellsACopyByEachOfItsFields) {
  const Mark mark{true, false, identity()};
  auto now = identity();
  now.commit = 11;
  EXPECT_THAT(copy_reason(mark, now), HasSubstr("older"));
  now = identity();
  now.commit = 13;
  EXPECT_EQ(copy_reason(mark, now), "");  // it went on
  now = identity();
  now.born_ns += 1;
  EXPECT_THAT(copy_reason(mark, now), HasSubstr("another file"));
  now = identity();
  now.machine[0] = 'x';
  EXPECT_THAT(copy_reason(mark, now), HasSubstr("another device"));
  now = identity();
  now.epoch[0] = 'x';
  EXPECT_THAT(copy_reason(mark, now), HasSubstr("another journal"));
}

TEST(JournalMark, GivesNoFalseAlarmForWhatMayChangeOrBeUnknown) {
  const Mark mark{true, false, identity()};
  auto now = identity();
  now.inode = 8;  // a file system that was shrunk
  EXPECT_EQ(copy_reason(mark, now), "");
  now = identity();
  now.machine.clear();
  EXPECT_EQ(copy_reason(mark, now), "");
  now = identity();
  now.born_ns = 0;  // mounted by a kernel that does not say
  EXPECT_EQ(copy_reason(mark, now), "");
  auto without = identity();
  without.born_ns = 0;
  now = without;
  EXPECT_EQ(copy_reason({true, false, without}, now), "");
  now.inode = 8;  // the control: without a birth the inode is what there is
  EXPECT_THAT(copy_reason({true, false, without}, now), Not(IsEmpty()));
}

class JournalCopy : public JournalTest {
 protected:
  JournalCopy() { options_.machine = "0123456789abcdef"; }
  void count(const char* quantity) {
    step([&](WriteTransaction& w) { must(w.add(bucket(), tally(quantity), opening())); });
  }
  std::uint32_t copies() const { return journal_->lineage().copies; }
  bool is_held() { return must(begin().is_held(UpstreamName("billing"))); }
  std::string data() const { return options_.directory + "/data.mdb"; }
  void copy_directory(const std::string& to) {
    journal_.reset();
    const auto original = must(identify(data()));
    // A kernel's tick may give both files one birth: no copy outside of a test is made so soon.
    do {
      std::filesystem::remove_all(to);
      std::filesystem::copy(options_.directory, to, std::filesystem::copy_options::recursive);
    } while (original.born_ns != 0 && must(identify(to + "/data.mdb")).born_ns == original.born_ns);
  }
};

TEST_F(JournalCopy, IsNotSeenInAJournalThatIsOpenedAgain) {
  open();
  count("5");
  for (const char* boot : {"boot-1", "boot-2", "boot-2", "boot-3"}) {
    reboot(boot);
    EXPECT_EQ(journal_->found_copied(), "");
    count("1");
  }
  EXPECT_EQ(copies(), 0U);
  EXPECT_FALSE(is_held());
}

TEST_F(JournalCopy, IsSeenInACopiedDirectory) {
  open();
  count("5");
  const auto to = directory_ / "cloned";
  copy_directory(to);
  options_.directory = to;
  open();
  EXPECT_THAT(journal_->found_copied(), HasSubstr("another file"));
  EXPECT_TRUE(is_held());
  reopen();
  EXPECT_EQ(journal_->found_copied(), "");
  EXPECT_EQ(copies(), 1U);
  EXPECT_TRUE(is_held());
}

TEST_F(JournalCopy, IsSeenInAnOlderFileThatIsPutBackInPlace) {
  open();
  count("5");
  journal_.reset();
  const auto older = file_bytes(data());
  open();
  count("1");
  journal_.reset();
  write_file(data(), older);  // the same inode and birth
  open();
  EXPECT_THAT(journal_->found_copied(), HasSubstr("older"));
  EXPECT_EQ(balance_of(bucket()).open, q("5"));
}

TEST_F(JournalCopy, IsSeenOnAnotherDevice) {
  open();
  count("5");
  options_.machine = "fedcba9876543210";
  reopen();
  EXPECT_THAT(journal_->found_copied(), HasSubstr("another device"));
}

TEST_F(JournalCopy, IsSeenWithoutItsLockFileOnceAnythingWasCounted) {
  open();
  journal_.reset();
  std::filesystem::remove(options_.directory + "/meterd.lock");
  open();
  EXPECT_EQ(copies(), 0U);  // a first start that was cut short
  count("5");
  journal_.reset();
  std::filesystem::remove(options_.directory + "/meterd.lock");
  open();
  EXPECT_EQ(copies(), 1U);
}

TEST_F(JournalCopy, IsNotSeenInTheMarkOfAnOlderMeterd) {
  open();
  count("5");
  journal_.reset();
  write_file(options_.directory + "/meterd.lock", "a meterd journal is kept here\n");
  open();
  EXPECT_EQ(copies(), 0U);
  EXPECT_THAT(file_bytes(options_.directory + "/meterd.lock"), HasSubstr("epoch="));
}

// What was written last may be lost but for the journal itself: its mark is then older.
TEST_F(JournalCopy, IsNotSeenAfterAPowerCutThatTookTheMarkOfAStart) {
  open();
  count("5");
  journal_.reset();
  const auto mark = file_bytes(options_.directory + "/meterd.lock");
  reboot("boot-2");
  count("1");
  journal_.reset();
  write_file(options_.directory + "/meterd.lock", mark);
  open();
  EXPECT_EQ(copies(), 0U);
}

TEST_F(JournalCopy, NeverDoublesWhatItSealsBesideWhatItCounts) {
  open();
  count("5");
  const auto to = directory_ / "cloned";
  copy_directory(to);
  options_.directory = to;
  open();
  count("2");
  auto balance = balance_of(bucket());
  ASSERT_EQ(balance.copied.size(), 1U);
  EXPECT_EQ(balance.open, q("7"));
  EXPECT_EQ(balance.copied[0].quantity, q("5"));
  EXPECT_EQ(balance.copied[0].revision, 0U);
  EXPECT_GE(balance.next_revision, kRevisionsPerCopy);
  step([&](WriteTransaction& w) {
    auto usage = next_usage(w, bucket());
    usage.quantity = q("5");
    usage.events = 1;
    usage.revision = 0;
    usage.id = meter::usage_id({DeviceId("gw-0042"), journal_->epoch(), bucket(), 0});
    must(w.seal_copied(usage, request(), now()));
  });
  balance = balance_of(bucket());
  EXPECT_EQ(balance.open, q("2"));
  EXPECT_EQ(balance.waiting, q("5"));
  EXPECT_TRUE(balance.copied.empty());
  step([&](WriteTransaction& w) { seal(w, bucket()); });
  EXPECT_EQ(balance_of(bucket()).waiting, q("7"));
}

TEST_F(JournalCopy, GivesNothingOutUntilItsUpstreamIsReleased) {
  open();
  waiting_usage();
  const auto to = directory_ / "cloned";
  copy_directory(to);
  options_.directory = to;
  open();
  const std::vector<UpstreamName> configured{UpstreamName("billing"), UpstreamName("other")};
  step([&](WriteTransaction& w) {
    EXPECT_TRUE(must(w.begin_attempts(configured[0], now(), 16)).empty());
    const auto waiting = must(w.unreconciled(configured[0], 0, 16));
    ASSERT_EQ(waiting.size(), 1U);
    must(w.mark_reconciled(waiting[0].sequence));
    EXPECT_TRUE(must(w.unreconciled(configured[0], 0, 16)).empty());
    must(w.release(configured[0], configured));
    EXPECT_FALSE(must(w.is_held(configured[0])));
    EXPECT_TRUE(must(w.is_held(configured[1])));
    EXPECT_TRUE(must(w.is_held(UpstreamName("new"))));
    EXPECT_EQ(must(w.begin_attempts(configured[0], now(), 16)).size(), 1U);
  });
  step([&](WriteTransaction& w) {
    must(w.release(configured[1], configured));
    EXPECT_FALSE(must(w.is_held(UpstreamName("new"))));
  });
}

TEST_F(JournalCopy, KeepsHoldingAnUpstreamThatWasNotConfiguredWhenTheOthersWereReleased) {
  open();
  waiting_usage("sms-usd", "gone");
  const auto to = directory_ / "cloned";
  copy_directory(to);
  options_.directory = to;
  open();
  const std::vector<UpstreamName> configured{UpstreamName("billing")};
  step([&](WriteTransaction& w) { must(w.release(configured[0], configured)); });
  EXPECT_TRUE(must(begin().is_held(UpstreamName("gone"))));
  EXPECT_FALSE(is_held());
}

TEST_F(JournalCopy, IsWholeAndSoundWhenItIsMadeWhileOthersCommit) {
  open();
  for (int i = 0; i < 50; ++i) count("1");
  const auto path = directory_ / "backup.mdb";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
  ASSERT_GE(fd, 0);
  must(journal_->copy_to(fd));
  ::close(fd);
  count("1");
  const auto found = must(inspect_file(path));
  EXPECT_EQ(found.epoch, journal_->epoch());
  EXPECT_EQ(found.report.open, q("50"));
  EXPECT_THAT(found.report.problems, IsEmpty());
}

TEST_F(JournalCopy, ThatWasCutShortOrDamagedIsNoBackup) {
  open();
  for (int i = 0; i < 300; ++i)
    step([&](WriteTransaction& w) {
      must(w.add(bucket(("i" + std::to_string(i)).c_str()), tally("1"), opening()));
    });
  const auto path = directory_ / "backup.mdb";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
  ASSERT_GE(fd, 0);
  must(journal_->copy_to(fd));
  ::close(fd);
  const auto whole = file_bytes(path);
  for (const std::size_t keep :
       {std::size_t{0}, std::size_t{4'096}, whole.size() / 2, whole.size() - 4'096}) {
    write_file(path, whole.substr(0, keep));
    EXPECT_FALSE(inspect_file(path).ok()) << keep;
  }
  write_file(path, whole);
  EXPECT_TRUE(inspect_file(path).ok());
  EXPECT_FALSE(inspect_file(directory_ / "nothing").ok());
}

}  // namespace
}  // namespace meterd::journal
