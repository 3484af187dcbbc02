// Who takes a directory's lock while another one comes in between: after the lock's file was opened, before
// it is locked.
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <utility>

#include "agent/journal/files.hpp"
#include "agent/journal/fsck.hpp"
#include "agent/journal/lock.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace {

std::function<void()> in_between;  // of this program's next flock(), or nothing

}  // namespace

extern "C" int flock(int fd, int operation) noexcept {
  if (const auto before = std::exchange(in_between, nullptr)) before();
  return static_cast<int>(::syscall(SYS_flock, fd, operation));
}

namespace meterd::journal {
namespace {

using ::testing::HasSubstr;

class LockRace : public JournalTest {
 protected:
  void SetUp() override {
    open();
    waiting_usage();
    journal_.reset();
    std::filesystem::create_directories(new_);
  }
  ~LockRace() override { in_between = nullptr; }
  static bool is_free(const std::string& directory) { return DirectoryLock::take(directory).ok(); }

  const std::string data_ = options_.directory + "/data.mdb";
  const std::string new_ = directory_ / "new";
  const std::string lock_ = new_ + "/meterd.lock";
};

TEST_F(LockRace, IsHeldWhereOthersSeeItWhenTheFileWasRemoved) {
  in_between = [&] { std::filesystem::remove(lock_); };
  {
    const auto held = must(DirectoryLock::take(new_));
    EXPECT_TRUE(std::filesystem::exists(lock_));
    EXPECT_FALSE(is_free(new_));
  }
  EXPECT_TRUE(is_free(new_));
}

TEST_F(LockRace, IsGivenUpWhenTheFileIsRemovedAgainAndAgain) {
  std::function<void()> remove = [&] {
    std::filesystem::remove(lock_);
    in_between = remove;
  };
  in_between = remove;
  const auto held = DirectoryLock::take(new_);
  in_between = nullptr;
  ASSERT_FALSE(held.ok());
  EXPECT_THAT(held.error().message, HasSubstr("removed by others"));
  EXPECT_TRUE(is_free(new_));
}

TEST_F(LockRace, LeavesASalvageThatAnotherOneMadeMeanwhile) {
  in_between = [&] { write_file(new_ + "/data.mdb", "another salvage's"); };
  EXPECT_THAT(salvage(data_, new_).error().message, HasSubstr("is not empty"));
  EXPECT_EQ(file_bytes(new_ + "/data.mdb"), "another salvage's");
  std::filesystem::remove_all(new_);
  EXPECT_TRUE(salvage(data_, new_).ok());
}

TEST_F(LockRace, ALockIsAloneInADirectoryThatHoldsNothingElse) {
  const auto lock = must(DirectoryLock::take(new_));
  EXPECT_TRUE(lock.is_alone());
  must(lock.write({true, true}));
  EXPECT_FALSE(lock.is_alone());
  must(lock.write({}));
  EXPECT_TRUE(lock.is_alone());
  write_file(new_ + "/something", "x");
  EXPECT_FALSE(lock.is_alone());
}

TEST_F(LockRace, AMarkIsUndoneWhole) {
  const auto lock = must(DirectoryLock::take(new_));
  must(lock.write({true, true}));
  EXPECT_TRUE(must(lock.read()).restored);
  must(lock.write({true, false}));
  EXPECT_FALSE(must(lock.read()).restored);
  EXPECT_EQ(file_bytes(lock_), text_of({true, false}));
}

}  // namespace
}  // namespace meterd::journal
