// The contract of a source, kind by kind: what happened is counted once, in the transaction of the cursor,
// whoever takes over; what cannot be counted is not passed in silence; and it says of itself what it is.
#include "tests/source/contract_subjects.hpp"

namespace meterd::source {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const Kind kKinds[] = {
    {"interface", [] { return std::make_unique<InterfaceSubject>(); }},
    {"nftables", [] { return std::make_unique<NftablesSubject>(); }},
    {"access_log", [] { return std::make_unique<AccessLogSubject>(); }},
    {"modem_manager", [] { return std::make_unique<ModemSubject>(); }},
    {"shared_counters", [] { return std::make_unique<SharedCountersSubject>(); }},
};

class SourceContract : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    subject_ = GetParam().make();
    attach(test::stored_of(*bench_, subject_->name()));
    interval();  // what there is already is its starting point
  }
  void TearDown() override { detach(); }
  void attach(Stored stored) {
    source_ = subject_->make(*bench_, std::move(stored));
    bench_->batcher().set_sources({source_});
  }
  void detach() {
    if (source_) source_->stop();
    bench_->batcher().set_sources({});
    source_.reset();
    bench_->settle();
  }
  void kill() {
    detach();
    bench_->restart();
    attach(test::stored_of(*bench_, subject_->name()));
  }
  void interval() {
    for (int i = 0; i < 2; ++i) bench_->advance(Milliseconds(10'000));  // one to read, one to commit
  }
  void happen(std::uint64_t units) { subject_->happen(*bench_, units); }
  std::string counted() const { return bench_->accepted().text(); }

  std::unique_ptr<test::Bench> bench_ = std::make_unique<test::Bench>();
  std::unique_ptr<Subject> subject_;
  std::shared_ptr<Source> source_;
};
INSTANTIATE_TEST_SUITE_P(Kinds, SourceContract, ::testing::ValuesIn(kKinds),
                         [](const auto& one) { return one.param.name; });

TEST_P(SourceContract, CountsWhatHappensAndNothingElse) {
  EXPECT_EQ(counted(), "0");
  happen(3);
  interval();
  EXPECT_EQ(counted(), "3");
  interval();
  EXPECT_EQ(counted(), "3");
  bench_->expect_sound();
}

TEST_P(SourceContract, CountsOnceThroughAKill) {
  happen(3);
  interval();
  kill();
  happen(4);
  interval();
  EXPECT_EQ(counted(), "7");
}

// A device without a clock battery may show any time before it knows.
TEST_P(SourceContract, CountsOnceThroughAKillUnderAClockThatShowsATimeBefore1970) {
  const auto show = [&] {
    bench_->clock().set_trusted(false);
    bench_->at("1960-01-04T00:00:00Z");
  };
  show();
  happen(3);
  interval();
  kill();
  show();
  happen(4);
  interval();
  EXPECT_EQ(source_->report().gaps.gaps(), 0U);
  bench_->at("2027-01-15T09:00:00Z");
  bench_->clock().set_trusted(true);
  interval();
  EXPECT_EQ(counted(), "7");
}

// Whatever a kill takes from memory is counted by the next one, or shown.
TEST_P(SourceContract, AKillBeforeTheCommitLosesNothingInSilence) {
  happen(3);
  interval();
  happen(5);
  kill();
  happen(4);
  interval();
  const auto lost = source_->report().gaps.lost();
  EXPECT_EQ(bench_->accepted() + Quantity::of(lost), Quantity::of(12));
}

// What came after the backup was counted by the journal that went on then, or by none: it is neither counted
// again nor called lost, and it is told, once.
TEST_P(SourceContract, WhatCameBeforeItsJournalWasPutBackIsInDoubt) {
  happen(3);
  interval();
  const auto copied_at = bench_->clock().wall().time.since_epoch.count();
  bench_->back_up();
  happen(5);
  interval();
  detach();
  bench_->put_back();
  attach(test::stored_of(*bench_, subject_->name()));
  interval();
  happen(4);
  interval();
  EXPECT_EQ(counted(), "7");
  kill();
  interval();
  const auto gaps = source_->report().gaps;
  EXPECT_EQ(gaps.lost(), 0U);
  ASSERT_GE(gaps.recent_size(), 1);
  const auto& gap = gaps.recent(0);
  EXPECT_EQ(gap.reason(), journal::kPutBack);
  EXPECT_GT(gap.from_ms(), 0);
  EXPECT_LE(gap.from_ms(), copied_at);
  EXPECT_GT(gap.until_ms(), copied_at);
  EXPECT_EQ(gap.trusted(), subject_->has_cursors_in_a_copy());
  const auto told = std::count_if(gaps.recent().begin(), gaps.recent().end(),
                                  [](const auto& one) { return one.reason() == journal::kPutBack; });
  EXPECT_EQ(told, 1);
  EXPECT_EQ(gaps.recent().rbegin()->lost_max(), subject_->doubt_of(3, 5));
}

TEST_P(SourceContract, GoesOnWhereAnotherOneOfItsNameWas) {
  happen(3);
  interval();
  const auto left = source_->stored();
  detach();
  attach(left);
  happen(4);
  interval();
  EXPECT_EQ(counted(), "7");
}

TEST_P(SourceContract, WritesNothingWhileNothingHappens) {
  happen(3);
  interval();
  const auto before = bench_->commits();
  for (int i = 0; i < 30; ++i) interval();
  EXPECT_EQ(bench_->commits(), before);
}

TEST_P(SourceContract, WhatIsRefusedIsCountedLaterOrShown) {
  const auto meters = std::exchange(bench_->options.meters, {});
  bench_->batcher().at_turn([&](const Status& turn) {
    ASSERT_TRUE(turn);
    bench_->batcher().adopt(bench_->settings());
  });
  interval();
  happen(3);
  interval();
  EXPECT_EQ(counted(), "0");
  const auto refused = bench_->refused(meter::Refusal::unknown_event);
  EXPECT_GT(refused, 0U);
  bench_->options.meters = meters;
  bench_->batcher().at_turn([&](const Status& turn) {
    ASSERT_TRUE(turn);
    bench_->batcher().adopt(bench_->settings());
  });
  interval();
  EXPECT_TRUE(counted() == "3" || (counted() == "0" && refused == 3)) << counted() << ", refused " << refused;
}

TEST_P(SourceContract, KeepsItsCursorsUnderItsName) {
  happen(3);
  interval();
  const auto kept = test::must(journal::read_sources(bench_->journal()));
  EXPECT_FALSE(kept.cursors.empty());
  for (const auto& [name, cursor] : kept.cursors)
    EXPECT_TRUE(name == source_->name() || name.starts_with(source_->name() + "/")) << name;
}

TEST_P(SourceContract, SaysWhatItIsAndThatItIsWell) {
  happen(1);
  interval();
  const auto report = source_->report();
  EXPECT_EQ(report.name, subject_->name());
  EXPECT_EQ(report.kind, subject_->kind());
  EXPECT_EQ(report.event, subject_->event());
  EXPECT_EQ(report.trouble, "");
}

TEST_P(SourceContract, SaysWhatIsWrongAndWhatToDoAndLogsItOnce) {
  if (!subject_->break_down()) return;
  const auto lines = std::count(bench_->log.text.begin(), bench_->log.text.end(), '\n');
  for (int i = 0; i < 10; ++i) interval();
  EXPECT_NE(source_->report().trouble, "");
  EXPECT_NE(source_->report().advice, "");
  EXPECT_LE(std::count(bench_->log.text.begin(), bench_->log.text.end(), '\n'), lines + 1);
}

TEST_P(SourceContract, NamesNobodyInTheLog) {
  happen(3);
  interval();
  (void)subject_->break_down();
  interval();
  for (const char* personal : {"sub_1", "10.0.0.2", "+15550100", "text 1"})
    EXPECT_THAT(bench_->log.text, Not(HasSubstr(personal)));
}

}  // namespace
}  // namespace meterd::source
