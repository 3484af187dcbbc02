// statsd lines: NAME:VALUE|c[|@1][|#key:value,...]. Counters only, exact decimals only. The tag
// `subscription` says whose event it is. Other tags are passed over. Pure.
#pragma once

#include <string_view>
#include <variant>

#include "agent/meter/event.hpp"

namespace meterd::ingest {

// The event (views into `line`), or why it is none. A sample rate other than 1 is refused: it is an estimate.
std::variant<meter::EventView, meter::Refusal> parse_statsd_line(std::string_view line);

}  // namespace meterd::ingest
