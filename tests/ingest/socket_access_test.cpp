// Whom the mode of a socket's file lets connect.
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "platform/sockets.hpp"
#include "tests/journal/fakes.hpp"

namespace meterd::platform {
namespace {

TEST(SocketAccess, LetsInAllOfThemOrNot) {
  const journal::TempDirectory directory;
  const auto path = directory / "socket";
  std::ofstream(path) << "";
  const std::string ours = ::getgrgid(::getegid())->gr_name;
  const std::string others = ours == "daemon" ? "bin" : "daemon";
  const auto with_mode = [&](mode_t mode, const SocketAccess& access) {
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return lets_in(path, access);
  };
  EXPECT_TRUE(with_mode(0660, {{ours}}));
  EXPECT_FALSE(with_mode(0660, {{others}}));
  EXPECT_FALSE(with_mode(0660, {{ours, others}})) << "one of them is kept out";
  EXPECT_TRUE(with_mode(0660, {{ours, "no-such-group"}})) << "nobody is in that";
  EXPECT_FALSE(with_mode(0660, {{ours}, true}));
  EXPECT_FALSE(with_mode(0600, {{ours}}));
  EXPECT_TRUE(with_mode(0666, {{ours, others}, true}));
  EXPECT_FALSE(lets_in(directory / "none", {{ours}}));
}

}  // namespace
}  // namespace meterd::platform
