// GET /metrics: the same moment as /status in Prometheus' text format 0.0.4. Pure.
//
// Names begin with `meterd_`, base units, `_total` for what only rises while the process lives; the standard
// names `process_...` where there are such. Labels: upstream (as many as were ever configured), reason,
// server, code, state, version; never a subscription or another thing that producers name. What is not known
// has no sample.
#pragma once

#include <string>
#include <string_view>

#include "agent/api/status.hpp"

namespace meterd::api {

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

std::string to_metrics(const Status& status);

}  // namespace meterd::api
