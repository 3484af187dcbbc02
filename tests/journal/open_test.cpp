// Opening: what comes back, what is refused, and that a refusal changes nothing.
#include <sys/stat.h>

#include <filesystem>

#include "agent/base/limits.hpp"
#include "agent/journal/records.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::HasSubstr;

class JournalOpen : public JournalTest {
 protected:
  std::string data() const { return options_.directory + "/data.mdb"; }
  std::string marker() const { return options_.directory + "/meterd.lock"; }

  v0::Stamp stamp() const {
    v0::Stamp out;
    const auto raw = get_raw(stamp_key());
    EXPECT_TRUE(out.ParseFromString(std::string(must(unwrap(stamp_key(), raw)))));
    return out;
  }
  void put_stamp(const v0::Stamp& stamp) {
    put_raw(stamp_key(), wrap(stamp_key(), stamp.SerializeAsString()));
  }

  // The journal is refused, and its data file is the same, byte for byte.
  Error refused() {
    journal_.reset();
    const bool existed = std::filesystem::exists(data());
    const std::string before = file_bytes(data());
    const auto opened = try_open();
    EXPECT_FALSE(opened.ok());
    EXPECT_EQ(std::filesystem::exists(data()), existed);
    EXPECT_TRUE(file_bytes(data()) == before);
    return opened ? Error{} : opened.error();
  }
};

TEST_F(JournalOpen, KeepsItsEpochAndNeverAsksForAnotherOne) {
  open();
  const std::string epoch = journal_->epoch();
  EXPECT_EQ(epoch.size(), 16U);
  EXPECT_EQ(random_.asked, 1U);
  reopen();
  reboot("boot-2");
  EXPECT_EQ(journal_->epoch(), epoch);
  EXPECT_EQ(random_.asked, 1U);
  EXPECT_EQ(stamp().created_at_ms(), options_.now.since_epoch.count());
}

TEST_F(JournalOpen, MakesAnotherEpochInAFreshDirectory) {
  open();
  const std::string epoch = journal_->epoch();
  options_.directory = directory_ / "another";
  reopen();
  EXPECT_NE(journal_->epoch(), epoch);
}

TEST_F(JournalOpen, RaisesTheBootNumberOnlyWithANewBoot) {
  open();
  EXPECT_EQ(journal_->boot_number(), 1U);
  reopen();
  EXPECT_EQ(journal_->boot_number(), 1U);
  reboot("boot-2");
  EXPECT_EQ(journal_->boot_number(), 2U);
  reopen();
  EXPECT_EQ(journal_->boot_number(), 2U);
  reboot("boot-1");
  EXPECT_EQ(journal_->boot_number(), 3U);
}

TEST_F(JournalOpen, RemembersTheLastTrustedTime) {
  open();
  EXPECT_EQ(journal_->last_trusted_at_open(), WallTime{});
  step([&](WriteTransaction& w) {
    must(w.put_last_trusted({WallTime::from_seconds(1'795'000'000), {1, 60'000}}));
  });
  reopen();
  EXPECT_EQ(journal_->last_trusted_at_open(), WallTime::from_seconds(1'795'000'000));
}

TEST_F(JournalOpen, WritesNothingWhenTheSameBootOpensItAgain) {
  open();
  journal_.reset();
  const std::string before = file_bytes(data());
  open();
  journal_.reset();
  EXPECT_TRUE(file_bytes(data()) == before);
}

TEST_F(JournalOpen, RefusesASecondUserOfTheDirectoryAndServesTheFirstOn) {
  open();
  const auto second = try_open();
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Code::io);
  EXPECT_THAT(second.error().message, HasSubstr("already in use"));
  step([&](WriteTransaction& w) { must(w.add(bucket(), tally("1"), opening())); });
  reopen();
  EXPECT_EQ(balance_of(bucket()).open, q("1"));
}

TEST_F(JournalOpen, RefusesAFileSystemThatTheDiskCallsUnsuited) {
  disk_.suits = Error{Code::invalid, "journal: on nfs"};
  const auto opened = try_open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().message, "journal: on nfs");
  EXPECT_FALSE(std::filesystem::exists(data()));
}

