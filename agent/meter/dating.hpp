// When a bucket is sealed and which second its usage carries. Pure functions of values.
#pragma once

#include <cstdint>

#include "agent/base/ids.hpp"
#include "agent/base/usage_day.hpp"
#include "agent/meter/time_zone.hpp"

namespace meterd::meter {

// One upstream's rule for sealing. All in seconds.
struct SealRule {
  std::int64_t interval = 86'400;     // `seal`: at most a day
  std::int64_t delay = 300;           // `seal_delay`; 0 for intervals below an hour
  std::int64_t flush_window = 3'600;  // the fleet is spread over it; 0 for intervals below an hour

  // The configured values with the spec's defaults: delay and window are 0 for intervals below one hour, the
  // window is otherwise the smaller of the interval and one hour.
  static SealRule with_defaults(std::int64_t interval);
};

// The part of a day that one seal covers, [start, end), in seconds since the epoch.
struct SealCover {
  std::int64_t start = 0;
  std::int64_t end = 0;
};

// The end of the interval (counted from the start of its day in `zone`) in which the instant lies.
std::int64_t interval_end(const TimeZone& zone, const SealRule& rule, WallTime instant);

// The device's place within the rule's flush window, in seconds: always the same.
std::int64_t phase_of(const SealRule& rule, const DeviceId& device);

// When a bucket that got its first event at `opened_at` is due: the end of that interval, plus the delay,
// plus the device's phase within the flush window.
WallTime seal_due(const TimeZone& zone, const SealRule& rule, const DeviceId& device, WallTime opened_at);

// What a seal at `now` covers of `day`: for the first seal of the interval in which the bucket was opened,
// that interval; for events that came after their day, the whole day.
SealCover seal_cover(const TimeZone& zone, const SealRule& rule, UsageDay day, WallTime opened_at);

// s + H(device id) mod (e - s), never after `now` and never outside the day. The first second to try; the
// journal then takes the next free one.
std::int64_t preferred_date(const DeviceId& device, const SealCover& cover, WallTime now);

}  // namespace meterd::meter
