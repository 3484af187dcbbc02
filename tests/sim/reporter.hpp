// A program that reports events, and keeps what it has not got acknowledged: it retries, loses answers, loses
// its connection, and sometimes repeats what was acknowledged long ago. What it believes goes to the oracle.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "meterd/v1/ingest.pb.h"
#include "tests/sim/draws.hpp"
#include "tests/sim/machine.hpp"
#include "tests/sim/oracle.hpp"
#include "tests/sim/world.hpp"

namespace meterd::sim {

// An event's name and what it is billed as: one series for each of its meters.
struct Kind {
  std::string event, subscription;
  std::vector<std::size_t> series;
};

class Reporter {
 public:
  enum class Identity { sequence, id, none };
  struct Habits {
    std::string name;
    Identity identity = Identity::sequence;
    bool received = false;              // does not wait for the disk
    Milliseconds interval{60'000};      // between its events, on average
    std::int64_t burst = 3;             // events at a time, at most
    std::int64_t own_time_percent = 0;  // of events carry the time when they happened
    std::int64_t odd_time_percent = 0;  // of those: far in the past or the future
    std::int64_t lost_ack_percent = 0;
    std::int64_t repeat_percent = 0;  // of answers: something old is reported once more
    bool believes_anything = false;   // negative control: takes a sent batch for acknowledged
    bool renames = false;             // negative control: a repeat comes under another id
  };
  struct Dependencies {
    World& world;
    Machine& machine;
    Oracle& oracle;
    std::vector<Kind> kinds;
    std::function<Place()> here;  // where an event without a time of its own counts now
    std::function<void()> on_send = [] {};
  };
  Reporter(Dependencies dependencies, const Habits& habits, Draws draws);
  Reporter(const Reporter&) = delete;

  void begin();
  void connect();     // a process runs
  void disconnect();  // it has ended
  void stop_making() { making_ = false; }
  bool done() const { return waiting_.empty() && !in_flight_; }
  std::uint64_t made() const { return made_; }

 private:
  struct Report {
    v1::Event event;
    std::uint64_t sequence = 0;
    Oracle::Id claim = 0;
    std::optional<WallTime> time;  // its own
  };
  void make();
  void make_one();
  void send();
  void send_plain();
  v1::Batch batch_of(const std::vector<Report>& reports) const;
  Place place_of(const Report& report) const;
  void take_answer(std::uint64_t number, const v1::Ack& ack);
  void settle(const v1::Ack& ack);
  Oracle::When when_of(const v1::Ack& ack) const;
  void confirm(const Report& report, Oracle::When when);
  void repeat_old();
  void retry_in(Milliseconds wait);

  Dependencies deps_;
  Habits habits_;
  Draws draws_;
  bool making_ = true, connected_ = false, in_flight_ = false, retry_planned_ = false;
  std::uint64_t next_sequence_ = 1, made_ = 0, sent_ = 0;
  std::uint64_t refusals_ = 0;       // in a row
  std::size_t sent_count_ = 0;       // of the batch in flight
  std::deque<Report> waiting_;       // oldest first; those in flight included
  std::deque<Report> acknowledged_;  // a few old ones
};

}  // namespace meterd::sim