TEST_F(JournalOpen, RefusesASizeThatTheMachineCannotMapAndTakesTheLargest) {
  // In 32 bits the second would wrap to nothing, and LMDB open with its own size of 1 MiB.
  for (const auto beyond : {limits::map_bytes_max() + 1, std::uint64_t{1} << 44U}) {
    options_.size_max = beyond;
    const auto opened = try_open();
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, Code::invalid);
    EXPECT_THAT(opened.error().message, HasSubstr("journal.max_size is beyond what this machine can map"));
    EXPECT_FALSE(std::filesystem::exists(data()));
  }
  options_.size_max = limits::map_bytes_max(4);  // of 32 bits; every machine maps that much
  open();
  EXPECT_EQ(must(journal_->space()).use.map_bytes, options_.size_max);
}

TEST_F(JournalOpen, RefusesANewerFormatAndTouchesNothing) {
  open();
  auto newer = stamp();
  newer.set_format(newer.format() + 1);
  newer.set_needs("9.8.7");
  put_stamp(newer);
  options_.boot_id = "boot-2";
  const auto error = refused();
  EXPECT_EQ(error.code, Code::invalid);
  EXPECT_THAT(error.message, HasSubstr("newer meterd, in format 2; this one reads formats up to 1"));
  EXPECT_THAT(error.message, HasSubstr("install meterd 9.8.7 or a later one, or restore a backup"));
}

TEST_F(JournalOpen, RefusesAnotherWordSizeOrByteOrderAndTouchesNothing) {
  open();
  const auto good = stamp();
  auto other = good;
  other.set_word_bits(good.word_bits() == 64 ? 32 : 64);
  put_stamp(other);
  options_.boot_id = "boot-2";
  auto error = refused();
  EXPECT_EQ(error.code, Code::invalid);
  EXPECT_THAT(error.message, HasSubstr("another architecture"));

  options_.directory = directory_ / "another";
  open();
  other = good;
  other.set_byte_order(0x04030201);
  put_stamp(other);
  options_.boot_id = "boot-3";
  error = refused();
  EXPECT_EQ(error.code, Code::invalid);
  EXPECT_THAT(error.message, HasSubstr("another architecture"));
}

TEST_F(JournalOpen, RefusesAFileThatIsNoJournalAndTouchesNothing) {
  for (const auto& bytes : {std::string("short"), std::string(100'000, 'x'), std::string(40'960, '\0')}) {
    options_.directory = directory_ / ("garbage" + std::to_string(bytes.size()));
    std::filesystem::create_directories(options_.directory);
    write_file(data(), bytes);
    const auto error = refused();
    EXPECT_EQ(error.code, Code::corrupt) << error.message;
    EXPECT_THAT(error.message, HasSubstr("restore a backup"));
  }
}

