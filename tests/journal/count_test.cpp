// Counting: buckets, slices, cursors and remembered ids.
#include "agent/journal/records.hpp"
#include "agent/journal/source_records.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class JournalAdd : public JournalTest {
 protected:
  void SetUp() override { open(); }
};

TEST_F(JournalAdd, AddsUpExactlyAndCountsEvents) {
  for (int i = 0; i < 10; ++i)
    step([&](WriteTransaction& w) { EXPECT_TRUE(must(w.add(bucket(), tally("0.1", 2), opening()))); });
  const auto b = balance_of(bucket());
  EXPECT_EQ(b.open, q("1"));
  EXPECT_EQ(b.accepted, q("1"));
  EXPECT_EQ(b.open_events, 20U);
  EXPECT_EQ(b.events, 20U);
  const auto rows = must(read_buckets(*journal_, 10));
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].key, bucket());
  EXPECT_EQ(rows[0].quantity, q("1"));
  EXPECT_EQ(rows[0].events, 20U);
}

TEST_F(JournalAdd, KeepsTheOpeningOfTheFirstEvent) {
  step([&](WriteTransaction& w) {
    must(w.add(bucket(), tally("1"), {WallTime::from_seconds(100), 500, "UTC"}));
  });
  step([&](WriteTransaction& w) {
    must(w.add(bucket(), tally("1"), {WallTime::from_seconds(900), 999, "Asia/Tokyo"}));
  });
  const auto b = balance_of(bucket());
  EXPECT_EQ(b.opened_at_ms, 100'000);
  EXPECT_EQ(b.seal_due_s, 500);
  EXPECT_EQ(b.zone, "UTC");
  EXPECT_EQ(count(prefix(Kind::seal_due)), 1U);
  EXPECT_EQ(must(read_next_seal(*journal_)), 500);
}

TEST_F(JournalAdd, KeepsBucketsApartByEachOfTheirFields) {
  step([&](WriteTransaction& w) {
    for (const auto& key : {bucket(), bucket("data-usd"), bucket("sms-usd", "2026-11-23"),
                            bucket("sms-usd", "2026-11-22", "marketplace")})
      must(w.add(key, tally("1"), opening()));
  });
  EXPECT_EQ(report().balances, 4U);
}

TEST_F(JournalAdd, RefusesToOutgrowFortyCharactersAndAddsNothing) {
  step([&](WriteTransaction& w) { must(w.add(bucket(), tally(std::string(40, '9')), opening())); });
  step([&](WriteTransaction& w) {
    EXPECT_FALSE(must(w.add(bucket(), tally("1"), opening())));
    EXPECT_FALSE(must(w.add(bucket(), tally("0.5"), opening())));
  });
  EXPECT_EQ(balance_of(bucket()).accepted, q(std::string(40, '9')));
  EXPECT_EQ(balance_of(bucket()).events, 1U);
  step([&](WriteTransaction& w) {  // sealed first, it goes on
    seal(w, bucket());
    EXPECT_TRUE(must(w.add(bucket(), tally("1"), opening())));
  });
  EXPECT_EQ(balance_of(bucket()).open, q("1"));
  EXPECT_EQ(balance_of(bucket()).accepted, q("1" + std::string(40, '0')));
}

// Nothing could ever seal such a bucket: each event fits, but their sum has 41 characters.
TEST_F(JournalAdd, RefusesATallyThatNoUsageCanHoldAndAddsNothing) {
  const meter::Tally wide{q("99999999999999999999") + q("0.0000000000000000001"), 2};
  ASSERT_EQ(wide.quantity.text().size(), 40U);
  const meter::Tally wider{wide.quantity + q("0.00000000000000000001"), 3};
  ASSERT_FALSE(wider.quantity.fits_usage());
  {
    auto write = begin();
    const auto added = write.add(bucket(), wider, opening());
    ASSERT_FALSE(added.ok());
    EXPECT_EQ(added.error().code, Code::invalid);
  }
  step([&](WriteTransaction& w) { EXPECT_TRUE(must(w.add(bucket(), wide, opening()))); });
  EXPECT_EQ(balance_of(bucket()).accepted, wide.quantity);
}

TEST_F(JournalAdd, IsLostWithATransactionThatIsNotCommitted) {
  { must(begin().add(bucket(), tally("1"), opening())); }
  EXPECT_EQ(report().balances, 0U);
  EXPECT_EQ(count(""), 2U);  // stamp and general
}

TEST_F(JournalAdd, ReportsABalanceThatFailsItsChecksumAsCorrupt) {
  step([&](WriteTransaction& w) { must(w.add(bucket(), tally("1"), opening())); });
  const auto key = balance_key(bucket());
  std::string value = get_raw(key);
  value[value.size() / 2] = static_cast<char>(value[value.size() / 2] ^ 0x10);
  put_raw(key, value);
  auto write = begin();
  EXPECT_EQ(write.add(bucket(), tally("1"), opening()).error().code, Code::corrupt);
  EXPECT_EQ(write.balance(bucket()).error().code, Code::corrupt);
  EXPECT_TRUE(write.add(bucket("data-usd"), tally("1"), opening()).ok()) << "the rest keeps running";
  EXPECT_EQ(read_balances(*journal_, 10).error().code, Code::corrupt);
}

class JournalSlices : public JournalAdd {};

TEST_F(JournalSlices, AddUpPerBootSecondAndSeriesAndGoByBoot) {
  step([&](WriteTransaction& w) {
    must(w.add_to_slice({2, 60, series()}, tally("0.1", 1), "UTC"));
    must(w.add_to_slice({2, 60, series()}, tally("0.2", 3), "UTC"));
    must(w.add_to_slice({2, 120, series()}, tally("5"), "UTC"));
    must(w.add_to_slice({3, 60, series("data-usd")}, tally("7"), "Asia/Tokyo"));
  });
  EXPECT_EQ(must(read_overview(*journal_)).undated_slices, 3U);
  const auto second = must(begin().slices(2, 10));
  ASSERT_EQ(second.size(), 2U);
  EXPECT_EQ(second[0].key.second, 60U);
  EXPECT_EQ(second[0].value.quantity(), "0.3");
  EXPECT_EQ(second[0].value.events(), 4U);
  const auto third = must(begin().slices(3, 10));
  ASSERT_EQ(third.size(), 1U);
  EXPECT_EQ(third[0].value.zone(), "Asia/Tokyo");
  EXPECT_EQ(third[0].key.series, series("data-usd"));
  EXPECT_THAT(must(begin().slices(9, 10)), IsEmpty());
  EXPECT_EQ(must(begin().slices(2, 1)).size(), 1U);
  step([&](WriteTransaction& w) { must(w.erase_slice(second[0].key)); });
  EXPECT_EQ(must(begin().slices(2, 10)).size(), 1U);
}

TEST_F(JournalSlices, HoldTotalsBeyondAUsagesLength) {
  step([&](WriteTransaction& w) {
    must(w.add_to_slice({1, 0, series()}, tally(std::string(40, '9')), "UTC"));
    must(w.add_to_slice({1, 0, series()}, tally("0.00000000000000000000000000000000000001"), "UTC"));
  });
  EXPECT_EQ(must(begin().slices(1, 1))[0].value.quantity(),
            std::string(40, '9') + ".00000000000000000000000000000000000001");
}

class JournalCursors : public JournalAdd {};

TEST_F(JournalCursors, AreStoredWithTheDeltaTheyGave) {
  EXPECT_EQ(must(read_producer(*journal_, "app")).sequence(), 0U);
  EXPECT_EQ(must(read_counter(*journal_, "wwan0")), std::nullopt);
  CounterCursor cursor;
  cursor.set_boot_id("boot-1");
  cursor.set_rx_bytes(UINT64_MAX);
  ProducerCursor producer;
  producer.set_sequence(42);
  step([&](WriteTransaction& w) {
    must(w.put_producer("app", producer));
    must(w.put_counter("wwan0", cursor));
    must(w.add(bucket(), tally("1"), opening()));
  });
  reopen();
  EXPECT_EQ(must(read_producer(*journal_, "app")).sequence(), 42U);
  EXPECT_EQ(must(read_counter(*journal_, "wwan0"))->rx_bytes(), UINT64_MAX);
  {  // an aborted window takes its cursor with it
    auto write = begin();
    producer.set_sequence(43);
    must(write.put_producer("app", producer));
  }
  EXPECT_EQ(must(read_producer(*journal_, "app")).sequence(), 42U);
}

// What a cursor of an app's memory says is of no use to a copy; the others say where the doubt begins.
TEST_F(JournalCursors, OfACopyAreMarkedOnceAndThoseOfSharedMemoryGoWithAGap) {
  CounterCursor read_at_7, never_dated, page, later_page;
  read_at_7.set_read_ms(7'000);
  later_page.mutable_shared();
  page.mutable_shared();
  page.set_read_ms(3'000);
  later_page.set_read_ms(4'000);
  const auto copied_at_9 = [](WriteTransaction& w) {
    must(w.mark_counters_copied(WallTime::from_seconds(9)));
  };
  step([&](WriteTransaction& w) {
    must(w.put_counter("interface:wwan0:data.bytes", read_at_7));
    must(w.put_counter("access-log:/run/a.sock", never_dated));
    must(w.put_counter("shared/00ff/0", page));
    must(w.put_counter("shared/00ff/1", later_page));
  });
  step(copied_at_9);
  step(copied_at_9);
  const auto kept = must(read_sources(*journal_));
  ASSERT_EQ(kept.cursors.size(), 2U);
  const auto& link = kept.cursors.at("interface:wwan0:data.bytes");
  EXPECT_TRUE(link.copied());
  EXPECT_EQ(link.read_ms(), 7'000);
  EXPECT_TRUE(kept.cursors.at("access-log:/run/a.sock").copied());
  ASSERT_EQ(kept.gaps.size(), 1U) << "of the others their sources tell";
  const auto& gaps = kept.gaps.at("shared");
  ASSERT_EQ(gaps.recent_size(), 1);
  EXPECT_EQ(gaps.recent(0).from_ms(), 4'000);
  EXPECT_EQ(gaps.recent(0).until_ms(), 9'000);
  EXPECT_EQ(gaps.recent(0).reason(), kPutBack);
}

// Whoever makes gaps at will does not push out the one that another has.
TEST(SourceGaps, KeepTheOneThatCameOnceAmongManyOfAKind) {
  SourceGaps gaps;
  const auto note = [&](const std::string& what, std::int64_t at) {
    Gap gap;
    gap.set_what(what);
    gap.set_until_ms(at);
    append(gaps, std::move(gap));
  };
  note("once", 1);
  for (int i = 2; i <= 100; ++i) note("often", i);
  EXPECT_EQ(gaps.gaps(), 100U);
  ASSERT_EQ(gaps.recent_size(), 16);
  EXPECT_EQ(gaps.recent(0).what(), "once");
  EXPECT_EQ(gaps.recent(1).until_ms(), 86) << "of the others the last ones";
  EXPECT_EQ(gaps.recent(15).until_ms(), 100);
}

}  // namespace
}  // namespace meterd::journal
