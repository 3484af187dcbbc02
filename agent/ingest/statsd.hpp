// statsd lines: NAME:VALUE|c[|@1][|#key:value,...]. Counters only, exact decimals only. The tag
// `subscription` says whose event it is. Other tags are passed over. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "agent/meter/event.hpp"

namespace meterd::ingest {

// Fills `out`, which must be fresh, with views into `line`; or says why it is no event. A sample rate other
// than 1 is refused: it is an estimate.
std::optional<meter::Refusal> parse_statsd_line(std::string_view line, meter::EventView& out);

}  // namespace meterd::ingest
