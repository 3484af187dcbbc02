// The built meterctl writing FILE, as backup and statement do: whole or not at all, and over nothing else.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/ctl/meterctl_test.hpp"

namespace meterd::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr const char* kPdf = "%PDF-1.4 abc";

class MeterctlFile : public MeterctlTest {
 protected:
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  Finished save(const std::string& file) { return run({pdf()}, {"statement", file, "--invoice", "i"}); }
  static FakeDaemon::Reply pdf() {
    return FakeDaemon::bytes("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + std::string(kPdf));
  }
  // As one line.
  static std::string unwrapped(const std::string& text) {
    std::string out;
    for (const char c : text) {
      const bool is_space = c == ' ' || c == '\n';
      if (!is_space || (!out.empty() && out.back() != ' ')) out.push_back(is_space ? ' ' : c);
    }
    return out;
  }

  std::string file_ = (directory_ / "file").string();
  std::string part_ = file_ + ".part";
};

TEST_F(MeterctlFile, ThatIsNoneStaysAndNobodyIsAsked) {
  const auto fifo = (directory_ / "fifo").string();
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const auto socket = (directory_ / "socket").string();
  const int listener = listen_on(socket, 1);
  write(file_, "the last good one");
  const auto link = (directory_ / "link").string();
  fs::create_symlink(file_, link);
  const auto dangling = (directory_ / "dangling").string();
  fs::create_symlink(directory_ / "nowhere", dangling);
  const std::vector<std::pair<std::string, std::string>> targets{{fifo, "a pipe"},
                                                                 {socket, "a socket"},
                                                                 {link, "a symbolic link"},
                                                                 {dangling, "a symbolic link"},
                                                                 {directory_.string(), "a directory"}};
  for (const auto& [target, kind] : targets) {
    const auto type = fs::symlink_status(target).type();
    for (const auto& arguments : {std::vector<std::string>{"backup", target},
                                  {"backup", "--portable", target},
                                  {"statement", target, "--invoice", "i"}}) {
      const auto done = run({}, arguments);
      EXPECT_EQ(done.exit_code, 1) << target;
      EXPECT_THAT(unwrapped(done.err), HasSubstr("is " + kind + " and stays as it is. Name a regular file"));
      EXPECT_THAT(requests_, SizeIs(0));
    }
    EXPECT_EQ(fs::symlink_status(target).type(), type) << target;
    EXPECT_FALSE(fs::exists(target + ".part"));
  }
  EXPECT_EQ(read(file_), "the last good one");
  ::close(listener);
}

TEST_F(MeterctlFile, WithoutANameIsAWrongCommandLine) {
  for (const auto& arguments : {std::vector<std::string>{"backup", ""},
                                {"restore", "", "--directory", directory_ / "journal"},
                                {"statement", "", "--invoice", "i"}}) {
    const auto done = run({}, arguments);
    EXPECT_EQ(done.exit_code, 2);
    EXPECT_THAT(done.err, HasSubstr("FILE: must not be empty"));
    EXPECT_THAT(requests_, SizeIs(0));
  }
}

TEST_F(MeterctlFile, IsNotWrittenThroughALinkInTheWay) {
  const auto victim = (directory_ / "victim").string();
  write(victim, "somebody else's");
  fs::create_symlink(victim, part_);
  const auto done = save(file_);
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(read(file_), kPdf);
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(file_)));
  EXPECT_EQ(read(victim), "somebody else's");
}

TEST_F(MeterctlFile, IsANewOneWhateverWasLeftOfAnother) {
  const std::string left =
      "left by a run that was killed, or put there by somebody: longer than the document";
  write(part_, left);
  fs::permissions(part_, fs::perms(0666));
  const auto theirs = (directory_ / "theirs").string();
  fs::create_hard_link(part_, theirs);
  const auto done = save(file_);
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(read(file_), kPdf);
  EXPECT_EQ(fs::status(file_).permissions(), fs::perms(0600));
  EXPECT_EQ(read(theirs), left);
  EXPECT_FALSE(fs::exists(part_));
}

TEST_F(MeterctlFile, LeavesThePartOfARunThatIsStillWriting) {
  const int other = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::flock(other, LOCK_EX), 0);
  auto done = save(file_);
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(unwrapped(done.err), HasSubstr("is being written by another meterctl"));
  EXPECT_THAT(requests_, SizeIs(0));
  EXPECT_TRUE(fs::exists(part_));
  ::close(other);
  done = save(file_);
  EXPECT_EQ(done.exit_code, 0) << done.err;
}

// Another user's, say, in a directory that both may write.
TEST_F(MeterctlFile, LeavesAPartThatItMayNotOpen) {
  write(part_, "somebody else's");
  fs::permissions(part_, fs::perms::none);
  const std::vector<std::string> arguments{METERD_CTL,  "--socket", directory_ / "none", "statement", file_,
                                           "--invoice", "i"};
  auto done = run_bound_by_modes(arguments);
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(unwrapped(done.err), HasSubstr(".part is in the way and cannot be opened: Permission denied."));
  EXPECT_TRUE(fs::exists(part_));
  fs::permissions(part_, fs::perms(0400));
  done = run_bound_by_modes(arguments);
  EXPECT_EQ(done.exit_code, 3) << "no daemon: " << done.err;
  EXPECT_FALSE(fs::exists(part_));
}

TEST_F(MeterctlFile, IsNotWhatSomebodyPutInThePlaceOfItsPart) {
  write(file_, "the last good one");
  auto reply = pdf();
  reply.first = [&] {
    fs::remove(part_);
    write(part_, "%PDF-1.4 somebody else's");
  };
  const auto done = run({reply}, {"statement", file_, "--invoice", "i"});
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(unwrapped(done.err), HasSubstr(".part was replaced while it was being written."));
  EXPECT_EQ(read(file_), "the last good one");
  EXPECT_EQ(read(part_), "%PDF-1.4 somebody else's");
}

TEST_F(MeterctlFile, NamesWhatElseIsInTheWayOfItsPart) {
  fs::create_directories(part_);
  const auto done = save(file_);
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(unwrapped(done.err), HasSubstr(".part is in the way: it is a directory. Remove it."));
  EXPECT_THAT(requests_, SizeIs(0));
  EXPECT_TRUE(fs::is_directory(part_));
}

}  // namespace
}  // namespace meterd::test