TEST_F(JournalOpen, RefusesAFileThatWasCutShortAtAnyPage) {
  open();
  for (int i = 0; i < 500; ++i) put_raw("U" + std::to_string(1'000 + i), std::string(300, 'x'));
  journal_.reset();
  const std::string whole = file_bytes(data());
  for (std::size_t keep = 2; keep < 8; ++keep) {  // eighths of the file
    write_file(data(), whole.substr(0, whole.size() * keep / 8 / 4'096 * 4'096));
    const auto error = refused();
    EXPECT_EQ(error.code, Code::corrupt) << error.message;
    EXPECT_THAT(error.message, HasSubstr("cut short"));
  }
  write_file(data(), whole);  // the control: the whole file opens
  open();
}

TEST_F(JournalOpen, RefusesAnLmdbFileOfAnotherProgram) {
  open();
  put_raw("foreign", "record");
  erase_raw(stamp_key());
  erase_raw(general_key());
  const auto error = refused();
  EXPECT_EQ(error.code, Code::corrupt);
  EXPECT_THAT(error.message, HasSubstr("not a journal of meterd"));
}

TEST_F(JournalOpen, RefusesAStampThatFailsItsChecksumAndSaysWhatToDo) {
  open();
  std::string value = get_raw(stamp_key());
  value.back() = static_cast<char>(value.back() ^ 1);
  put_raw(stamp_key(), value);
  const auto error = refused();
  EXPECT_EQ(error.code, Code::corrupt);
  EXPECT_THAT(error.message, HasSubstr("restore a backup"));
}

TEST_F(JournalOpen, RefusesAMissingOrEmptyDataFileWhereAJournalWas) {
  open();
  journal_.reset();
  write_file(data(), "");
  auto error = refused();
  EXPECT_EQ(error.code, Code::invalid);
  EXPECT_THAT(error.message, HasSubstr("missing or empty"));

  std::filesystem::remove(data());
  error = refused();
  EXPECT_EQ(error.code, Code::invalid);
  EXPECT_THAT(error.message, HasSubstr("missing or empty"));
  EXPECT_THAT(error.message, HasSubstr("meterd.lock"));
}

TEST_F(JournalOpen, StartsAfreshOverTheEmptyFileOfAnInterruptedFirstStart) {
  std::filesystem::create_directories(options_.directory);
  write_file(data(), "");
  write_file(marker(), "");
  open();
  expect_sound();
}

TEST_F(JournalOpen, ClearsAwayWhatAFirstStartThatWasCutShortWasMaking) {
  const auto making = options_.directory + "/making";
  std::filesystem::create_directories(making);
  write_file(making + "/data.mdb", std::string(8'192, 'x'));
  open();
  expect_sound();
  EXPECT_FALSE(std::filesystem::exists(making));
}

// A first start is the only one that makes a journal: what has data is opened in its place.
TEST_F(JournalOpen, LeavesAJournalThatIsThereInItsPlace) {
  open();
  journal_.reset();
  struct stat before {};
  struct stat after {};
  ASSERT_EQ(stat(data().c_str(), &before), 0);
  open();
  ASSERT_EQ(stat(data().c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST_F(JournalOpen, WritesTheMarkerThatAPowerCutKeptFromTheFirstStart) {
  open();
  journal_.reset();
  write_file(marker(), "");
  open();
  journal_.reset();
  EXPECT_THAT(file_bytes(marker()), HasSubstr("a meterd journal is kept here"));
  std::filesystem::remove(data());
  EXPECT_EQ(refused().code, Code::invalid);
}

TEST_F(JournalOpen, MarksTheDirectoryAndWritesTheMarkAgainOnlyAfterACommit) {
  open();
  journal_.reset();
  const std::string first = file_bytes(marker());
  EXPECT_THAT(first, ::testing::StartsWith("a meterd journal is kept here\n"));
  reopen();
  journal_.reset();
  EXPECT_EQ(file_bytes(marker()), first);
  reboot("boot-2");
  journal_.reset();
  EXPECT_NE(file_bytes(marker()), first);
  EXPECT_EQ(file_bytes(marker()).size(), first.size());
}

TEST_F(JournalOpen, RefusesASizeBeyondTheAddressSpace) {
  options_.size_max = UINT64_MAX / 2;
  const auto opened = try_open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, Code::invalid);
}

TEST_F(JournalOpen, OpensWithASmallerSizeThanItHoldsAndLosesNothing) {
  open();
  step([&](WriteTransaction& w) {
    for (int i = 0; i < 3'000; ++i)
      must(w.add(bucket(("item-" + std::to_string(i)).c_str()), tally("1"), opening()));
  });
  options_.size_max = 64 << 10;
  reopen();
  EXPECT_EQ(report().balances, 3'000U);
  options_.size_max = 8 << 20;
  reopen();
  EXPECT_EQ(report().balances, 3'000U);
}

}  // namespace
}  // namespace meterd::journal
