// The portable stream: what one machine writes another reads, whole or not at all. A machine of another word
// size is played by a stamp and a file that say so.
#include "agent/journal/portable.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "agent/journal/records.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PortableStream : public JournalTest {
 protected:
  std::string stream() const { return directory_ / "stream"; }
  std::string imported() const { return directory_ / "imported"; }
  std::string data() const { return options_.directory + "/data.mdb"; }

  Status write_stream() const {
    const int fd = ::open(stream().c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    EXPECT_GE(fd, 0);
    auto written = journal_->copy_to(fd, CopyForm::portable);
    ::close(fd);
    return written;
  }
  Status import() const {
    std::filesystem::remove_all(imported());
    std::filesystem::create_directories(imported());
    return import_portable(stream(), imported());
  }
  using Records = std::vector<std::pair<std::string, std::string>>;
  static Records records_of(const Transaction& txn) {
    Records out;
    must(txn.scan("", "", [&](auto key, auto value) {
      out.emplace_back(key, value);
      return true;
    }));
    return out;
  }
  void fill(int series_count) {
    for (int i = 0; i < series_count; ++i)
      step([&](WriteTransaction& w) {
        must(w.add(bucket(("i" + std::to_string(i)).c_str()), tally("1"), opening()));
      });
  }
  // As if a machine of another word size had written it.
  void make_foreign() {
    auto txn = must(journal_->begin_write());
    auto stamp = must(load<v0::Stamp>(txn, stamp_key())).value();
    stamp.set_word_bits(96 - sizeof(void*) * 8);
    must(store(txn, stamp_key(), stamp));
    must(txn.commit());
  }
};

TEST_F(PortableStream, BecomesAJournalOfThisMachineWithEveryRecord) {
  open();
  fill(300);
  const auto epoch = journal_->epoch();
  auto before = records_of(must(journal_->begin_read()));
  make_foreign();
  must(write_stream());
  EXPECT_EQ(must(read_portable(stream())), before.size());
  must(import());

  const auto found = must(inspect_file(imported() + "/data.mdb"));  // it refuses a stamp of another machine
  EXPECT_EQ(found.epoch, epoch);
  EXPECT_EQ(found.report.open, q("300"));
  EXPECT_THAT(found.report.problems, IsEmpty());
  auto environment = must(Environment::open_read_only(imported() + "/data.mdb"));
  EXPECT_EQ(records_of(must(environment->begin_read())), before);
}

TEST_F(PortableStream, KeepsLargeValuesAndUnreadableRecordsAsTheyAre) {
  open();
  put_raw("U-large", std::string(200'000, 'x'));  // no such record has a checksum
  const auto before = records_of(must(journal_->begin_read()));
  must(write_stream());
  must(import());
  auto environment = must(Environment::open_read_only(imported() + "/data.mdb"));
  EXPECT_EQ(environment->unreadable_records(), 1U);
  EXPECT_EQ(records_of(must(environment->begin_read())), before);
}

TEST_F(PortableStream, ThatIsCutShortAnywhereIsRefused) {
  open();
  fill(3);
  must(write_stream());
  const auto whole = file_bytes(stream());
  for (std::size_t keep = 0; keep < whole.size(); ++keep) {
    write_file(stream(), whole.substr(0, keep));
    const auto read = read_portable(stream());
    ASSERT_FALSE(read.ok()) << keep;
    EXPECT_EQ(read.error().code, Code::corrupt);
  }
  EXPECT_FALSE(import().ok());
  write_file(stream(), whole + "x");
  EXPECT_FALSE(read_portable(stream()).ok());
  write_file(stream(), whole);  // the control
  EXPECT_TRUE(read_portable(stream()).ok());
}

TEST_F(PortableStream, WithAnyByteChangedIsRefused) {
  open();
  fill(3);
  must(write_stream());
  const auto whole = file_bytes(stream());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    write_file(stream(), damaged);
    EXPECT_FALSE(read_portable(stream()).ok()) << at;
  }
}

TEST_F(PortableStream, OfANewerMeterdIsRefusedAndSaysSo) {
  open();
  must(write_stream());
  auto bytes = file_bytes(stream());
  bytes[std::string_view("meterd-portable\n").size()] = 2;
  write_file(stream(), bytes);
  const auto read = read_portable(stream());
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(read.error().message, HasSubstr("newer meterd"));
}

TEST_F(PortableStream, WhoseRecordsAreOutOfOrderIsRefused) {
  open();
  must(write_stream());
  // The journal's records behind the stamp once more, under a right count and a right checksum.
  const auto whole = file_bytes(stream());
  const auto body = whole.substr(0, whole.size() - 14);
  const auto second = body.substr(std::string_view("meterd-portable\n").size() + 1);
  auto twice = body + second;
  const auto count = must(read_portable(stream())) * 2;
  for (int shift = 72; shift >= 0; shift -= 8)  // 0:u16 count:u64
    twice.push_back(shift >= 64 ? '\0' : static_cast<char>(count >> static_cast<unsigned>(shift) & 255U));
  const auto checksum = crc32c(twice);
  for (int shift = 24; shift >= 0; shift -= 8)
    twice.push_back(static_cast<char>(checksum >> static_cast<unsigned>(shift) & 255U));
  write_file(stream(), twice);
  ASSERT_TRUE(read_portable(stream()).ok());
  const auto done = import();
  ASSERT_FALSE(done.ok());
  EXPECT_THAT(done.error().message, HasSubstr("out of order"));
}

TEST_F(PortableStream, WhoseReaderHasGoneEnds) {
  open();
  fill(50);
  for (int i = 0; i < 20; ++i) put_raw("U" + std::to_string(i), std::string(10'000, 'x'));
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ::close(ends[0]);
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  const auto written = journal_->copy_to(ends[1], CopyForm::portable);
  std::signal(SIGPIPE, before);
  ::close(ends[1]);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, Code::cancelled);
}

// What a machine of the other word size leaves as its first page: LMDB's header and meta page.
std::string foreign_file() {
  const std::size_t word = 12 - sizeof(void*);
  std::string out(8'192, '\0');
  const auto put = [&](std::size_t at, std::uint64_t value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) out[at + i] = static_cast<char>(value >> (8 * i) & 255U);
  };
  const std::size_t meta = word + 8;
  put(word + 2, 0x08, 2);
  put(meta, 0xBEEFC0DE, 4);
  put(meta + 4, 1, 4);
  put(meta + 8 + 2 * word, 4'096, 4);
  return out;
}

TEST_F(PortableStream, IsWhatTheRefusalOfAnotherWordSizeNames) {
  std::filesystem::create_directories(options_.directory);
  write_file(data(), foreign_file());
  const auto opened = try_open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, Code::invalid);
  EXPECT_THAT(opened.error().message, HasSubstr(std::to_string(96 - sizeof(void*) * 8) + "-bit words"));
  EXPECT_THAT(opened.error().message, HasSubstr("meterctl backup --portable"));
  EXPECT_EQ(file_bytes(data()), foreign_file());
}

}  // namespace
}  // namespace meterd::journal
