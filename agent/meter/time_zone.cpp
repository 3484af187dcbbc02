#include "agent/meter/time_zone.hpp"

#include <cctz/civil_time.h>
#include <cctz/time_zone.h>

namespace meterd::meter {
namespace {

using SysSeconds = cctz::time_point<cctz::seconds>;

SysSeconds instant(std::int64_t seconds) { return SysSeconds(cctz::seconds(seconds)); }

}  // namespace

struct TimeZone::Rules {
  std::string name;
  cctz::time_zone zone;

  // The first instant whose civil day is `day`: where midnight does not exist, the day starts after the gap.
  std::int64_t start_of(cctz::civil_day day) const {
    const auto at = zone.lookup(cctz::civil_second(day));
    const auto start = at.kind == cctz::time_zone::civil_lookup::SKIPPED ? at.trans : at.pre;
    return start.time_since_epoch().count();
  }
};

TimeZone::TimeZone() : rules_(std::make_shared<Rules>(Rules{"UTC", cctz::utc_time_zone()})) {}

Result<TimeZone> TimeZone::load(const std::string& name) {
  cctz::time_zone zone;
  if (!cctz::load_time_zone(name, &zone))
    return Error{Code::invalid, "time zone \"" + name + "\" is not in this system's tz database"};
  TimeZone out;
  out.rules_ = std::make_shared<Rules>(Rules{name, zone});
  return out;
}

UsageDay TimeZone::day_of(WallTime time) const {
  const auto at = time.seconds().count();
  cctz::civil_day day(cctz::convert(instant(at), rules_->zone));
  // Clocks put back over midnight show the end of a day twice: the first midnight cuts, so that bounds()
  // agrees.
  if (at >= rules_->start_of(day + 1)) ++day;
  return UsageDay(static_cast<std::int32_t>(day - cctz::civil_day(1970, 1, 1)));
}

DayBounds TimeZone::bounds(UsageDay day) const {
  const cctz::civil_day civil = cctz::civil_day(1970, 1, 1) + day.days_since_epoch();
  return {rules_->start_of(civil), rules_->start_of(civil + 1)};
}

const std::string& TimeZone::name() const { return rules_->name; }

}  // namespace meterd::meter
