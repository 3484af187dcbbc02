// A program that calls the device's own Usages API: it creates usages with ids and usage_dates of its own,
// deletes some of them, and creates them again to correct them. Each request has an idempotency key and is
// repeated with it until it is answered. What it believes goes to the usage book.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/usages/collection.hpp"
#include "tests/sim/draws.hpp"
#include "tests/sim/machine.hpp"
#include "tests/sim/usage_book.hpp"
#include "tests/sim/world.hpp"

namespace meterd::sim {

class Caller {
 public:
  struct Habits {
    std::string name;
    std::vector<std::pair<std::string, std::string>> series;  // subscription, item price
    Milliseconds interval{3'600'000};                         // between its calls, on average
    std::int64_t burst = 2;                                   // usages at a time, at most
    std::int64_t no_id_percent = 0;                           // of usages get their id from the device
    std::int64_t taken_percent = 0;                           // of usages want a second that is taken
    std::int64_t delete_percent = 0;                          // of usages are deleted later
    std::int64_t again_percent = 0;                           // of deletions: the usage is corrected
    std::int64_t lost_answer_percent = 0;
    bool long_memory = true;  // of the device: what has ended is not forgotten while the plan lasts
    bool renames = false;     // negative control: a repeat has another key and date, and no id
  };
  struct Dependencies {
    World& world;
    Machine& machine;
    UsageBook& book;
    std::function<void()> on_send = [] {};
  };
  Caller(Dependencies dependencies, const Habits& habits, Draws draws)
      : deps_(std::move(dependencies)), habits_(habits), draws_(draws) {}
  Caller(const Caller&) = delete;

  void begin();
  void connect();     // a process runs
  void disconnect();  // it has ended
  void stop_making() { making_ = false; }
  bool done() const { return waiting_.empty(); }
  std::uint64_t repeated() const { return repeated_; }

 private:
  struct Request {
    UsageBook::Entry entry = 0;
    usages::Draft draft;
    bool deletes = false;
    UsageId id;  // to delete
    std::string key;
    bool maybe_done = false;  // an attempt before was not answered
    // It was answered then, on a device that knew the time, and the answer did not arrive.
    std::optional<WallTime> surely_done;
  };
  using Answer = std::function<void(const Result<usages::Change>&)>;
  void make();
  void ask_for(const std::string& subscription, const std::string& item_price, std::int64_t usage_date);
  std::int64_t some_date();
  void delete_later(UsageBook::Entry entry, const usages::Draft& draft);
  void send();
  void repeat_in(Milliseconds wait);
  void lose_answer(const Result<usages::Change>& answer);
  void take_answer(std::uint64_t number, const Result<usages::Change>& answer);
  void check_replay(const Request& request, const usages::Change& change);
  // False: it cannot be told yet.
  bool settle_create(const Request& request, const usages::Change& change);
  void settle_delete(const Request& request, const usages::Change& change);
  void confirm_created(const Request& request, const std::string& id);
  void look_for(const Request& request);
  void take_looked(std::uint64_t number, const Result<journal::UsagePage>& page);
  void finish_first();

  Dependencies deps_;
  Habits habits_;
  Draws draws_;
  bool making_ = true, connected_ = false, in_flight_ = false, repeat_planned_ = false;
  bool knew_time_ = false;  // when the request in flight was sent
  std::uint64_t made_ = 0, sent_ = 0, repeated_ = 0;
  std::deque<Request> waiting_;  // oldest first; the one in flight included
  std::set<std::int64_t> dates_;
  std::deque<usages::Draft> known_;  // a few that were created
};

}  // namespace meterd::sim
