// Requests to the Usages API as they come from the wire, and what is said of a call or of a refusal.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "agent/api/chargebee/calls.hpp"
#include "agent/api/request_target.hpp"

namespace meterd::api::chargebee {

inline constexpr const char* kFormType = "application/x-www-form-urlencoded";

inline Request request_of(const std::string& method, const std::string& target,
                          const std::string& body = {}) {
  Request request;
  request.method = method;
  EXPECT_TRUE(read_target(target, request)) << target;
  request.body = body;
  request.content_type = std::string(kFormType) + "; charset=utf-8";
  return request;
}

inline Call get(const std::string& target) { return parse_call(request_of("GET", target)); }
inline Call post(const std::string& target, const std::string& body) {
  return parse_call(request_of("POST", target, body));
}

// "400 param_wrong_value id", or what the call is: "create", ...
inline std::string summary(const Call& call) {
  if (const auto* error = std::get_if<ApiError>(&call))
    return std::to_string(error->status) + " " + error->code +
           (error->param.empty() ? "" : " " + error->param);
  constexpr const char* kNames[] = {"", "create", "retrieve", "delete", "list", "pdf"};
  return kNames[call.index()];
}

inline std::string message_of(const Call& call) {
  const auto* error = std::get_if<ApiError>(&call);
  return error == nullptr ? "" : error->message;
}

inline std::string times(std::size_t count, const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

}  // namespace meterd::api::chargebee
