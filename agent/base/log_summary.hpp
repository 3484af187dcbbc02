// Repeats are summarised: of each kind of line the first few of a minute are written as they are, the rest is
// counted. The count comes with the next line of that kind, `suppressed=N`; or, once the minute is over, with
// the next line of any kind, behind the last of those that were left out and how long ago that was
// (`ago_s`): so the last word on a state is never lost. No timer: an idle daemon stays idle. An answer to an
// operator is no repeat: each is written.
//
// One kind: the same level and event and, where they are given, the same upstream, interface, socket, what,
// reason, outcome and error. So an error hides only its own repeats; numbers and ids do not make a kind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "agent/base/log.hpp"
#include "agent/base/usage_day.hpp"

namespace meterd {

class SummarisingLog final : public Log {
 public:
  static constexpr std::uint32_t kShownPerMinute = 5;
  // Beyond as many kinds in one minute, a new one is judged by its level and event alone.
  static constexpr std::size_t kKindsMax = 128;
  static constexpr std::size_t kLineBytesMax = 1'024;  // of a line kept; of a longer one only the event is

  // `to` lives longer. `now`: any clock that does not go back; called by any thread.
  SummarisingLog(Log& to, std::function<Milliseconds()> now) : to_(to), now_(std::move(now)) {}
  ~SummarisingLog() override { flush(); }
  SummarisingLog(const SummarisingLog&) = delete;
  SummarisingLog& operator=(const SummarisingLog&) = delete;

  // Writes what is counted so far.
  void flush();

 private:
  struct Kind {
    Milliseconds ends{};  // its minute
    std::uint32_t shown = 0;
    std::uint64_t suppressed = 0;
    Level level = Level::info;
    std::string last;  // of those suppressed
    Milliseconds last_at{};
    std::uint64_t last_number = 0;
  };
  void record(Level level, std::string_view event, Fields fields) override;
  void write(Level level, const std::string& line) override { to_.write(level, line); }
  Kind& kind_of(Level level, std::string_view event, Fields fields, Milliseconds now);
  void end_minutes(Milliseconds now, const Kind* but);
  void write_summaries(std::vector<Kind> kinds, Milliseconds now);

  Log& to_;
  std::function<Milliseconds()> now_;
  std::mutex mutex_;  // guards all below, and the order of what is written
  std::map<std::string, Kind> kinds_;
  Milliseconds next_end_{};  // of the minutes that run; nothing ends before
  std::uint64_t number_ = 0;
};

}  // namespace meterd
