// What the real system says of this process.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <vector>

#include "platform/linux/linux.hpp"

namespace meterd::platform {
namespace {

TEST(LinuxProcess, SeesEachOpenFileWithoutItsOwn) {
  const auto process = make_process();
  const auto before = process->use();
  EXPECT_GE(before.open_files, 3U);
  EXPECT_LE(before.open_files, before.open_files_max);
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(process->use().open_files, before.open_files + 1);
  close(fd);
  EXPECT_EQ(process->use().open_files, before.open_files);
}

TEST(LinuxProcess, SeesItsMemoryGrowInBytes) {
  const auto process = make_process();
  const auto before = process->use().resident_bytes;
  const std::vector<char> touched(64U << 20, 'x');
  const auto grown = process->use().resident_bytes - before;
  EXPECT_GE(grown, 60U << 20);
  EXPECT_LE(grown, 1U << 30) << "sanitizers add to the " << touched.size();
}

TEST(LinuxProcess, SeesItsTimeRise) {
  const auto process = make_process();
  const auto before = process->use().cpu;
  EXPECT_GT(before.count(), 0);
  while (process->use().cpu == before) {
  }
  EXPECT_GT(process->use().cpu, before);
}

TEST(LinuxClock, TicksNeverGoBack) {
  boost::asio::io_context loop;
  const auto clock = make_clock(loop.get_executor(), {});
  auto last = clock->ticks();
  for (int i = 0; i < 1'000; ++i) {
    const auto next = clock->ticks();
    ASSERT_GE(next, last);
    last = next;
  }
}

}  // namespace
}  // namespace meterd::platform
