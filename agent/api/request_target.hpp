// A request's target ("/events?ack=received") to its path and its parameters.
#pragma once

#include <string_view>

#include "agent/api/http.hpp"

namespace meterd::api {

// False: it is not a path, or has too many parameters; `request` has neither then.
bool read_target(std::string_view target, Request& request);

}  // namespace meterd::api
