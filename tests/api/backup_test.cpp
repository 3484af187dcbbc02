// The journal as a stream, beside a journal at work.
#include "agent/api/backup.hpp"

#include <boost/asio/co_spawn.hpp>

#include "agent/journal/portable.hpp"
#include "tests/ingest/bench.hpp"
#include "tests/ingest/wire.hpp"

namespace meterd::api {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() { make_backups(); }
  void make_backups() {
    backups_ = std::make_unique<Backups>(Backups::Dependencies{bench_.loop().get_executor(), bench_.journal(),
                                                               bench_.clock(), bench_.log,
                                                               [this] { return short_of_room_; }});
  }
  void count(int times) {
    for (int i = 0; i < times; ++i) {
      ASSERT_FALSE(bench_.sms("1", "sub_" + std::to_string(i)).refusal);
      ASSERT_TRUE(bench_.commit());
    }
  }
  // A result has no default value, which a completion needs.
  static boost::asio::awaitable<std::optional<Result<std::string>>> copied(BodyStream& stream) {
    const auto piece = co_await stream.next();
    if (!piece) co_return piece.error();
    co_return std::string(*piece);
  }
  // One piece, as a text; "" is the end.
  Result<std::string> next(BodyStream& stream) {
    std::optional<Result<std::string>> out;
    boost::asio::co_spawn(
        bench_.loop(), copied(stream),
        [&](const std::exception_ptr&, std::optional<Result<std::string>> piece) { out = std::move(piece); });
    EXPECT_TRUE(test::run_until(bench_.loop(), [&] { return out.has_value(); }));
    if (!out) return Error{Code::io, "nothing came"};
    return std::move(*out);
  }
  Result<std::string> rest(BodyStream& stream) {
    std::string all;
    for (;;) {
      auto piece = next(stream);
      if (!piece) return piece;
      if (piece->empty()) return all;
      all += *piece;
    }
  }
  journal::Inspection inspected(const std::string& bytes) const {
    const auto path = directory_ / "backup.mdb";
    journal::write_file(path, bytes);
    return test::must(journal::inspect_file(path));
  }

  journal::TempDirectory directory_;
  test::Bench bench_;
  bool short_of_room_ = false;
  std::unique_ptr<Backups> backups_;
};

TEST_F(BackupTest, IsTheJournalAsItWasCommittedWhenItBegan) {
  count(20);
  const auto stream = test::must(backups_->begin());
  const auto copy = inspected(test::must(rest(*stream)));
  EXPECT_EQ(copy.report.accepted.text(), "20");
  EXPECT_THAT(copy.report.problems, IsEmpty());
  EXPECT_EQ(copy.epoch, bench_.journal().epoch());
  EXPECT_THAT(bench_.log.text, HasSubstr("backup_taken"));
}

TEST_F(BackupTest, IsAStreamForEveryMachineWhereThatIsAskedFor) {
  count(600);  // more than a pipe holds
  const auto stream = test::must(backups_->begin(journal::CopyForm::portable));
  const auto first = test::must(next(*stream));
  count(5);
  const auto path = directory_ / "backup.portable";
  journal::write_file(path, first + test::must(rest(*stream)));
  const auto to = directory_ / "imported";
  std::filesystem::create_directories(to);
  test::must(journal::import_portable(path, to));
  const auto copy = test::must(journal::inspect_file(to + "/data.mdb"));
  EXPECT_EQ(copy.report.accepted.text(), "600");
  EXPECT_THAT(copy.report.problems, IsEmpty());
  EXPECT_EQ(copy.epoch, bench_.journal().epoch());
}

TEST_F(BackupTest, CommitsGoOnWhileItsReaderStandsStill) {
  count(600);  // more than a pipe holds
  const auto stream = test::must(backups_->begin());
  const auto first = test::must(next(*stream));
  ASSERT_FALSE(first.empty());
  const auto before = bench_.commits();
  count(50);  // each is durable when commit() returns
  EXPECT_EQ(bench_.commits(), before + 50);
  const auto copy = inspected(first + test::must(rest(*stream)));
  EXPECT_EQ(copy.report.accepted.text(), "600");
  EXPECT_THAT(copy.report.problems, IsEmpty());
  bench_.expect_sound();
}

TEST_F(BackupTest, OneIsTakenAtATime) {
  count(600);
  auto stream = test::must(backups_->begin());
  const auto second = backups_->begin();
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Code::retry);
  stream.reset();  // its reader has gone: the copier's pipe breaks
  EXPECT_TRUE(test::run_until(bench_.loop(), [&] {
    auto third = backups_->begin();
    return third.ok();
  }));
  EXPECT_THAT(bench_.log.text, HasSubstr("backup_cut"));
}

TEST_F(BackupTest, HasTenMinutes) {
  count(600);
  const auto stream = test::must(backups_->begin());
  ASSERT_TRUE(next(*stream).ok());
  bench_.advance(Milliseconds(Backups::kTimeMax.count() - 1));
  ASSERT_TRUE(next(*stream).ok());
  bench_.advance(Milliseconds(1));
  const auto late = next(*stream);
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, Code::cancelled);
}

TEST_F(BackupTest, GivesWayWhenTheJournalRunsShortOfRoomAndNotWhenItWasBefore) {
  count(600);
  {
    const auto stream = test::must(backups_->begin());
    ASSERT_TRUE(next(*stream).ok());
    short_of_room_ = true;
    EXPECT_FALSE(next(*stream).ok());
  }
  backups_.reset();
  make_backups();
  const auto stream = test::must(backups_->begin());
  EXPECT_TRUE(rest(*stream).ok());
}

TEST_F(BackupTest, ClosingCutsItAndWaitsForItsThread) {
  count(600);
  const auto stream = test::must(backups_->begin());
  ASSERT_TRUE(next(*stream).ok());
  backups_->close();
  EXPECT_FALSE(rest(*stream).ok());
  EXPECT_FALSE(backups_->begin().ok());
  backups_.reset();
}

}  // namespace
}  // namespace meterd::api
