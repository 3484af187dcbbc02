// meterctl restore of a real backup: what it refuses, and what is left when it fails.
#include <algorithm>
#include <filesystem>

#include "agent/journal/lock.hpp"
#include "tests/ctl/program.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class MeterctlRestore : public JournalTest {
 protected:
  void SetUp() override {
    open();
    for (int i = 0; i < 5; ++i) waiting_usage(("item-" + std::to_string(i)).c_str());
    journal_.reset();
    backup_ = file_bytes(options_.directory + "/data.mdb");
    write_file(file_, backup_);
    fs::create_directories(to_);
  }
  ~MeterctlRestore() override { fs::permissions(to_, fs::perms::owner_all); }
  std::vector<std::string> restore(const std::string& file) const {
    return {METERD_CTL, "restore", file, "--directory", to_};
  }
  std::vector<std::string> left() const {
    std::vector<std::string> out;
    for (const auto& at : fs::recursive_directory_iterator(to_))
      out.push_back(at.path().lexically_relative(to_));
    std::sort(out.begin(), out.end());
    return out;
  }

  std::string backup_;
  const std::string file_ = directory_ / "backup.mdb";
  const std::string to_ = directory_ / "restored";
};

TEST_F(MeterctlRestore, TakesABackupAndNotItsOwnFiles) {
  const auto own = [&](const std::string& name) {
    fs::create_directories(fs::path(to_ + name).parent_path());
    write_file(to_ + name, backup_);
    return to_ + name;
  };
  const std::string link = directory_ / "link";
  fs::create_symlink(own("/data.mdb.part"), link);
  for (const std::string& file :
       {to_ + "/data.mdb.part", to_ + "/./data.mdb.part", link, own("/making/data.mdb")}) {
    const auto done = test::run_program(restore(file));
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.err, HasSubstr("replaces."));
    EXPECT_TRUE(file_bytes(file) == backup_) << file;
    EXPECT_FALSE(fs::exists(to_ + "/data.mdb"));
  }
  const auto done = test::run_program(restore(file_));
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_FALSE(fs::exists(to_ + "/data.mdb.part"));
}

// What is left of another one is not written through: whoever owns the directory could have put it there.
TEST_F(MeterctlRestore, MakesItsCopyAnew) {
  const std::string theirs = directory_ / "theirs";
  write_file(theirs, "somebody else's");
  fs::create_hard_link(theirs, to_ + "/data.mdb.part");
  const auto done = test::run_program(restore(file_));
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_TRUE(file_bytes(theirs) == "somebody else's");
}

// It can make files in a directory that it may not list, and cannot sync that: it fails when the copy is
// made.
TEST_F(MeterctlRestore, ThatFailsLateLeavesTheDirectoryAsItWas) {
  fs::permissions(to_, fs::perms::owner_write | fs::perms::owner_exec);
  auto done = test::run_bound_by_modes(restore(file_));
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, HasSubstr("cannot open " + to_));
  fs::permissions(to_, fs::perms::owner_all);
  EXPECT_THAT(left(), ::testing::IsEmpty());

  const auto mark = text_of({true, false});
  write_file(to_ + "/meterd.lock", mark);
  fs::permissions(to_, fs::perms::owner_write | fs::perms::owner_exec);
  done = test::run_bound_by_modes(restore(file_));
  EXPECT_EQ(done.exit_code, 1);
  fs::permissions(to_, fs::perms::owner_all);
  EXPECT_THAT(left(), ::testing::ElementsAre("meterd.lock"));
  EXPECT_EQ(file_bytes(to_ + "/meterd.lock"), mark);

  done = test::run_bound_by_modes(restore(file_));
  EXPECT_EQ(done.exit_code, 0) << done.err;
}

}  // namespace
}  // namespace meterd::journal
