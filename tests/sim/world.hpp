// The world around the device: true time (what a perfect clock would show), what happens when, and a log of
// it. Everything in a simulation that is not the agent is an action on the agenda. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "agent/base/usage_day.hpp"

namespace meterd::sim {

class World {
 public:
  using Action = std::function<void()>;
  explicit World(WallTime begin) : now_(begin) {}

  WallTime now() const { return now_; }
  void pass(Milliseconds by) { now_ = now_ + by; }

  // Of two at one time, the one that was put first goes first.
  void at(WallTime when, Action action) { agenda_.emplace(when < now_ ? now_ : when, std::move(action)); }
  void in(Milliseconds wait, Action action) { at(now_ + wait, std::move(action)); }
  std::optional<WallTime> next() const {
    if (agenda_.empty()) return std::nullopt;
    return agenda_.begin()->first;
  }
  bool run_next();  // the first action that is due; false: none

  // Faults end here: what is still to come of them is dropped by whoever asks.
  bool quiet() const { return quiet_; }
  void quieten() { quiet_ = true; }

  // A line of the log, with true time in front. Only the last ones are kept, unless all are wanted.
  void note(const std::string& what);
  void keep_all_notes() { keep_all_ = true; }
  const std::deque<std::string>& notes() const { return notes_; }
  std::uint64_t notes_hash() const { return hash_; }  // of all notes ever: two runs of a seed have the same

  // How often each kind of fault struck.
  void count(const std::string& fault) { ++faults_[fault]; }
  const std::map<std::string, std::uint64_t>& faults() const { return faults_; }

 private:
  static constexpr std::size_t kNotesKept = 60;
  WallTime now_;
  std::multimap<WallTime, Action> agenda_;
  bool quiet_ = false;
  bool keep_all_ = false;
  std::deque<std::string> notes_;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  std::map<std::string, std::uint64_t> faults_;
};

}  // namespace meterd::sim
