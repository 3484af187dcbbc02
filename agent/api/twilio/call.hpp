// A request to one of Twilio's usage APIs on the device as a value (seed 001: V1; seed 000: Preview), or what
// is wrong with it. Pure.
#pragma once

#include <string>
#include <variant>

#include "agent/api/http.hpp"
#include "agent/usages/charges.hpp"

namespace meterd::api::twilio {

inline constexpr std::size_t kItemsMax = 1'000;  // of one request

// "/v1/InstalledAddOns/..." and "/marketplace/InstalledAddOns/...".
bool is_api_path(std::string_view path);

struct CallError {
  unsigned status = 400;
  std::string message;
  std::string allow = {};  // the method, with 405
};
using Call = std::variant<CallError, usages::ChargeOrder>;
Call parse_call(const Request& request);

// {"code", "message", "more_info", "status"}.
Response to_response(const CallError& error);
// An error of meterd's own shape in Twilio's; other answers stay as they are.
Response reshape(const Response& answer);

}  // namespace meterd::api::twilio
