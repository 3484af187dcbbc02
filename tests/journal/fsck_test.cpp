// fsck and its salvage: whatever page is damaged, what is left becomes a journal that adds up, bills nothing
// by itself, and gives no number, revision or id a second time.
#include "agent/journal/fsck.hpp"

#include <filesystem>

#include "agent/journal/records.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class JournalFsck : public JournalTest {
 protected:
  std::string data() const { return options_.directory + "/data.mdb"; }
  std::string salvaged() const { return directory_ / "salvaged"; }

  void SetUp() override {
    options_.file_check = FileCheck::here;
    open();
    for (int i = 0; i < 150; ++i) {
      const auto item = "item-" + std::to_string(i);
      step_quietly([&](WriteTransaction& w) {
        must(w.add(bucket(item.c_str()), tally("1.5"), opening()));
        const auto sequence = seal(w, bucket(item.c_str()));
        if (i % 2 == 0) must(w.deliver(sequence, "r", now()));
        must(w.add(bucket(item.c_str(), "2026-11-23"), tally("2"), opening(6'000 + i)));
      });
    }
    before_ = report();
    next_sequence_ = stored_general().next_sequence();
    journal_.reset();
    whole_ = file_bytes(data());
  }
  template <class Verbs>
  void step_quietly(Verbs&& verbs) {
    auto write = begin();
    verbs(write);
    must(write.commit());
  }
  v0::General stored_general() const {
    v0::General out;
    EXPECT_TRUE(out.ParseFromString(std::string(must(unwrap(general_key(), get_raw(general_key()))))));
    return out;
  }

  void damage_page(std::uint64_t page, std::size_t at) {
    auto bytes = whole_;
    auto& byte = bytes[page * 4'096 + at];
    byte = static_cast<char>(byte ^ 0x10);
    write_file(data(), bytes);
  }

  CheckReport before_;
  std::uint64_t next_sequence_ = 0;
  std::string whole_;
};

TEST_F(JournalFsck, FindsNothingWrongWithASoundJournal) {
  const auto found = must(examine(data()));
  EXPECT_TRUE(found.is_sound());
  EXPECT_EQ(found.check.usages, 150U);
  EXPECT_GT(found.pages.records, 900U);
}

TEST_F(JournalFsck, SaysWhatADamagedPageHeldAndWhichRecordsCannotBeRead) {
  const auto report = must(walk_pages(must(PageFile::open(data()))));
  std::size_t with_loss = 0;
  for (std::uint64_t page = kMetaPages; page < report.reached.size(); ++page) {
    if (!report.reached[page]) continue;
    damage_page(page, 0);  // its own number
    const auto found = must(examine(data()));
    ASSERT_EQ(found.pages.damage.size(), 1U) << page;
    EXPECT_EQ(found.pages.damage.front().page, page);
    const auto loss = describe_loss(found.pages.damage.front());
    with_loss += loss.starts_with("records from ") ? 1U : 0U;
  }
  EXPECT_GT(with_loss, 10U);
}

TEST_F(JournalFsck, NamesTheRecordsThatCannotBeRead) {
  open();
  auto value = get_raw(balance_key(bucket("item-77")));
  value.back() = static_cast<char>(value.back() ^ 1);
  put_raw(balance_key(bucket("item-77")), value);
  journal_.reset();
  const auto found = must(examine(data()));
  EXPECT_FALSE(found.is_sound());
  EXPECT_THAT(found.unreadable, ElementsAre("balance of billing/sub_1/item-77/2026-11-22"));
}

// For each page in use: all of it is found again but what stood on that page, and often that too.
TEST_F(JournalFsck, SalvagesAJournalThatAddsUpWhateverPageIsDamaged) {
  const auto report = must(walk_pages(must(PageFile::open(data()))));
  std::size_t complete = 0;
  std::size_t tried = 0;
  for (std::uint64_t page = kMetaPages; page < report.reached.size(); ++page) {
    if (!report.reached[page]) continue;
    damage_page(page, page % 2 == 0 ? 0 : 8);  // its number, or a bound
    const auto damaged = file_bytes(data());
    std::filesystem::remove_all(salvaged());
    const auto found = must(salvage(data(), salvaged()));
    ++tried;
    EXPECT_TRUE(file_bytes(data()) == damaged) << "the original stays as it is";
    EXPECT_THAT(found.check.problems, IsEmpty()) << "page " << page;
    EXPECT_LE(found.check.accepted, before_.accepted);
    EXPECT_EQ(found.check.accepted,
              found.check.open + found.check.waiting + found.check.delivered + found.check.set_aside);
    complete += found.check.accepted == before_.accepted && found.check.usages == before_.usages ? 1U : 0U;

    options_.directory = salvaged();
    open();
    EXPECT_THAT(journal_->found_copied(), HasSubstr("restored")) << "it is held until it is reconciled";
    EXPECT_GE(stored_general().next_sequence(), next_sequence_);
    expect_sound();
    journal_.reset();
    options_.directory = directory_ / "journal";
  }
  EXPECT_GT(tried, 20U);
  EXPECT_GT(complete, 2U);
}

TEST_F(JournalFsck, TakesNoPageOfAnEarlierCommitForAPresentOne) {
  // Everything is delivered after what the file's free pages still show as waiting.
  open();
  for (std::uint64_t sequence = 1; sequence <= 150; ++sequence)
    if (state(sequence) == UsageState::waiting)
      step_quietly([&](WriteTransaction& w) { must(w.deliver(sequence, "r", now())); });
  journal_.reset();
  whole_ = file_bytes(data());
  const auto report = must(walk_pages(must(PageFile::open(data()))));
  for (std::uint64_t page = kMetaPages; page < report.reached.size(); ++page) {
    if (!report.reached[page]) continue;
    damage_page(page, 0);
    std::filesystem::remove_all(salvaged());
    const auto found = must(salvage(data(), salvaged()));
    EXPECT_TRUE(found.check.waiting.is_zero()) << "page " << page << " brought a delivered usage back";
  }
}

class JournalFsckWithoutStamp : public JournalFsck {
 protected:
  // Zeroes the page that the stamp is on.
  void lose_stamp() {
    const auto report = must(walk_pages(must(PageFile::open(data()))));
    for (std::uint64_t page = kMetaPages; page < report.reached.size(); ++page) {
      auto bytes = file_bytes(data());
      if (!report.reached[page] || bytes.substr(page * 4'096, 4'096).find(stamp_value_) == std::string::npos)
        continue;
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(page * 4'096), 4'096, '\0');
      return write_file(data(), bytes);
    }
    FAIL() << "no page has the stamp";
  }
  void SetUp() override {
    JournalFsck::SetUp();
    open();
    stamp_value_ = get_raw(stamp_key());
    epoch_ = journal_->epoch();
    // The page with the stamp is written once more: the former one stays until it is used again.
    step_quietly([&](WriteTransaction& w) { must(w.add(bucket("item-0"), tally("1"), opening())); });
    journal_.reset();
  }
  void expect_same_epoch() {
    options_.directory = salvaged();
    open();
    EXPECT_EQ(journal_->epoch(), epoch_);
    expect_sound();
  }
  std::string stamp_value_;
  std::string epoch_;
};

TEST_F(JournalFsckWithoutStamp, FindsItOnAPageOfAnEarlierCommit) {
  std::filesystem::remove(options_.directory + "/meterd.lock");
  lose_stamp();
  EXPECT_TRUE(must(salvage(data(), salvaged())).stamp_was_lost);
  expect_same_epoch();
}

TEST_F(JournalFsckWithoutStamp, TakesTheEpochFromTheMarkAndElseMakesNoJournal) {
  auto bytes = file_bytes(data());
  for (auto at = bytes.find(stamp_value_); at != std::string::npos; at = bytes.find(stamp_value_))
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
  write_file(data(), bytes);
  EXPECT_TRUE(must(salvage(data(), salvaged())).stamp_was_lost);
  expect_same_epoch();
  journal_.reset();

  options_.directory = directory_ / "journal";
  std::filesystem::remove(options_.directory + "/meterd.lock");
  std::filesystem::remove_all(salvaged());
  EXPECT_THAT(salvage(data(), salvaged()).error().message, HasSubstr("stamp"));
  EXPECT_FALSE(std::filesystem::exists(salvaged())) << "what was left half made could pass for a journal";
  std::filesystem::create_directories(salvaged());
  EXPECT_EQ(salvage(data(), salvaged() + "/a/b").error().code, Code::corrupt);
  EXPECT_EQ(salvage(data(), salvaged()).error().code, Code::corrupt);
  EXPECT_TRUE(std::filesystem::is_empty(salvaged())) << "and what was there stays";
}

TEST_F(JournalFsck, SalvagesIntoAnEmptyDirectoryOnly) {
  std::filesystem::create_directories(salvaged());
  write_file(salvaged() + "/something", "x");
  EXPECT_EQ(salvage(data(), salvaged()).error().code, Code::rejected);
  EXPECT_EQ(file_bytes(salvaged() + "/something"), "x");
}

TEST_F(JournalFsck, SalvagesWithOneMetaPageAndSaysThatACommitMayBeMissing) {
  constexpr std::size_t kMagicAt = sizeof(void*) + 8;  // behind the page's header
  damage_page(1, kMagicAt);
  const auto found = must(salvage(data(), salvaged()));
  EXPECT_TRUE(found.may_lack_last_commit);
  EXPECT_THAT(found.check.problems, IsEmpty());
  auto bytes = file_bytes(data());
  bytes[kMagicAt] = static_cast<char>(bytes[kMagicAt] ^ 1);
  write_file(data(), bytes);
  EXPECT_EQ(examine(data()).error().code, Code::corrupt);
}

}  // namespace
}  // namespace meterd::journal
