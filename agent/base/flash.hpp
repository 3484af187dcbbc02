// What counting costs the device's flash.
#pragma once

#include <cstdint>

#include "agent/base/usage_day.hpp"

namespace meterd {

// What a commit writes to the device, whatever it carries (measured; see DESIGN.md). For what is to be
// expected; where the kernel counts what was written, the rate so far is that.
inline constexpr std::int64_t kFlashBytesPerCommit = 20'480;

constexpr std::int64_t flash_bytes_per_day(Milliseconds commit_interval) {
  constexpr std::int64_t kDayMs = 86'400'000;
  return kDayMs / commit_interval.count() * kFlashBytesPerCommit;
}

// What each counter that moved adds to the commit of its reading: 172 KB for 10,000 of an nftables set
// (measured; they are stored in pages of 64).
inline constexpr std::int64_t kFlashBytesPerCounter = 18;

constexpr std::int64_t flash_bytes_per_day(std::int64_t counters, Milliseconds interval) {
  constexpr std::int64_t kDayMs = 86'400'000;
  return kDayMs / interval.count() * counters * kFlashBytesPerCounter;
}

// Rounded up: a little is not nothing.
constexpr std::int64_t megabytes_of(std::int64_t bytes) { return (bytes + 999'999) / 1'000'000; }

}  // namespace meterd
