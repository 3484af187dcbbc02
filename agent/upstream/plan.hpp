// What a configuration comes to at an upstream, from the upstream's traits alone. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "agent/meter/dating.hpp"
#include "agent/upstream/upstream.hpp"

namespace meterd::upstream {

struct PlanInput {
  Traits traits;
  meter::SealRule seal;
  Seconds phase{};               // the device's, within the flush window
  std::int64_t item_prices = 1;  // the most that can meet on one subscription; 0: none is metered
};

// Something that changes once a usage, or the device, has waited or counted so long.
struct Deadline {
  enum class Kind : std::uint8_t {
    answer_lost,    // neither a repeat nor a look can tell what became of it: in doubt
    key_forgotten,  // a repeat is no longer known by its key: it is looked up by its id first
    age_refused,    // a usage is too old for the upstream
    lifetime_used,  // a subscription has had all the usages that it may have
  };
  Kind kind = Kind::answer_lost;
  Seconds after{};
};
std::string_view meaning_of(Deadline::Kind kind);

// Of one subscription of which every item price is counted in each interval, without late events.
struct Plan {
  std::int64_t seals_per_day = 0;
  std::int64_t usages_per_day = 0;
  std::int64_t requests_per_day = 0;
  Seconds after_interval{};              // how long after each interval's end they leave
  std::int64_t lifetime_limit = 0;       // usages; 0: none
  std::optional<Seconds> lasts = {};     // until those are used
  std::vector<Deadline> deadlines = {};  // the first one first

  // How many usages so long a time takes.
  std::int64_t usages_in(Seconds time) const;
  Seconds seal_interval{};
  std::int64_t item_prices = 1;
};
Plan plan_of(const PlanInput& input);

}  // namespace meterd::upstream
