// What was lost between a web server's workers and us, by the numbers that each worker gives its messages: 1,
// 2, 3, ... under a name that no other worker ever has. Each number is counted once, or is lost. Rules:
//   higher than any before: what was skipped is missing; the first sight of a worker expects 1;
//   missing until now: it was overtaken on the way, as between a server's threads, and is not lost;
//   neither: a datagram does not come twice, so a worker began anew under an old name: as at its first sight.
// In a journal that was put back, the original may have counted what is below the first number of each
// worker: that is in doubt, and not lost. What was missing longest is forgotten when a worker has too many
// gaps at once; it stays lost. The worker that was not seen for longest is forgotten when there are too many:
// its name does not come again. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/journal/write_transaction.hpp"
#include "platform/clock.hpp"

namespace meterd::source {

class Sequences {
 public:
  static constexpr std::size_t kWorkersMax = 256;
  static constexpr std::size_t kRangesMax = 16;  // of one worker's missing numbers

  Sequences() = default;
  // `of_a_copy`: the journal was put back, at whatever time.
  explicit Sequences(const journal::v0::AccessLogCursor& stored, bool of_a_copy = false);

  struct Step {
    std::uint64_t lost = 0;      // are missing from now on
    std::uint64_t doubtful = 0;  // may be missing, or were counted before the journal was put back
    bool is_found = false;       // one is missing no more
    std::int64_t since_ms = 0;   // when the worker was seen last before, by a trusted clock; 0: not known
  };
  Step take(std::string_view worker, std::uint64_t number, const platform::WallReading& now);

  // Since the cursor was taken last, or the start.
  bool is_changed() const { return changed_; }
  journal::v0::AccessLogCursor cursor() const;
  journal::v0::AccessLogCursor take_cursor();

 private:
  struct Range {
    std::uint64_t first = 0, last = 0;  // both missing
    bool is_doubtful = false;
  };
  struct Worker {
    std::uint64_t highest = 0;
    std::vector<Range> missing;  // rising
    std::int64_t seen_ms = 0;
    bool is_copied = false;  // not seen since the journal was put back
    std::uint64_t turn = 0;  // the higher, the later it was seen
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
  };
  static std::optional<Range> find_missing(Worker& worker, std::uint64_t number);
  static void add_missing(Worker& worker, Range range);
  Worker& worker_of(std::string_view name);

  std::unordered_map<std::string, Worker, Hash, std::equal_to<>> workers_;
  std::uint64_t turn_ = 0;
  bool changed_ = false;
  bool of_a_copy_ = false;
};

}  // namespace meterd::source
