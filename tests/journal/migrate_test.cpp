// A journal of an earlier format: every way in brings it to the present one, whole, and once. tests/power
// cuts the power meanwhile; tests/golden has journals that programs of their time made.
#include "agent/journal/migrate.hpp"

#include "agent/journal/fsck.hpp"
#include "agent/journal/records.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::HasSubstr;

class JournalMigration : public JournalTest {
 protected:
  std::string data() const { return options_.directory + "/data.mdb"; }

  v0::Stamp stamp() const {
    v0::Stamp out;
    EXPECT_TRUE(out.ParseFromString(std::string(must(unwrap(stamp_key(), get_raw(stamp_key()))))));
    return out;
  }
  void set_format(std::uint32_t format) {
    auto changed = stamp();
    changed.set_format(format);
    if (format == 0) changed.clear_needs();
    put_raw(stamp_key(), wrap(stamp_key(), changed.SerializeAsString()));
  }
  // Every record but for the stamp.
  std::string records() const {
    std::string out;
    auto txn = must(journal_->begin_read());
    must(txn.scan("", "", [&](std::string_view key, std::string_view value) {
      if (key != stamp_key()) out.append(key).append("=").append(value).append("\n");
      return true;
    }));
    return out;
  }
  // One of format 0, closed, with a usage that waits and an open bucket.
  void make_of_format_0() {
    open();
    waiting_usage();
    step([&](WriteTransaction& w) { must(w.add(bucket("api-usd"), tally("2.5"), opening())); });
    set_format(0);
    before_ = records();
    epoch_ = journal_->epoch();
    journal_.reset();
  }
  void expect_migrated() {
    EXPECT_EQ(stamp().format(), kFormat);
    EXPECT_EQ(stamp().needs(), kFormatNeeds);
    EXPECT_EQ(stamp().epoch(), epoch_);
    EXPECT_EQ(stamp().created_at_ms(), options_.now.since_epoch.count());
    expect_sound();
  }

  std::string before_, epoch_;
};

TEST_F(JournalMigration, HappensAtTheStartAndOnceAndKeepsEveryRecord) {
  make_of_format_0();
  open();
  EXPECT_EQ(journal_->migrated_from(), 0U);
  EXPECT_TRUE(records() == before_);
  EXPECT_EQ(journal_->found_copied(), "");
  expect_migrated();

  journal_.reset();
  const auto bytes = file_bytes(data());
  open();
  EXPECT_EQ(journal_->migrated_from(), std::nullopt);
  journal_.reset();
  EXPECT_TRUE(file_bytes(data()) == bytes);
}

TEST_F(JournalMigration, HappensWithANewBootToo) {
  make_of_format_0();
  reboot("boot-2");
  EXPECT_EQ(journal_->migrated_from(), 0U);
  EXPECT_EQ(journal_->boot_number(), 2U);
  expect_migrated();
}

TEST_F(JournalMigration, IsNotAskedForByANewJournal) {
  open();
  EXPECT_EQ(journal_->migrated_from(), std::nullopt);
  EXPECT_EQ(stamp().format(), kFormat);
}

TEST_F(JournalMigration, HappensToACopyToo) {
  make_of_format_0();
  const auto bytes = file_bytes(data());
  options_.directory = directory_ / "copy";
  std::filesystem::create_directories(options_.directory);
  write_file(data(), bytes);
  open();
  EXPECT_EQ(journal_->migrated_from(), 0U);
  EXPECT_NE(journal_->found_copied(), "");
  expect_migrated();
}

TEST_F(JournalMigration, HappensBeforeWhatIsDamagedIsMadeGood) {
  make_of_format_0();
  open();
  set_format(0);
  put_raw(producer_key("gone"), "no checksum");
  reopen();
  EXPECT_EQ(journal_->migrated_from(), 0U);
  EXPECT_EQ(journal_->set_aside_at_open(), 1U);
  expect_migrated();
}

TEST_F(JournalMigration, IsRefusedOfANewerFormatEvenWhereSomethingIsDamaged) {
  open();
  set_format(kFormat + 1);
  put_raw(producer_key("gone"), "no checksum");
  journal_.reset();
  const auto bytes = file_bytes(data());
  const auto opened = try_open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, Code::invalid);
  EXPECT_THAT(opened.error().message, HasSubstr("newer meterd"));
  EXPECT_TRUE(file_bytes(data()) == bytes);
}

TEST_F(JournalMigration, WaitsWhereABackupIsOnlyLookedAt) {
  make_of_format_0();
  const auto bytes = file_bytes(data());
  const auto found = must(inspect_file(data()));
  EXPECT_THAT(found.report.problems, ::testing::IsEmpty());
  EXPECT_EQ(found.report.usages, 1U);
  EXPECT_TRUE(must(examine(data())).is_sound());
  EXPECT_TRUE(file_bytes(data()) == bytes);
}

TEST_F(JournalMigration, IsWhatASalvageDoes) {
  make_of_format_0();
  const auto to = directory_ / "salvaged";
  const auto done = must(salvage(data(), to));
  EXPECT_THAT(done.check.problems, ::testing::IsEmpty());
  options_.directory = to;
  open();
  EXPECT_EQ(journal_->migrated_from(), std::nullopt);
  expect_migrated();
}

// The control: with the stamp's commit undone it is of format 0 still, and so is what a start without a
// commit would leave.
TEST_F(JournalMigration, IsUndoneWithItsTransaction) {
  make_of_format_0();
  open();
  set_format(0);
  {
    auto txn = must(journal_->begin_write());
    const auto migrated = must(migrate(txn));
    ASSERT_TRUE(migrated.has_value());
    EXPECT_EQ(migrated->from, 0U);
    EXPECT_EQ(migrated->stamp.format(), kFormat);
  }
  EXPECT_EQ(stamp().format(), 0U);
  EXPECT_EQ(stamp().needs(), "");
}

}  // namespace
}  // namespace meterd::journal
