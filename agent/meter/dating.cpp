#include "agent/meter/dating.hpp"

#include <algorithm>

#include "agent/meter/identity.hpp"

namespace meterd::meter {
namespace {

struct Interval {
  std::int64_t start;
  std::int64_t end;
};

Interval interval_of(const TimeZone& zone, const SealRule& rule, WallTime instant) {
  const auto bounds = zone.bounds(zone.day_of(instant));
  const auto at = instant.seconds().count();
  const auto index = (at - bounds.start) / rule.interval;
  const auto start = bounds.start + index * rule.interval;
  // A day of 25 hours with "1d" is one interval, not one and an hour; a day of 23 ends early.
  const bool whole_day = rule.interval >= 86'400;
  return {whole_day ? bounds.start : start,
          whole_day ? bounds.end : std::min(start + rule.interval, bounds.end)};
}

}  // namespace

SealRule SealRule::with_defaults(std::int64_t interval) {
  if (interval < 3'600) return {interval, 0, 0};
  return {interval, 300, std::min<std::int64_t>(interval, 3'600)};
}

std::int64_t interval_end(const TimeZone& zone, const SealRule& rule, WallTime instant) {
  return interval_of(zone, rule, instant).end;
}

std::int64_t phase_of(const SealRule& rule, const DeviceId& device) {
  if (rule.flush_window <= 0) return 0;
  return static_cast<std::int64_t>(device_hash(device, "phase") %
                                   static_cast<std::uint64_t>(rule.flush_window));
}

WallTime seal_due(const TimeZone& zone, const SealRule& rule, const DeviceId& device, WallTime opened_at) {
  return WallTime::from_seconds(interval_end(zone, rule, opened_at) + rule.delay + phase_of(rule, device));
}

SealCover seal_cover(const TimeZone& zone, const SealRule& rule, UsageDay day, WallTime opened_at) {
  const auto bounds = zone.bounds(day);
  if (zone.day_of(opened_at) != day) return {bounds.start, bounds.end};
  const auto interval = interval_of(zone, rule, opened_at);
  return {interval.start, interval.end};
}

std::int64_t preferred_date(const DeviceId& device, const SealCover& cover, WallTime now) {
  const auto length = std::max<std::int64_t>(1, cover.end - cover.start);
  const auto date =
      cover.start + static_cast<std::int64_t>(device_hash(device, "") % static_cast<std::uint64_t>(length));
  return std::max(cover.start, std::min(date, now.seconds().count()));
}

}  // namespace meterd::meter
