// The worked example of agent/journal/FORMAT.md, byte for byte, in the code, here and in the document. A
// change here is a change of the format.
#include <cstdio>
#include <sstream>

#include "agent/journal/migrate.hpp"
#include "agent/journal/records.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::HasSubstr;

constexpr const char* kBalanceKey = "428000512b0762696c6c696e67057375625f3107736d732d757364";
constexpr const char* kBalanceValue =
    "bef401ad0a0431322e351203322e3518012080e3cb99a03428999a8ed80632035554433801420231307807";
constexpr const char* kSealDueKey = "44800000006b038d198000512b0762696c6c696e67057375625f3107736d732d757364";
constexpr const char* kSealDueValue = "d2a764de";

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += two;
  }
  return out;
}

std::string document() {
  const std::string text = file_bytes(METERD_FORMAT);
  EXPECT_FALSE(text.empty()) << METERD_FORMAT;
  return text;
}

// The hex blocks of the document's last section: indented lines, up to two spaces in a row where the remark
// begins.
std::vector<std::string> documented_blocks() {
  const std::string text = document();
  std::istringstream lines(text.substr(text.find("## Worked example")));
  std::vector<std::string> blocks;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("    ")) {
      inside = false;
      continue;
    }
    if (!inside) blocks.emplace_back();
    inside = true;
    std::string bytes = line.substr(4, line.find("  ", 4) - 4);
    std::erase(bytes, ' ');
    blocks.back() += bytes;
  }
  return blocks;
}

Balance example() {
  Balance b;
  b.accepted = q("12.5");
  b.open = q("2.5");
  b.events = 7;
  b.open_events = 1;
  b.opened_at_ms = 1'795'350'000'000;
  b.seal_due_s = 1'795'394'841;
  b.zone = "UTC";
  b.next_revision = 1;
  b.waiting = q("10");
  return b;
}

TEST(JournalFormat, IsTheNumberThatItsDocumentBeginsWith) {  // packages read it there
  EXPECT_THAT(document(),
              ::testing::StartsWith("# The journal's format, number " + std::to_string(kFormat) + "\n"));
}

