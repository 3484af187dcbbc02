// A random walk over creating, deleting and delivering on few seconds, beside a model of the upstream that
// has one usage of a series per second. After each step the whole journal is checked; in the end everything
// ends, and nothing is left of it but sums.
#include <map>
#include <random>

#include "tests/base/seed.hpp"
#include "tests/journal/caller_fixture.hpp"

namespace meterd::journal {
namespace {

class DeletionWalk : public CallerTest {
 protected:
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_numbers_() % limit); }
  bool one_in(std::size_t count) { return below(count) == 0; }
  Moment moment() const { return now(time_ms_); }

  // As agent/usages does it: a usage that is there refuses the second, one that is being deleted is waited
  // for.
  void create_some(WriteTransaction& w) {
    static constexpr const char* kItems[] = {"sms-usd", "data-usd"};
    Wanted wanted;
    wanted.item_price = kItems[below(2)];
    const auto date = kMidnight + static_cast<std::int64_t>(below(3));
    for (const auto& there : must(w.usages_at(series(wanted.item_price), date))) {
      if (state_of(there.record) == UsageState::withdrawn) continue;
      if (there.record.deleted_by() == 0) return;
      wanted.behind = there.record.deleted_by();
    }
    must(w.create_usage(caller_usage("u" + std::to_string(++created_), date, wanted), moment()));
    waited_ += wanted.behind != 0 ? 1U : 0U;
  }

  void remove_some(WriteTransaction& w) {
    std::vector<std::uint64_t> all;
    auto txn = must(journal_->begin_read());
    must(txn.scan(prefix(Kind::usage), "", [&](std::string_view key, std::string_view) {
      all.push_back(must(parse_usage_key(key)));
      return true;
    }));
    if (all.empty()) return;
    const auto stored = must(w.usage(all[below(all.size())]));
    if (!is_listed(stored.record)) return;
    const auto state = state_of(stored.record);
    if (state == UsageState::in_doubt) return;
    if (state == UsageState::parked || (state == UsageState::waiting && stored.record.attempts() == 0))
      must(w.withdraw(stored.sequence, moment()));
    else
      must(w.request_deletion(stored.sequence, request("delete"), moment()));
  }

  void seal_some(WriteTransaction& w) {
    must(w.add(bucket(), tally("2"), opening()));
    seal(w, bucket());
  }

