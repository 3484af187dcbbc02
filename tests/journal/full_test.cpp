// A full map: refused cleanly, nothing torn, and what is stored can still be delivered.
#include "agent/journal/records.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

class JournalFull : public JournalTest {
 protected:
  void SetUp() override {
    options_.size_max = 1 << 20;
    options_.reserve = 256 << 10;
    open();
  }
  static meter::BucketKey numbered(int i) { return bucket(("item-" + std::to_string(i)).c_str()); }

  // One small committed transaction, as after a restart in the middle: Code::full or success, nothing else.
  template <class Verb>
  bool try_step(Verb&& verb) {
    auto write = begin();
    Status done = verb(write);
    if (done) done = write.commit();
    if (!done) {
      EXPECT_EQ(done.error().code, Code::full) << done.error().message;
    }
    return done.ok();
  }
  bool try_add(int i) {
    return try_step([&](WriteTransaction& w) -> Status {
      auto added = w.add(numbered(i), tally("1"), opening());
      return added ? Status{} : Status{added.error()};
    });
  }
  bool try_seal(int i) {
    return try_step([&](WriteTransaction& w) -> Status {
      auto sealed = w.seal(next_usage(w, numbered(i)), request(std::string(300, 'b')), now());
      return sealed ? Status{} : Status{sealed.error()};
    });
  }
  bool try_deliver(std::uint64_t sequence) {
    return try_step([&](WriteTransaction& w) { return w.deliver(sequence, "receipt", now()); });
  }
};

TEST_F(JournalFull, IsCodeFullAndTearsNothing) {
  int stored = 0;
  while (try_add(stored)) ++stored;
  EXPECT_GT(stored, 1'000);
  expect_sound();
  EXPECT_EQ(report().accepted, Quantity::of(static_cast<std::uint64_t>(stored)));
  reopen();
  expect_sound();
  EXPECT_EQ(report().balances, static_cast<std::uint64_t>(stored));
}

TEST_F(JournalFull, TearsNothingOfAWindowThatDoesNotFit) {
  step([&](WriteTransaction& w) { must(w.add(bucket(), tally("1"), opening())); });
  {
    auto write = begin();
    Status failed;
    for (int i = 0; failed.ok(); ++i) {
      auto added = write.add(numbered(i), tally("1"), opening());
      if (!added) failed = added.error();
    }
    EXPECT_EQ(failed.error().code, Code::full);
  }
  expect_sound();
  EXPECT_EQ(report().balances, 1U);
  EXPECT_TRUE(try_add(1));
}

TEST_F(JournalFull, GoesOnWithALargerMap) {
  int stored = 0;
  while (try_add(stored)) ++stored;
  options_.size_max = 8 << 20;
  reopen();
  EXPECT_TRUE(try_add(stored));
  step([&](WriteTransaction& w) {
    for (const auto& one : must(w.open_buckets(100'000))) must(w.deliver(seal(w, one.bucket), "r", now()));
  });
  EXPECT_EQ(report().delivered, Quantity::of(static_cast<std::uint64_t>(stored) + 1));
}

TEST_F(JournalFull, ShowsTheWatermarkBeforeItIsFull) {
  EXPECT_FALSE(must(journal_->space()).above_watermark());
  int stored = 0;
  while (!must(journal_->space()).above_watermark()) ASSERT_TRUE(try_add(stored++));
  const auto space = must(journal_->space());
  EXPECT_EQ(space.use.map_bytes, options_.size_max);
  EXPECT_EQ(space.open_buckets, static_cast<std::uint64_t>(stored));
  EXPECT_EQ(space.watermark_bytes,
            options_.size_max - std::max<std::uint64_t>(options_.reserve, 2'048 * (space.open_buckets + 1)));
  EXPECT_LE(space.use.used_bytes, space.use.file_bytes);
  EXPECT_LE(space.use.file_bytes, space.use.map_bytes);
}

// What has been sealed can always be settled, and what has been settled can be forgotten: neither needs free
// space.
TEST_F(JournalFull, DeliversAndForgetsWhatWasSealedBeforeTheMapRanFull) {
  int stored = 0;
  // Beyond the watermark, where ingest would have stopped, so that sealing runs out of room.
  while (must(journal_->space()).use.used_bytes < options_.size_max - options_.reserve)
    ASSERT_TRUE(try_add(stored++));
  int sealed = 0;
  while (try_seal(sealed)) ++sealed;
  ASSERT_GT(sealed, 100);
  ASSERT_LT(sealed, stored) << "the reserve of this test is too small for sealing everything";
  expect_sound();
  for (const auto& u : must(read_outbox(*journal_, 100'000)))
    ASSERT_TRUE(try_deliver(u.sequence)) << u.sequence;
  expect_sound();
  int forgotten = 0;
  while (count(prefix(Kind::usage)) > 0) {
    ASSERT_TRUE(try_step([&](WriteTransaction& w) -> Status {
      auto gone = w.prune_usages(INT64_MAX, 1);
      return gone ? Status{} : Status{gone.error()};
    })) << forgotten;
    ++forgotten;
  }
  EXPECT_EQ(forgotten, sealed);
  EXPECT_EQ(report().delivered, Quantity::of(static_cast<std::uint64_t>(sealed)));
  EXPECT_TRUE(try_seal(sealed)) << "the room of what was forgotten serves the next seal";
  expect_sound();
}

// Everything that was let in below the watermark is sealed and delivered (invariant 6).
TEST_F(JournalFull, SealsAndDeliversEverythingThatWasLetInBelowTheWatermark) {
  int stored = 0;
  while (!must(journal_->space()).above_watermark()) ASSERT_TRUE(try_add(stored++));
  ASSERT_GT(stored, 300);
  for (int i = 0; i < stored; ++i) ASSERT_TRUE(try_seal(i)) << i << " of " << stored;
  for (const auto& u : must(read_outbox(*journal_, 100'000)))
    ASSERT_TRUE(try_deliver(u.sequence)) << u.sequence;
  expect_sound();
  EXPECT_EQ(report().delivered, Quantity::of(static_cast<std::uint64_t>(stored)));
}

TEST_F(JournalFull, KeepsItsReserveOnTheDisk) {
  EXPECT_TRUE(journal_->keep_reserve().ok());
  step([&](WriteTransaction& w) { must(w.add(bucket(), tally("1"), opening())); });
  EXPECT_TRUE(journal_->keep_reserve().ok());
  reopen();
  expect_sound();
}

}  // namespace
}  // namespace meterd::journal
