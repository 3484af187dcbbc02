// The built meterctl: backup into a file that is whole or not there, and restore that refuses what is no
// backup.
#include "tests/ctl/meterctl_test.hpp"

namespace meterd::test {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

class MeterctlBackup : public MeterctlTest {
 protected:
  void write(const std::string& path, const std::string& text) const { std::ofstream(path) << text; }
  static FakeDaemon::Reply chunks(const std::string& body, const std::string& end) {
    return FakeDaemon::bytes(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n" +
        body + end);
  }

  std::string file_ = (directory_ / "backup").string();
};

TEST_F(MeterctlBackup, ThatIsCutShortLeavesTheOldOneAndNothingElse) {
  write(file_, "the last good one");
  const auto done = run({chunks("5\r\nhello\r\n", "")}, {"backup", file_});
  EXPECT_EQ(done.exit_code, 3);
  EXPECT_EQ(done.out, "");
  EXPECT_EQ(read(file_), "the last good one");
  EXPECT_FALSE(std::filesystem::exists(file_ + ".part"));
  EXPECT_THAT(requests_.at(0), StartsWith("GET /operator/backup "));
}

TEST_F(MeterctlBackup, ThatIsWholeAndNoJournalIsRefusedToo) {
  write(file_, "the last good one");
  const auto done = run({chunks("5\r\nhello\r\n", "0\r\n\r\n")}, {"backup", file_});
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, HasSubstr("the copy is no good"));
  EXPECT_EQ(read(file_), "the last good one");
  EXPECT_FALSE(std::filesystem::exists(file_ + ".part"));
}

TEST_F(MeterctlBackup, ThatShallBePortableAsksForItAndTakesNothingElse) {
  write(file_, "the last good one");
  const auto done = run({chunks("5\r\nhello\r\n", "0\r\n\r\n")}, {"backup", "--portable", file_});
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, HasSubstr("no portable backup"));
  EXPECT_THAT(requests_.at(0), StartsWith("GET /operator/backup?form=portable "));
  EXPECT_EQ(read(file_), "the last good one");
}

TEST_F(MeterctlBackup, ThatTheDaemonRefusesSaysWhy) {
  const auto refusal =
      FakeDaemon::json(R"({"error":{"code":"retry","message":"another backup is being taken"}})", 503);
  const auto done = run({refusal}, {"backup", file_});
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, HasSubstr("another backup is being taken"));
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(MeterctlBackup, ThatCannotBeWrittenAsksNobody) {
  const auto done = run({}, {"backup", (directory_ / "nowhere" / "file").string()});
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(requests_, SizeIs(0));
}

TEST_F(MeterctlBackup, IsNotRestoredIfItIsNone) {
  const auto to = (directory_ / "new" / "journal").string();
  const std::string stream("meterd-portable\n\1", 17);
  for (const auto& text :
       {std::string(), std::string("hello"), std::string(100'000, 'x'), stream, stream + "x"}) {
    write(file_, text);
    const auto done = run({}, {"restore", file_, "--directory", to});
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.err, HasSubstr("no backup"));
    EXPECT_FALSE(std::filesystem::exists(directory_ / "new"));
  }
}

TEST_F(MeterctlBackup, ThatIsNoneLeavesADirectoryAsItWas) {
  const auto to = (directory_ / "journal").string();
  std::filesystem::create_directories(to);
  write(file_, "hello");
  EXPECT_EQ(run({}, {"restore", file_, "--directory", to}).exit_code, 1);
  EXPECT_TRUE(std::filesystem::is_empty(to));
  const std::string mark = "a meterd journal is kept here\n";  // and is lost
  write(to + "/meterd.lock", mark);
  EXPECT_EQ(run({}, {"restore", file_, "--directory", to}).exit_code, 1);
  EXPECT_EQ(read(to + "/meterd.lock"), mark);
  EXPECT_FALSE(std::filesystem::exists(to + "/data.mdb.part"));
}

TEST_F(MeterctlBackup, IsNotBlamedForWhatIsWrongWithTheMachine) {
  const auto to = (directory_ / "journal").string();
  std::filesystem::create_directories(to + "/making/in the way");
  write(file_, std::string("meterd-portable\n\1", 17));
  const auto done = run({}, {"restore", file_, "--directory", to});
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, HasSubstr("cannot make"));
  EXPECT_THAT(done.err, ::testing::Not(HasSubstr("no backup")));
}

TEST_F(MeterctlBackup, IsNotRestoredOverAJournal) {
  const auto to = (directory_ / "journal").string();
  std::filesystem::create_directories(to);
  write(to + "/data.mdb", "a journal");
  write(file_, "hello");
  const auto done = run({}, {"restore", file_, "--directory", to});
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, HasSubstr("there already"));
  EXPECT_EQ(read(to + "/data.mdb"), "a journal");
}

}  // namespace
}  // namespace meterd::test
