// Many random pasts of an original and its copy: whatever the one did after the other was taken, nothing is
// billed twice, and what the copy acknowledged is billed or shown.
#include <cstdlib>
#include <random>

#include "agent/journal/lock.hpp"
#include "tests/core/core_fixture.hpp"
#include "tests/support/rounds.hpp"

namespace meterd::testing {
namespace {

using ::testing::IsEmpty;

class Walk {
 public:
  explicit Walk(unsigned seed) : random_(seed) {}
  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }

  // Counts, lets time pass, with an upstream that is there or not. What was counted.
  std::uint64_t go(Device& at, unsigned steps) {
    std::uint64_t counted = 0;
    for (unsigned i = 0; i < steps; ++i) {
      const auto subscription = "sub_" + std::to_string(1 + below(2));
      const unsigned quantity =
          1 + below(3);  // few values: quantities that are equal by chance are the hard case
      if (!at.report("sms.sent", subscription, std::to_string(quantity)).refusal) counted += quantity;
      check(at.commit().ok(), "the test's journal takes it");
      at.billing.poisoned = below(3) == 0 ? "sub_1" : "";
      if (below(4) == 0) at.billing.apply_then_lose = true;
      at.advance(Seconds(below(5) == 0 ? 1'000 + below(90'000) : below(1'800)));
    }
    return counted;
  }

 private:
  std::mt19937 random_;
};

std::uint64_t number(const Quantity& quantity) { return std::stoull(quantity.text()); }

std::uint64_t billed_in(const Billing& billing) {
  Quantity sum;
  for (const auto& [id, record] : billing.records) sum += *Quantity::parse(record.quantity);
  return number(sum);
}

enum class Passing : bool { as_what_it_is, for_the_original };

struct Past {
  std::uint64_t before = 0, after = 0, own = 0;  // counted: before the copy was taken, after it, by the copy
  std::uint64_t billed_before = 0, billed = 0;
  std::uint64_t shown = 0;  // in the outboxes at the end
  std::uint64_t accepted = 0;
  std::size_t sent_while_held = 0;
  std::size_t conflicts =
      0;  // usages that the copy sent under an id with which the original had billed something else
  std::vector<std::string> problems;

  bool nothing_twice() const { return billed <= before + after + own; }
  bool nothing_lost() const { return billed + shown >= before + own && billed >= billed_before; }
};

void take_over(Device& copy, const Device& original) {
  copy.billing = original.billing;
  copy.billing.poisoned.clear();
  copy.billing.apply_then_lose = false;
  copy.clock->set_wall(original.clock->wall().time);
}

void drain(Device& at) {
  at.billing.poisoned.clear();
  check(at.flush(true).ok(), "what is open is sealed");
  for (int i = 0; i < 4; ++i) at.advance(Seconds(40'000));
}

std::uint64_t shown_by(Device& at) {
  std::uint64_t shown = 0;
  for (const auto& stored : at.outbox()) shown += number(*Quantity::parse(stored.record.quantity()));
  return shown;
}

// The mark of the copy says what the original's says.
void disguise(const Device& original, const std::string& path) {
  auto identity = journal::identify(path + "/data.mdb");
  auto lock = journal::DirectoryLock::take(path);
  check(identity.ok() && lock.ok(), "the test's copy is there");
  identity->epoch = journal::hex_of(original.journal->epoch());
  check(lock->write({true, false, *identity}).ok(), "the test's mark can be written");
}

Past live(unsigned seed, Passing passing) {
  Walk walk(seed);
  TempDirectory first;
  TempDirectory second;
  const auto path = second.path() + "/copy";
  Past past;
  Device original(small_config(first.path()));
  original.start();
  past.before = walk.go(original, walk.below(6));
  original.back_up(path);
  if (passing == Passing::for_the_original) disguise(original, path);
  past.billed_before = billed_in(original.billing);
  past.after = walk.go(original, walk.below(6));

  Device copy(small_config(path));
  take_over(copy, original);
  const auto sent = copy.billing.bodies.size();
  copy.start();
  past.own = walk.below(2) == 0 ? walk.go(copy, walk.below(4)) : 0;
  past.sent_while_held = copy.billing.bodies.size() - sent;
  copy.billing.poisoned.clear();
  check(copy.reconcile().ok(), "the upstream can be asked");
  past.own += walk.go(copy, walk.below(4));
  drain(copy);
  past.shown = shown_by(copy);
  for (const auto& stored : copy.outbox())
    past.conflicts += journal::state_of(stored.record) == journal::UsageState::parked ? 1 : 0;
  past.accepted = number(copy.verify().accepted);
  past.problems = copy.verify().problems;
  past.billed = billed_in(copy.billing);
  if (walk.below(3) == 0) {  // the original was not dead
    take_over(original, copy);
    past.after += walk.go(original, walk.below(4));
    drain(original);
    past.billed = billed_in(original.billing);
    past.shown += shown_by(original);
  }
  return past;
}

TEST(CopyWalk, NothingIsBilledTwiceAndNothingThatTheCopyCountedIsLost) {
  const char* given = std::getenv("METERD_SEED");
  const unsigned first = given != nullptr ? static_cast<unsigned>(std::stoul(given)) : 1;
  const unsigned last = given != nullptr ? first : rounds(40U);
  for (unsigned seed = first; seed <= last; ++seed) {
    SCOPED_TRACE("replay: METERD_SEED=" + std::to_string(seed) + " core_test --gtest_filter='CopyWalk.*'");
    const auto past = live(seed, Passing::as_what_it_is);
    EXPECT_TRUE(past.nothing_twice()) << past.billed;
    EXPECT_TRUE(past.nothing_lost()) << past.billed << " and " << past.shown;
    EXPECT_EQ(past.sent_while_held, 0U);
    EXPECT_EQ(past.conflicts, 0U);
    EXPECT_EQ(past.accepted, past.before + past.own);
    EXPECT_THAT(past.problems, IsEmpty());
  }
}

// The control: the same pasts, but the copy is taken for the original.
TEST(CopyWalk, WithoutTheHoldTheCopyAndTheOriginalFightOverIds) {
  std::size_t conflicts = 0;
  for (unsigned seed = 1; seed <= 12; ++seed) conflicts += live(seed, Passing::for_the_original).conflicts;
  EXPECT_GT(conflicts, 0U);
}

}  // namespace
}  // namespace meterd::testing
