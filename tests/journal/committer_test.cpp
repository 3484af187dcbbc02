// Group commit: one transaction for a window, answers in order, a spoilt operation alone in its failure.
#include "agent/journal/committer.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <thread>

#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

namespace asio = boost::asio;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CollectingLog final : public Log {
 public:
  std::string text;

 private:
  void write(Level, const std::string& line) override { text += line + "\n"; }
};

Operation adding(const meter::BucketKey& key, const char* quantity = "1") {
  return [key, quantity](WriteTransaction& w) -> Status {
    auto added = w.add(key, tally(quantity), {WallTime{}, 1'000, "UTC"});
    return added ? Status{} : Status{added.error()};
  };
}
CounterCursor cursor_of(std::size_t boot_id_bytes) {
  CounterCursor cursor;
  cursor.set_boot_id(std::string(boot_id_bytes, 'b'));
  return cursor;
}
Operation failing(Code code) {
  return [code](WriteTransaction& w) -> Status {
    if (auto added = adding(bucket("spoilt"))(w); !added) return added;
    return Error{code, "refused on purpose"};
  };
}

class CommitterTest : public JournalTest {
 protected:
  void SetUp() override {
    open();
    committer_ = std::make_unique<Committer>(*journal_,
                                             Committer::Executors{loop_.get_executor(), loop_.get_executor()},
                                             log_, [this](const Error& e) { fatal_ = e.message; });
  }
  void submit(Operation operation, const std::string& name) {
    committer_->submit(std::move(operation), [this, name](Status status) {
      answers_.push_back(name + (status ? ":ok" : ":" + std::string(meterd::name_of(status.error().code))));
    });
  }
  void run() {
    loop_.restart();
    loop_.run();
  }

  asio::io_context loop_;
  CollectingLog log_;
  std::unique_ptr<Committer> committer_;
  std::vector<std::string> answers_;
  std::string fatal_;
};

TEST_F(CommitterTest, CommitsWhatWaitsTogetherInOneTransaction) {
  submit(adding(bucket("a")), "a");  // starts a commit at once
  submit(adding(bucket("b")), "b");
  submit(adding(bucket("c")), "c");
  submit(adding(bucket("b")), "d");
  EXPECT_FALSE(committer_->idle());
  EXPECT_THAT(answers_, ElementsAre()) << "no answer before the commit";
  run();
  EXPECT_THAT(answers_, ElementsAre("a:ok", "b:ok", "c:ok", "d:ok"));
  EXPECT_EQ(committer_->stats().commits, 2U);
  EXPECT_TRUE(committer_->idle());
  EXPECT_EQ(balance_of(bucket("b")).open, q("2"));
  expect_sound();
}

TEST_F(CommitterTest, AnswersOnlyAfterTheCommitIsVisible) {
  Quantity seen;
  committer_->submit(adding(bucket()), [&](Status) { seen = balance_of(bucket()).open; });
  run();
  EXPECT_EQ(seen, q("1"));
}

TEST_F(CommitterTest, LetsAFailingOperationSpoilOnlyItself) {
  submit(adding(bucket("first")), "first");
  submit(adding(bucket("a")), "a");
  submit(failing(Code::invalid), "bad");
  submit(adding(bucket("b")), "b");
  run();
  EXPECT_THAT(answers_, ElementsAre("first:ok", "a:ok", "bad:invalid", "b:ok"));
  EXPECT_EQ(balance_of(bucket("a")).open, q("1")) << "an operation that ran twice counts once";
  EXPECT_EQ(balance_of(bucket("b")).open, q("1"));
  EXPECT_TRUE(balance_of(bucket("spoilt")).accepted.is_zero());
  EXPECT_EQ(fatal_, "");
  expect_sound();
}

TEST_F(CommitterTest, KeepsNothingOfAnOperationThatFailsAlone) {
  submit(failing(Code::corrupt), "bad");
  run();
  EXPECT_THAT(answers_, ElementsAre("bad:corrupt"));
  EXPECT_EQ(committer_->stats().commits, 0U);
  EXPECT_EQ(committer_->stats().failed_commits, 1U);
  EXPECT_TRUE(balance_of(bucket("spoilt")).accepted.is_zero());
}

TEST_F(CommitterTest, LetsALaterOperationSeeAnEarlierOneOfItsGroup) {
  submit(adding(bucket("first")), "first");
  submit(adding(bucket()), "add");
  submit([this](WriteTransaction& w) { return seal(w, bucket()), Status{}; }, "seal");
  run();
  EXPECT_THAT(answers_, ElementsAre("first:ok", "add:ok", "seal:ok"));
  EXPECT_EQ(balance_of(bucket()).waiting, q("1"));
}

TEST_F(CommitterTest, TellsObserversWhatACommitChanged) {
  std::vector<Committer::Changes> told;
  committer_->observe([&](const Committer::Changes& changed) { told.push_back(changed); });
  submit(adding(bucket()), "opens the bucket");
  run();
  submit(adding(bucket()), "adds to it");
  run();
  submit([this](WriteTransaction& w) { return seal(w, bucket()), Status{}; }, "seals it");
  run();
  ASSERT_EQ(told.size(), 3U);
  EXPECT_TRUE(told[0].seals);
  EXPECT_FALSE(told[0].outbox);
  EXPECT_FALSE(told[1].seals) << "nobody need look again";
  EXPECT_FALSE(told[1].outbox);
  EXPECT_TRUE(told[2].seals);
  EXPECT_TRUE(told[2].outbox);
}

TEST_F(CommitterTest, TellsObserversAfterASuccessfulCommitOnly) {
  int told = 0;
  committer_->observe([&](const Committer::Changes&) { ++told; });
  submit(adding(bucket()), "a");
  run();
  EXPECT_EQ(told, 1);
  submit(failing(Code::invalid), "bad");
  run();
  EXPECT_EQ(told, 1);
}

TEST_F(CommitterTest, TakesASubmissionFromWithinAnAnswer) {
  committer_->submit(adding(bucket()), [&](Status) {
    answers_.push_back("outer");
    submit(adding(bucket()), "inner");
  });
  submit(adding(bucket()), "second");
  run();
  EXPECT_THAT(answers_, ElementsAre("outer", "second:ok", "inner:ok"));
  EXPECT_EQ(balance_of(bucket()).open, q("3"));
}

TEST_F(CommitterTest, TellsEachThatTheJournalIsFullAndGoesOn) {
  submit(failing(Code::full), "a");
  run();
  submit(failing(Code::full), "b");
  run();
  submit(adding(bucket()), "c");
  run();
  EXPECT_EQ(committer_->stats().failed_commits, 2U);
  EXPECT_THAT(answers_, ElementsAre("a:full", "b:full", "c:ok"));
}

TEST_F(CommitterTest, CallsAnIoErrorFatalAndTellsEverySubmitter) {
  submit(adding(bucket("first")), "first");
  submit(adding(bucket("a")), "a");
  submit(failing(Code::io), "bad");
  submit(adding(bucket("b")), "b");
  run();
  EXPECT_EQ(fatal_, "refused on purpose");
  EXPECT_THAT(answers_, ElementsAre("first:ok", "a:io", "bad:io", "b:io"));
  expect_sound();
}

asio::awaitable<void> submit_two(Committer& committer, std::vector<std::string>& answers) {
  const auto first = co_await committer.submit(adding(bucket()));
  answers.push_back(first ? "ok" : first.error().message);
  const auto second = co_await committer.submit(failing(Code::rejected));
  answers.push_back(second ? "ok" : second.error().message);
}

TEST_F(CommitterTest, IsAwaitable) {
  asio::co_spawn(loop_, submit_two(*committer_, answers_), asio::detached);
  run();
  EXPECT_THAT(answers_, ElementsAre("ok", "refused on purpose"));
  EXPECT_EQ(balance_of(bucket()).open, q("1"));
}

TEST_F(CommitterTest, SharesCommitsBetweenCoroutines) {
  std::vector<std::string> answers;
  for (int i = 0; i < 20; ++i) asio::co_spawn(loop_, submit_two(*committer_, answers), asio::detached);
  run();
  EXPECT_EQ(balance_of(bucket()).open, q("20"));
  EXPECT_LT(committer_->stats().commits, 5U);
}

// Each reading is a millisecond later than the one before.
class RisingClock final : public platform::Clock {
 public:
  platform::WallReading wall() const override { return {}; }
  BootTime boot() const override { return {}; }
  Microseconds ticks() const override { return Milliseconds(++readings_); }
  std::string boot_id() const override { return {}; }
  std::unique_ptr<platform::Alarm> make_alarm() override { return nullptr; }

 private:
  mutable std::int64_t readings_ = 0;
};

TEST_F(CommitterTest, MeasuresHowLongUntilDurableOfWhatIsKeptAndEveryTransaction) {
  const RisingClock clock;
  Committer committer(
      *journal_, {loop_.get_executor(), loop_.get_executor()}, log_, [](const Error&) {}, &clock);
  const auto ignore = [](const Status&) {};
  committer.submit(adding(bucket("a")), ignore);
  run();
  EXPECT_EQ(committer.stats().commit.count(), 1U);
  EXPECT_EQ(committer.stats().commit.sum(), Milliseconds(1)) << "one reading before, one after";
  EXPECT_EQ(committer.stats().durable.count(), 1U);
  EXPECT_EQ(committer.stats().durable.sum(), Milliseconds(3)) << "those two lie between, and the last";
  committer.submit(failing(Code::full), ignore);
  run();
  EXPECT_EQ(committer.stats().commit.count(), 1U);
  EXPECT_EQ(committer.stats().durable.count(), 1U) << "what failed is not durable";
}

TEST_F(CommitterTest, MeasuresWhatIsKeptOfAGroupThatIsTakenApart) {
  const RisingClock clock;
  Committer committer(
      *journal_, {loop_.get_executor(), loop_.get_executor()}, log_, [](const Error&) {}, &clock);
  const auto ignore = [](const Status&) {};
  committer.submit(adding(bucket("first")), ignore);
  committer.submit(adding(bucket("other")), ignore);
  committer.submit(failing(Code::invalid), ignore);
  committer.submit(adding(bucket("third")), ignore);
  run();
  EXPECT_EQ(committer.stats().commit.count(), 3U);
  EXPECT_EQ(committer.stats().durable.count(), 3U);
  const auto bytes = committer.stats().bytes;
  Committer plain(*journal_, {loop_.get_executor(), loop_.get_executor()}, log_, [](const Error&) {});
  plain.submit(adding(bucket("forth")), ignore);
  run();
  EXPECT_EQ(bytes, 3 * plain.stats().bytes);
  EXPECT_EQ(plain.stats().commit.count(), 0U) << "without a clock nothing is measured";
}

TEST_F(CommitterTest, CountsTheBytesOfWhatIsCommittedAndOfNothingElse) {
  const auto put = [](std::size_t size) {
    return [size](WriteTransaction& w) { return w.put_counter(std::string(10, 'c'), cursor_of(size)); };
  };
  submit(put(0), "small");
  run();
  const auto small = committer_->stats().bytes;
  EXPECT_GT(small, 10U);
  submit(put(1'000), "large");
  run();
  const auto large = committer_->stats().bytes - small;
  EXPECT_GE(large, small + 1'000);
  EXPECT_LE(large, small + 1'010);
  submit(failing(Code::full), "bad");
  run();
  EXPECT_EQ(committer_->stats().bytes, small + large);
}

TEST_F(CommitterTest, CountsEachOperationThatFailed) {
  submit(adding(bucket("first")), "first");
  submit(adding(bucket("a")), "a");
  submit(failing(Code::invalid), "bad");
  submit(failing(Code::invalid), "worse");
  run();
  EXPECT_EQ(committer_->stats().failed_operations, 2U);
  EXPECT_EQ(committer_->stats().failed_commits, 0U) << "something of that commit was kept";
}

// The daemon's own arrangement: answers come back to the loop's thread, operations run on the journal's.
TEST_F(CommitterTest, WorksWithTheJournalOnAThreadOfItsOwn) {
  asio::thread_pool pool(1);
  Committer committer(*journal_, {loop_.get_executor(), pool.get_executor()}, log_, [](const Error&) {});
  auto work = asio::make_work_guard(loop_);
  const auto loop_thread = std::this_thread::get_id();
  int left = 200;
  int elsewhere = 0;
  for (int i = 0; i < 200; ++i) {
    auto operation = [&elsewhere, loop_thread, add = adding(bucket(), "0.5")](WriteTransaction& w) -> Status {
      if (std::this_thread::get_id() != loop_thread) ++elsewhere;
      return add(w);
    };
    committer.submit(operation, [&](Status status) {
      EXPECT_TRUE(status.ok());
      EXPECT_EQ(std::this_thread::get_id(), loop_thread);
      if (--left == 0) work.reset();
    });
    loop_.restart();
    loop_.poll();
  }
  run();
  pool.join();
  EXPECT_EQ(left, 0);
  EXPECT_EQ(elsewhere, 200);
  EXPECT_LE(committer.stats().commits, 200U);
  EXPECT_EQ(balance_of(bucket()).open, q("100"));
  expect_sound();
}

}  // namespace
}  // namespace meterd::journal