TEST(FormatExample, IsWhatTheCodeWrites) {
  const auto key = balance_key(bucket());
  EXPECT_EQ(hex(key), kBalanceKey);
  EXPECT_EQ(hex(wrap(key, encode(example()))), kBalanceValue);
  const auto due = seal_due_key(1'795'394'841, bucket());
  EXPECT_EQ(hex(due), kSealDueKey);
  EXPECT_EQ(hex(wrap(due, "")), kSealDueValue);
}

TEST(FormatExample, IsWhatTheDocumentShows) {
  EXPECT_THAT(documented_blocks(),
              ::testing::ElementsAre(kBalanceKey, kBalanceValue, kSealDueKey, kSealDueValue));
}

TEST(FormatExample, ReadsBack) {
  EXPECT_TRUE(example().holds());
  const auto payload = encode(example());
  const auto back = must(decode_balance(payload));
  EXPECT_EQ(encode(back), payload);
  EXPECT_EQ(back.accepted, q("12.5"));
  EXPECT_EQ(rfc3339(WallTime::from_seconds(back.seal_due_s)), "2026-11-23T00:47:21Z");
  EXPECT_EQ(rfc3339(WallTime{Milliseconds(back.opened_at_ms)}), "2026-11-22T12:20:00Z");
}

TEST(FormatDocument, ListsEveryKindOnce) {
  struct Row {
    const char* name;
    Kind kind;
  };
  const std::string whole = document();
  const std::string text = whole.substr(0, whole.find("The messages are in"));
  std::size_t rows = 0;
  for (const auto& row : std::vector<Row>{{"stamp", Kind::stamp},
                                          {"balance", Kind::balance},
                                          {"counter", Kind::counter},
                                          {"seal_due", Kind::seal_due},
                                          {"id_block", Kind::id_block},
                                          {"key_expiry", Kind::key_expiry},
                                          {"general", Kind::general},
                                          {"history", Kind::history},
                                          {"usage_id", Kind::usage_id},
                                          {"idempotency_key", Kind::idempotency_key},
                                          {"invoice", Kind::invoice},
                                          {"invoiced", Kind::invoiced},
                                          {"audit", Kind::audit},
                                          {"slice", Kind::slice},
                                          {"outbox", Kind::outbox},
                                          {"producer", Kind::producer},
                                          {"listed", Kind::listed},
                                          {"subscription", Kind::subscription},
                                          {"upstream", Kind::upstream},
                                          {"taken_date", Kind::taken_date},
                                          {"usage", Kind::usage},
                                          {"by_subscription", Kind::by_subscription},
                                          {"carry", Kind::carry},
                                          {"set_aside", Kind::set_aside},
                                          {"source_gaps", Kind::source_gaps}}) {
    std::string cell = std::string("| ") + row.name;
    cell.resize(18, ' ');
    EXPECT_THAT(text, HasSubstr(cell + "| `'" + static_cast<char>(row.kind) + "'"));
    ++rows;
  }
  std::size_t listed = 0;
  for (auto at = text.find("| `'"); at != std::string::npos; at = text.find("| `'", at + 1)) ++listed;
  EXPECT_EQ(listed, rows);
}

// The number of a field never changes, and what a usage keeps of its credits is optional: one that was
// written before there were any reads as having none.
TEST(FormatOfUsages, KeepsCreditsInFieldsOfTheirOwn) {
  v0::Usage usage;
  usage.set_credit_of(7);
  usage.set_credited("2.5");
  usage.set_resent(true);
  EXPECT_EQ(hex(usage.SerializeAsString()),
            "c80201"
            "d00207"
            "da0203322e35");
  ASSERT_TRUE(usage.ParseFromString(""));
  EXPECT_EQ(usage.credit_of(), 0U);
  EXPECT_EQ(usage.credited(), "");
  for (const char* told : {"`Usage.credit_of`", "`Usage.credited`", "`Usage.resent`"})
    EXPECT_THAT(document(), HasSubstr(told));
}

class FormatOfARealJournal : public JournalTest {};

TEST_F(FormatOfARealJournal, HoldsItsRecordsUnderTheDocumentedKeys) {
  open();
  step([&](WriteTransaction& w) {
    must(w.add(bucket(), tally("10", 6), opening()));
    seal(w, bucket());
    must(w.add(bucket(), tally("2.5"), {WallTime{Milliseconds(1'795'350'000'000)}, 1'795'394'841, "UTC"}));
  });
  EXPECT_EQ(hex(get_raw(balance_key(bucket()))), kBalanceValue);
  EXPECT_EQ(hex(get_raw(seal_due_key(1'795'394'841, bucket()))), kSealDueValue);
  std::string kinds;
  auto txn = must(journal_->begin_read());
  must(txn.scan("", "", [&](std::string_view key, std::string_view value) {
    EXPECT_TRUE(unwrap(key, value).ok());
    kinds.push_back(key.front());
    return true;
  }));
  EXPECT_EQ(kinds, "ABDGIORSTUV");
}

TEST_F(FormatOfARealJournal, BeginsWithStampAndGeneral) {
  open();
  v0::Stamp stamp;
  const auto raw = get_raw("A");
  ASSERT_TRUE(stamp.ParseFromString(std::string(must(unwrap("A", raw)))));
  EXPECT_EQ(stamp.format(), 1U);
  EXPECT_EQ(stamp.needs(), kFormatNeeds);
  EXPECT_EQ(stamp.word_bits(), sizeof(void*) * 8);
  EXPECT_EQ(stamp.byte_order(), 0x01020304U);
  EXPECT_EQ(stamp.epoch(), journal_->epoch());
  v0::General general;
  const auto state = get_raw("G");
  ASSERT_TRUE(general.ParseFromString(std::string(must(unwrap("G", state)))));
  EXPECT_EQ(general.next_sequence(), 1U);
  EXPECT_EQ(general.boot_number(), 1U);
  EXPECT_EQ(general.boot_id(), "boot-1");
}

}  // namespace
}  // namespace meterd::journal
