// meterctl fsck as a technician runs it: on a directory, without a daemon.
#include <filesystem>

#include "agent/journal/page_walk.hpp"
#include "agent/journal/schema.hpp"
#include "tests/ctl/program.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class MeterctlFsck : public JournalTest {
 protected:
  void SetUp() override {
    open();
    for (int i = 0; i < 60; ++i) waiting_usage(("item-" + std::to_string(i)).c_str());
    journal_.reset();
  }
  std::string data() const { return options_.directory + "/data.mdb"; }
  test::Finished fsck(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all{METERD_CTL, "fsck", "--directory", options_.directory};
    all.insert(all.end(), more.begin(), more.end());
    return test::run_program(all);
  }
  void damage(std::size_t offset) {
    auto bytes = file_bytes(data());
    bytes[offset] = static_cast<char>(bytes[offset] ^ 1);
    write_file(data(), bytes);
  }
  std::uint64_t some_page_in_use() const {
    const auto report = must(walk_pages(must(PageFile::open(data()))));
    for (std::uint64_t page = report.reached.size(); page-- > kMetaPages;)
      if (report.reached[page]) return page;
    return 0;
  }
};

TEST_F(MeterctlFsck, IsFineForASoundJournal) {
  const auto done = fsck();
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("Nothing is damaged"));
}

TEST_F(MeterctlFsck, SaysWhatWouldBeGoneWithTheJournal) {
  open();
  step([&](WriteTransaction& w) { must(w.add(bucket("sms-usd"), tally("2.5", 3), opening())); });
  const auto kept = waiting_usage("data-usd", "ledger");
  step([&](WriteTransaction& w) { must(w.deliver(kept, "r", now())); });
  journal_.reset();
  const auto done = fsck();
  EXPECT_THAT(done.out, HasSubstr("not delivered:\n  billing item-0: 1, of 1 usage and 0 open buckets\n"));
  EXPECT_THAT(done.out, HasSubstr("  billing sms-usd: 2.5, of 0 usages and 1 open bucket\n"));
  EXPECT_THAT(done.out, HasSubstr("in the device's own ledger:\n  ledger data-usd: 1\n"));
  EXPECT_THAT(done.out, Not(HasSubstr("billing data-usd")));
  EXPECT_THAT(fsck({"--json"}).out,
              HasSubstr(R"("item_price_id":"sms-usd","undelivered":"2.5","delivered":"0")"));
}

TEST_F(MeterctlFsck, IsFourForADamagedPageAndSaysWhatToDo) {
  damage(some_page_in_use() * 4'096);
  const auto before = file_bytes(data());
  const auto done = fsck();
  EXPECT_EQ(done.exit_code, 4) << done.err;
  EXPECT_THAT(done.out, HasSubstr("1 damaged place:\n"));
  EXPECT_THAT(done.out, HasSubstr("it has another page's number"));
  EXPECT_THAT(done.out, HasSubstr("--salvage"));
  EXPECT_TRUE(file_bytes(data()) == before);
  EXPECT_THAT(fsck({"--json"}).out, HasSubstr(R"("sound":false)"));
}

TEST_F(MeterctlFsck, NamesARecordThatFailsItsChecksumAndSaysThatTheDaemonStarts) {
  open();
  auto value = get_raw(balance_key(bucket("item-7")));
  value.back() = static_cast<char>(value.back() ^ 1);
  put_raw(balance_key(bucket("item-7")), value);
  journal_.reset();
  const auto done = fsck();
  EXPECT_EQ(done.exit_code, 4) << done.err;
  EXPECT_THAT(done.out, HasSubstr("balance of billing/sub_1/item-7/2026-11-22"));
  EXPECT_THAT(done.out, HasSubstr("meterd starts with this"));
}

TEST_F(MeterctlFsck, SalvagesIntoANewDirectoryThatOpensAsACopy) {
  damage(some_page_in_use() * 4'096);
  const auto into = directory_ / "new";
  const auto done = fsck({"--salvage", into});
  EXPECT_EQ(done.exit_code, 4) << done.err;
  EXPECT_THAT(done.out, HasSubstr("meterctl reconcile"));
  options_.directory = into;
  open();
  EXPECT_THAT(journal_->found_copied(), Not(IsEmpty()));
  expect_sound();
}

TEST_F(MeterctlFsck, LeavesNothingOfASalvageThatFailsAndSaysWhatToDo) {
  open();
  const auto stamp = get_raw(stamp_key());
  journal_.reset();
  auto bytes = file_bytes(data());
  for (auto at = bytes.find(stamp); at != std::string::npos; at = bytes.find(stamp))
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
  write_file(data(), bytes);
  std::filesystem::remove(options_.directory + "/meterd.lock");
  const auto into = directory_ / "new";
  const auto done = fsck({"--salvage", into});
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, HasSubstr("stamp is nowhere"));
  EXPECT_THAT(done.err, HasSubstr("meterctl restore"));
  EXPECT_FALSE(std::filesystem::exists(into));
}

TEST_F(MeterctlFsck, IsOneWhereNothingCanBeLookedAt) {
  open();  // as a running daemon has it
  EXPECT_THAT(fsck().err, HasSubstr("in use by another process"));
  EXPECT_EQ(fsck().exit_code, 1);
  journal_.reset();
  write_file(data(), std::string(40'960, 'x'));
  EXPECT_EQ(fsck().exit_code, 1);
  EXPECT_THAT(fsck().err, HasSubstr("restore the latest backup"));
  std::filesystem::remove(data());
  EXPECT_EQ(fsck().exit_code, 1);
  EXPECT_THAT(fsck().err, HasSubstr("no data.mdb"));
}

}  // namespace
}  // namespace meterd::journal
