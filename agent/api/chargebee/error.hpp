// An error as the Usages API answers it: message, type, api_error_code, param and http_status_code. The codes
// and what type each has are the vendor's (its error handling page); its legacy `error_code` is left out.
#pragma once

#include <string>
#include <string_view>

#include "agent/api/http.hpp"

namespace meterd::api::chargebee {

struct ApiError {
  unsigned status = 400;
  std::string code;        // api_error_code
  std::string message;     // what to do
  std::string param = {};  // which parameter, if it is one
  std::string allow = {};  // with 405: the methods of the path
};

// 400 of one parameter. The message becomes "param : message", as the vendor's do.
ApiError wrong_value(std::string_view param, std::string_view message);
// 400 of the request as a whole.
ApiError invalid_request(std::string_view message);
// 404: there is nothing of that kind and id. `what`: "usage", "path".
ApiError not_found(std::string_view what);

Response to_response(const ApiError& error);

// An answer that the HTTP server or the routes made in meterd's own shape, in the vendor's: the status and
// the header fields stay. What is no error, or has the vendor's shape already, is returned as it is.
Response reshape(const Response& answer);

}  // namespace meterd::api::chargebee