  void resolve_doubt(WriteTransaction& w) {
    for (const auto& one : must(read_outbox(*journal_, 1'000)))
      if (state_of(one.record) == UsageState::in_doubt) must(w.retry(one.sequence, Due{}, ""));
  }

  // What the upstream does with what it gets. False: it has another usage of that second.
  bool apply(const UsageRecord& record) {
    if (record.deletes() != 0) {
      upstream_has_.erase(record.id());
      return true;
    }
    const auto place = record.item_price_id() + " " + std::to_string(record.usage_date());
    for (const auto& [id, other] : upstream_has_)
      if (other == place && id != record.id()) return false;
    upstream_has_[record.id()] = place;
    return true;
  }

  void settle(WriteTransaction& w, std::uint64_t sequence) {
    const auto record = must(w.usage(sequence)).record;
    ASSERT_FALSE(has_ended(state_of(record))) << "what is on its way does not end otherwise";
    const bool deletes = record.deletes() != 0;
    switch (below(10)) {
      case 0:
        return must(w.retry(sequence, Due{}, "503"));
      case 1:
        return must(w.retry(sequence, due(time_ms_ + 5'000), "503"));
      case 2:
        return must(w.unsend(sequence));
      case 3:
        if (!deletes) return must(w.hold_in_doubt(sequence, "lost"));
        break;
      case 4:
        if (deletes ? may_refuse_ : !upstream_has_.contains(record.id())) {
          refused_ += deletes ? 1U : 0U;
          return must(w.park(sequence, "400", moment()));
        }
        break;
      default:
        break;
    }
    if (!apply(record)) {
      EXPECT_GT(refused_, 0U) << "two usages of one second, and no deletion was refused: " << record.id();
      return refuse_taken(w, sequence, record);
    }
    must(w.deliver(sequence, "200", moment()));
    deleted_ += deletes ? 1U : 0U;
  }

  // As the flusher does when the upstream says that the second is taken.
  void refuse_taken(WriteTransaction& w, std::uint64_t sequence, const UsageRecord& record) {
    if (record.deleted_by() != 0) return must(w.withdraw(sequence, moment()));
    if (record.dated_by_caller()) return must(w.park(sequence, "taken", moment()));
    supersede(w, sequence);
  }

  void send(WriteTransaction& w) {
    for (const auto& one : must(w.begin_attempts(UpstreamName("billing"), moment(), 1 + below(4)))) {
      const auto on_its_way = std::find(in_flight_.begin(), in_flight_.end(), one.sequence);
      if (on_its_way == in_flight_.end()) in_flight_.push_back(one.sequence);
    }
  }

  void walk_one(WriteTransaction& w) {
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
        return create_some(w);
      case 3:
      case 4:
        return remove_some(w);
      case 5:
        return one_in(4) ? seal_some(w) : resolve_doubt(w);
      case 6:
      case 7:
        if (in_flight_.empty()) send(w);
        return;
      case 8:
        must(w.prune_usages(moment().wall.seconds().count() - 10, 1 + below(3)));
        // Whose second it has is forgotten with a usage: that is no part of this walk.
        std::erase_if(upstream_has_,
                      [&](const auto& one) { return !must(w.find_usage(UsageId(one.first))); });
        return;
      default:
        if (in_flight_.empty()) return;
        settle(w, in_flight_.back());
        in_flight_.pop_back();
    }
  }

  void crash() {  // what was on its way may have arrived
    for (const auto sequence : in_flight_)
      if (one_in(2)) apply(stored(sequence).record);
    in_flight_.clear();
    reboot("boot-" + std::to_string(++boots_));
  }

  void walk(std::size_t steps) {
    for (std::size_t i = 0; i < steps && !HasFailure(); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      time_ms_ += 700;
      step([&](WriteTransaction& w) { walk_one(w); });
      if (one_in(60)) crash();
    }
  }

  // The upstream takes everything, and an operator gives up what it refused.
  void end_everything() {
    in_flight_.clear();
    time_ms_ += 3'600'000;
    for (int round = 0; round < 200 && !in_outbox().empty(); ++round) {
      step([&](WriteTransaction& w) {
        for (const auto& one : must(w.begin_attempts(UpstreamName("billing"), moment(), 100))) {
          const auto record = must(w.usage(one.sequence)).record;
          if (has_ended(state_of(record))) continue;
          if (!apply(record)) {
            refuse_taken(w, one.sequence, record);
            continue;
          }
          must(w.deliver(one.sequence, "200", moment()));
        }
      });
      step([&](WriteTransaction& w) {
        for (const auto& one : must(read_outbox(*journal_, 1'000))) {
          const auto state = state_of(must(w.usage(one.sequence)).record);
          if (state == UsageState::in_doubt) must(w.retry(one.sequence, Due{}, ""));
          if (state == UsageState::parked) must(w.withdraw(one.sequence, moment()));
        }
      });
    }
    EXPECT_THAT(in_outbox(), ::testing::IsEmpty()) << "something waits for ever";
  }

  void expect_nothing_left() {
    const auto b = report();
    EXPECT_EQ(b.accepted, b.delivered + b.withdrawn + b.open);
    while (forget_all() > 0) continue;
    for (const auto kind :
         {Kind::usage, Kind::usage_id, Kind::history, Kind::outbox, Kind::taken_date, Kind::by_subscription})
      EXPECT_EQ(count(prefix(kind)), 0U) << static_cast<char>(kind);
    EXPECT_EQ(upstream().waiting() + upstream().parked() + upstream().in_doubt(), 0U);
  }

  std::mt19937_64 random_numbers_;
  std::int64_t time_ms_ = 60'000;
  bool may_refuse_ = false;
  int boots_ = 1;
  std::size_t created_ = 0, waited_ = 0, deleted_ = 0, refused_ = 0;
  std::vector<std::uint64_t> in_flight_;
  std::map<std::string, std::string> upstream_has_;  // item price and second, by id
};

TEST_F(DeletionWalk, NeverHasTwoUsagesOfOneSecondAtTheUpstream) {
  random_numbers_.seed(testing::announced_seed("journal_test", 20'261'122));
  walk(3'000);
  EXPECT_GT(deleted_, 20U);
  EXPECT_GT(waited_, 20U);
  end_everything();
  expect_nothing_left();
}

TEST_F(DeletionWalk, EndsEverythingThoughDeletionsAreRefused) {
  random_numbers_.seed(testing::announced_seed("journal_test", 20'261'123));
  may_refuse_ = true;
  walk(3'000);
  EXPECT_GT(refused_, 3U);
  end_everything();
  expect_nothing_left();
}

}  // namespace
}  // namespace meterd::journal
