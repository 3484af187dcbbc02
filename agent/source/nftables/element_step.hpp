// What the step from one reading of an element's counter to the next counts. Pure. Rules:
//   first sight of a subscriber, however long its element is there: a starting point, nothing is counted;
//   an element that was not there at the last reading: its counter began at zero, so all of it;
//   the same counter, lower neither in bytes nor in packets: the difference;
//   lower in one of them (reset), or of a table or set that was made anew: it began at zero again, so all of
//   it, and what it counted between the last reading and its end is lost: a gap; an element that is gone: a
//   gap, too. But a ruleset may have been saved with its counters and loaded again: one that is not lower
//   than before counts the difference only, and what it had is in doubt, a part of the gap.
// A counter of 64 bits needs 4,000 years at 1 Gbit/s to begin again by itself, so a lower one was reset: what
// passes for a difference is never guessed. What no reading can tell is told in meterd.toml(5): a counter
// that was reset and counted more than ever before within one interval looks like one that went on.
#pragma once

#include <cstdint>

namespace meterd::source {

struct ElementReading {
  enum class Seen : std::uint8_t { unknown, absent, present };
  Seen seen = Seen::unknown;
  std::uint64_t bytes = 0, packets = 0;  // 0 unless it is present
  bool operator==(const ElementReading&) const = default;
};

struct ElementStep {
  enum class End : std::uint8_t { none, reset, replaced, gone };  // of the counter that was read before
  std::uint64_t bytes = 0;                                        // to count
  End end = End::none;
  std::uint64_t in_doubt = 0;  // beside what the gap lost otherwise
  bool operator==(const ElementStep&) const = default;
};

// `now` is present or absent. `same_counters`: no table, set or boot came between the two.
ElementStep element_step(const ElementReading& before, const ElementReading& now, bool same_counters);

}  // namespace meterd::source
