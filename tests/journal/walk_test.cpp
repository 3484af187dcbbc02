// A random walk over every verb, against a model of what was counted and what became of it.
#include <random>

#include "agent/journal/records.hpp"
#include "tests/base/seed.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {
namespace {

class JournalWalk : public JournalTest {
 protected:
  using Generator = std::mt19937_64;

  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_numbers_() % limit); }
  meter::BucketKey some_bucket() {
    static constexpr const char* kItems[] = {"sms-usd", "data-usd", "call-usd"};
    static constexpr const char* kDays[] = {"2026-11-22", "2026-11-23", "1969-12-31"};
    static constexpr const char* kUpstreams[] = {"billing", "marketplace"};
    return bucket(kItems[below(3)], kDays[below(3)], kUpstreams[below(2)]);
  }
  std::uint64_t some(const std::map<std::uint64_t, UsageState>& usages, UsageState state) {
    std::vector<std::uint64_t> of_state;
    for (const auto& [sequence, at] : usages)
      if (at == state) of_state.push_back(sequence);
    return of_state.empty() ? 0 : of_state[below(of_state.size())];
  }

  struct Model {
    Quantity accepted;
    std::map<std::uint64_t, UsageState> usages;  // without an end
    std::uint64_t delivered = 0;
  };

  void count(WriteTransaction& w, Model& m) {
    static constexpr const char* kQuantities[] = {"1", "0.1", "12.355",
                                                  "999999999999999999999999999999999999999",
                                                  "0.00000000000000000000000000000000000001"};
    const auto key = some_bucket();
    const auto added = tally(kQuantities[below(5)], 1 + below(4));
    if (!must(w.add(key, added, opening(1'795'400'000 + static_cast<std::int64_t>(below(5'000)))))) {
      m.usages[seal(w, key)] = UsageState::waiting;
      ASSERT_TRUE(must(w.add(key, added, opening())));
    }
    m.accepted += added.quantity;
  }
  void seal_one(WriteTransaction& w, Model& m) {
    const auto open = must(w.open_buckets(1 + below(3)));
    if (!open.empty()) m.usages[seal(w, open.back().bucket)] = UsageState::waiting;
  }
  void settle(WriteTransaction& w, Model& m, const Moment& at) {
    const auto waiting = some(m.usages, UsageState::waiting);
    if (waiting == 0) return;
    switch (below(8)) {
      case 0:
        must(w.retry(waiting, {at.boot.boot_number, at.boot.since_boot_ms + 1'000}, "503"));
        break;
      case 1:
        must(w.retry(waiting, Due{}, "again"));
        break;
      case 2:
        must(w.park(waiting, "400", at));
        m.usages[waiting] = UsageState::parked;
        break;
      case 3:
        m.usages[supersede(w, waiting)] = UsageState::waiting;
        m.usages.erase(waiting);
        break;
      case 4:
        must(w.hold_in_doubt(waiting, "connection lost"));
        m.usages[waiting] = UsageState::in_doubt;
        break;
      default:
        must(w.deliver(waiting, "receipt", at));
        m.usages.erase(waiting);
        ++m.delivered;
    }
  }
  void operate(WriteTransaction& w, Model& m, const Moment& at) {
    const auto held = some(m.usages, below(2) == 0 ? UsageState::parked : UsageState::in_doubt);
    switch (below(4)) {
      case 0:
        must(w.clear_backoff(some_bucket().series.upstream, 100));
        break;
      case 1:
        must(w.prune_usages(at.wall.seconds().count() - 300, 5));
        break;
      case 2:
        if (held == 0) break;
        must(w.retry(held, Due{}, ""));
        m.usages[held] = UsageState::waiting;
        break;
      default:
        for (const auto& u : must(w.begin_attempts(some_bucket().series.upstream, at, 1 + below(8)))) {
          ASSERT_EQ(m.usages.at(u.sequence), UsageState::waiting);
          if (below(4) == 0) must(w.unsend(u.sequence));
        }
    }
  }

  void expect_as(const Model& m) {
    const auto sums = report();
    ASSERT_THAT(sums.problems, ::testing::IsEmpty());
    ASSERT_EQ(sums.accepted, m.accepted);
    ASSERT_EQ(sums.accepted, sums.open + sums.waiting + sums.in_doubt + sums.parked + sums.delivered);
    std::map<std::uint64_t, UsageState> outbox;
    for (const auto& u : must(read_outbox(*journal_, 100'000))) outbox[u.sequence] = state_of(u.record);
    ASSERT_EQ(outbox, m.usages);
    std::uint64_t waiting = 0;
    std::uint64_t held = 0;
    std::uint64_t delivered = 0;
    for (const auto& row : must(read_overview(*journal_)).upstreams) {
      waiting += row.state.waiting();
      held += row.state.parked() + row.state.in_doubt();
      delivered += row.state.delivered();
    }
    ASSERT_EQ(waiting + held, m.usages.size());
    ASSERT_EQ(delivered, m.delivered);
  }

  Generator random_numbers_;
};

TEST_F(JournalWalk, KeepsConservationThroughTwoThousandRandomSteps) {
  random_numbers_.seed(testing::announced_seed("journal_test", 20'261'122));
  open();
  Model model;
  int boots = 1;
  for (int step = 1; step <= 2'000; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    Model next = model;
    {
      auto write = begin();
      const auto at = now(step * 700);
      for (std::size_t verbs = 1 + below(3); verbs > 0; --verbs) {
        switch (below(8)) {
          case 0:
          case 1:
          case 2:
            count(write, next);
            break;
          case 3:
            seal_one(write, next);
            break;
          case 4:
          case 5:
            settle(write, next, at);
            break;
          default:
            operate(write, next, at);
        }
      }
      ASSERT_EQ(write.conservation_errors(), 0U);
      if (below(5) != 0) {  // every fifth transaction is lost, as by a power cut before its commit
        must(write.commit());
        model = next;
      }
    }
    if (below(100) == 0) reopen();
    if (below(200) == 0) reboot("boot-" + std::to_string(++boots));
    if (step % 20 == 0) expect_as(model);
    if (HasFatalFailure()) return;
  }
  expect_as(model);
  EXPECT_GT(model.delivered, 100U);
}

}  // namespace
}  // namespace meterd::journal
