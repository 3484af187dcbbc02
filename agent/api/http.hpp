// A request to the device's own API and its answer, as plain values. Only http_server.cpp knows Beast.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace meterd::api {

struct Request {
  std::string method;
  std::string path;                                        // decoded
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::string content_type;
  std::string authorization;
  std::string body;
  std::string host;  // the Host header, as sent
  bool over_tcp = false;
  bool local =
      false;  // over the unix socket, from a peer that [access] allows: operators' verbs exist only there

  std::optional<std::string> parameter(std::string_view name) const {
    for (const auto& [key, value] : query)
      if (key == name) return value;
    return std::nullopt;
  }
};

struct Response {
  unsigned status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
};

// {"error":{"code","message"}}; `message` says what to do.
Response error_response(unsigned status, std::string_view code, std::string_view message);

}  // namespace meterd::api
