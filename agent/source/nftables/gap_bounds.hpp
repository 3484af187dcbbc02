// What a gap of counters can have lost at most. Pure.
#pragma once

#include <optional>
#include <string>

#include "agent/source/nftables/kept_readings.hpp"

namespace meterd::source {

// Empty: not known, as no rate is declared, or nobody knows how long it lasted: after a boot only two trusted
// readings of the wall clock tell. `now`: when the reading after the gap had ended.
std::string lost_at_most(const std::optional<Quantity>& bytes_per_second_max, const ReadingMoment& before,
                         const ReadingMoment& now);

}  // namespace meterd::source
