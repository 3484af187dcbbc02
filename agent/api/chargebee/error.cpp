#include "agent/api/chargebee/error.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <utility>

namespace meterd::api::chargebee {
namespace {

namespace json = boost::json;

constexpr std::size_t kNameBytesMax = 100;  // of a parameter's name that is said again

constexpr std::string_view kInvalidRequest = "invalid_request";
constexpr std::string_view kOperationFailed = "operation_failed";

// The vendor's groups. What is not listed has no type.
constexpr std::array<std::pair<std::string_view, std::string_view>, 18> kTypes{{
    {"param_wrong_value", kInvalidRequest},
    {"duplicate_entry", kInvalidRequest},
    {"resource_limit_exhausted", kInvalidRequest},
    {"resource_limit_exceeded", kInvalidRequest},
    {"invalid_request", kInvalidRequest},
    {"resource_not_found", kInvalidRequest},
    {"http_method_not_supported", kInvalidRequest},
    {"invalid_state_for_request", kInvalidRequest},
    {"unable_to_process_request", kInvalidRequest},
    {"db_connection_failure", kInvalidRequest},
    {"request_blocked", kOperationFailed},
    {"api_request_limit_exceeded", kOperationFailed},
    {"third_party_api_request_limit_exceeded", kOperationFailed},
    {"lock_timeout", kOperationFailed},
    {"internal_error", kOperationFailed},
    {"internal_temporary_error", kOperationFailed},
    {"site_read_only_mode", kOperationFailed},
    {"site_not_ready", kOperationFailed},
}};

std::string_view type_of(std::string_view code) {
  const auto* const found =
      std::find_if(kTypes.begin(), kTypes.end(), [code](const auto& entry) { return entry.first == code; });
  return found == kTypes.end() ? std::string_view{} : found->second;
}

// For a status that the vendor's table has not, the code that tells a client the same thing to do.
std::string_view code_of(unsigned status) {
  switch (status) {
    case 401:
      return "api_authentication_failed";
    case 403:
      return "api_authorization_failed";
    case 404:
      return "resource_not_found";
    case 405:
      return "http_method_not_supported";
    case 408:  // the request came too slowly: it may come again
      return "internal_temporary_error";
    case 409:
      return "invalid_state_for_request";
    case 421:  // asked for under a name that is not this device's
      return "request_blocked";
    case 422:
      return "unable_to_process_request";
    case 429:
      return "api_request_limit_exceeded";
    case 500:
      return "internal_error";
    case 505:
      return "invalid_request";
    default:
      return status > 500 ? "internal_temporary_error" : "invalid_request";
  }
}

bool is_at(const json::object& object, std::string_view name) {
  const auto* const member = object.if_contains(name);
  return member != nullptr && member->is_string();
}

// A name from outside is said again only as far as it is short, and never cut inside a UTF-8 sequence.
std::string shown(std::string_view name) {
  if (name.size() <= kNameBytesMax) return std::string(name);
  std::size_t size = kNameBytesMax;
  while (size > 0 && (static_cast<unsigned char>(name[size]) & 0xC0U) == 0x80U) --size;
  return std::string(name.substr(0, size)) + "...";
}

}  // namespace

ApiError wrong_value(std::string_view param, std::string_view message) {
  const std::string name = shown(param);
  return {400, "param_wrong_value", name + " : " + std::string(message), name};
}

ApiError invalid_request(std::string_view message) { return {400, "invalid_request", std::string(message)}; }

ApiError not_found(std::string_view what) {
  return {404, "resource_not_found", "There is no such " + std::string(what) + "."};
}

Response to_response(const ApiError& error) {
  Response out;
  out.status = error.status;
  out.body = "{\"message\":";
  append_json_string(out.body, error.message);
  if (const auto type = type_of(error.code); !type.empty()) {
    out.body += ",\"type\":";
    append_json_string(out.body, type);
  }
  out.body += ",\"api_error_code\":";
  append_json_string(out.body, error.code);
  if (!error.param.empty()) {
    out.body += ",\"param\":";
    append_json_string(out.body, error.param);
  }
  out.body += ",\"http_status_code\":" + std::to_string(error.status) + '}';
  if (!error.allow.empty()) out.headers.emplace_back("Allow", error.allow);
  return out;
}

Response reshape(const Response& answer) {
  if (answer.status < 400) return answer;
  ApiError error{answer.status, std::string(code_of(answer.status)), "The request was not served."};
  json::error_code ec;
  const auto value = json::parse(answer.body, ec);
  if (!ec && value.is_object()) {
    const auto& root = value.get_object();
    if (is_at(root, "api_error_code")) return answer;
    const auto* const own = root.if_contains("error");
    if (own != nullptr && own->is_object() && is_at(own->get_object(), "message")) {
      const auto& message = own->get_object().at("message").get_string();
      error.message.assign(message.data(), message.size());
    }
  }
  auto out = to_response(error);
  out.headers = answer.headers;
  return out;
}

}  // namespace meterd::api::chargebee
