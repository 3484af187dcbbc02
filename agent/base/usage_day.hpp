// UsageDay: a calendar day, without a zone: days since 1970-01-01. Instant: seconds or milliseconds of UTC.
// All instants are 64-bit on every architecture, so that dates beyond 2038 are right on 32-bit ARM.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/base/result.hpp"

namespace meterd {

using Microseconds = std::chrono::duration<std::int64_t, std::micro>;
using Milliseconds = std::chrono::duration<std::int64_t, std::milli>;
using Seconds = std::chrono::duration<std::int64_t>;

// Wall-clock time (UTC since the Unix epoch). A strong type: it never mixes with time since boot.
struct WallTime {
  Milliseconds since_epoch{};
  auto operator<=>(const WallTime&) const = default;
  Seconds seconds() const { return std::chrono::floor<Seconds>(since_epoch); }
  static WallTime from_seconds(std::int64_t s) { return {Seconds(s)}; }
  friend WallTime operator+(WallTime t, Milliseconds d) { return {t.since_epoch + d}; }
  friend WallTime operator-(WallTime t, Milliseconds d) { return {t.since_epoch - d}; }
  friend Milliseconds operator-(WallTime a, WallTime b) { return a.since_epoch - b.since_epoch; }
};

// Time since boot, suspend included (CLOCK_BOOTTIME): never steps, means nothing after the next boot.
struct BootTime {
  Milliseconds since_boot{};
  auto operator<=>(const BootTime&) const = default;
  friend BootTime operator+(BootTime t, Milliseconds d) { return {t.since_boot + d}; }
  friend Milliseconds operator-(BootTime a, BootTime b) { return a.since_boot - b.since_boot; }
};

class UsageDay {
 public:
  UsageDay() = default;
  explicit UsageDay(std::int32_t days_since_epoch) : days_(days_since_epoch) {}

  static Result<UsageDay> parse(std::string_view iso);  // "2026-11-22"

  std::int32_t days_since_epoch() const { return days_; }
  std::string iso() const;      // "2026-11-22"
  std::string compact() const;  // "20261122", as in a usage's id
  auto operator<=>(const UsageDay&) const = default;

 private:
  std::int32_t days_ = 0;
};

// "2026-11-22T01:02:03Z", and back: RFC 3339 with Z or an offset, seconds with or without a fraction.
std::string rfc3339(WallTime time);
Result<WallTime> parse_rfc3339(std::string_view text);

}  // namespace meterd
