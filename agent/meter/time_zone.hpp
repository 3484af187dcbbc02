// The zone that cuts a usage day. Immutable and cheap to copy after load(); any thread.
#pragma once

#include <memory>
#include <string>

#include "agent/base/result.hpp"
#include "agent/base/usage_day.hpp"

namespace meterd::meter {

struct DayBounds {  // [start, end): 23, 24 or 25 hours, in seconds since the epoch
  std::int64_t start = 0;
  std::int64_t end = 0;
};

class TimeZone {
 public:
  TimeZone();  // UTC
  // `name` as in the tz database ("Europe/Berlin"). Code::invalid when it is unknown here.
  static Result<TimeZone> load(const std::string& name);

  UsageDay day_of(WallTime time) const;
  DayBounds bounds(UsageDay day) const;
  const std::string& name() const;

 private:
  struct Rules;
  std::shared_ptr<const Rules> rules_;
};

}  // namespace meterd::meter
