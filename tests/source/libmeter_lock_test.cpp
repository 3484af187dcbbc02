// What libmeter's calls have in common, one by one: their deadline, and what a fork() leaves.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

extern "C" {
#include "agent/libmeter/internal.h"
}

namespace {

class MeterLock : public ::testing::Test {
 protected:
  MeterLock() { EXPECT_NE(meter_, nullptr); }
  ~MeterLock() override { meter_close(meter_); }
  static int64_t later() { return meter_now_ms() + 60'000; }

  meter_t* meter_ = meter_open("/nonexistent");
};

TEST_F(MeterLock, WaitsForOtherThreadsNoLongerThanItsDeadline) {
  ASSERT_EQ(meter_lock(meter_, later()), 0);
  int locked = 0;
  int code = 0;
  std::thread other([&] {
    locked = meter_lock(meter_, meter_now_ms());
    code = errno;
  });
  other.join();
  EXPECT_EQ(locked, -1);
  EXPECT_EQ(code, ETIMEDOUT);
  meter_unlock(meter_);
  std::thread next([&] {
    locked = meter_lock(meter_, later());
    meter_unlock(meter_);
  });
  next.join();
  EXPECT_EQ(locked, 0);
}

TEST_F(MeterLock, GivesTheDeadlineToEachStepOfTheCall) {
  ASSERT_EQ(meter_lock(meter_, later()), 0);
  EXPECT_GT(meter_->until_ms, meter_now_ms());
  meter_unlock(meter_);
  sockaddr_un nowhere{};
  nowhere.sun_family = AF_UNIX;
  std::strcpy(nowhere.sun_path, "/nonexistent/socket");
  EXPECT_EQ(meter_connect(&nowhere, SOCK_STREAM, meter_now_ms()), -1);
  EXPECT_EQ(errno, ETIMEDOUT) << "not even tried";
  EXPECT_EQ(meter_connect(&nowhere, SOCK_STREAM, later()), -1);
  EXPECT_EQ(errno, ENOENT);
}

// As the memory of a child looks whose parent was itself in the middle of taking a meter over.
TEST_F(MeterLock, IsTakenOverFromAThreadThatAForkLeftBehind) {
  ASSERT_EQ(meter_lock(meter_, later()), 0);
  meter_->owner = -(getpid() + 1);
  ASSERT_EQ(meter_lock(meter_, meter_now_ms()), 0) << "that thread's lock is nobody's";
  EXPECT_EQ(meter_->owner, getpid());
  meter_unlock(meter_);
}

}  // namespace
