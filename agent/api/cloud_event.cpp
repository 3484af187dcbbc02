#include "agent/api/cloud_event.hpp"

#include <boost/json.hpp>

namespace meterd::api {
namespace {

namespace json = boost::json;
using meter::Refusal;

constexpr std::size_t kDepthMax = 16;

// A member that must be a string if it is set; the JSON format lets an unset one be null.
bool read_text(const json::object& object, std::string_view name, std::string& out) {
  const auto* member = object.if_contains(name);
  if (member == nullptr || member->is_null()) return true;
  if (!member->is_string()) return false;
  out = std::string(member->as_string());
  return true;
}

bool read_quantity(const json::object& event, Quantity& out) {
  const auto* data = event.if_contains("data");
  if (data != nullptr && data->is_null()) data = nullptr;
  const auto* quantity =
      data != nullptr && data->is_object() ? data->as_object().if_contains("quantity") : nullptr;
  if (quantity == nullptr) {
    out = Quantity::of(1);
    return data == nullptr || data->is_object();
  }
  std::string text;
  if (quantity->is_string()) text = std::string(quantity->as_string());
  // A whole number is exact in JSON too; a fraction is not, and must come as a string.
  else if (quantity->is_uint64())
    text = std::to_string(quantity->as_uint64());
  else if (quantity->is_int64())
    text = std::to_string(quantity->as_int64());
  auto parsed = Quantity::parse(text);
  if (!parsed) return false;
  out = *parsed;
  return true;
}

}  // namespace

std::optional<CloudEventError> parse_cloud_event(std::string_view body, CloudEvent& out) {
  const auto refuse = [](Refusal refusal, std::string message) {
    return CloudEventError{refusal, std::move(message)};
  };
  boost::system::error_code failed;
  json::parse_options options;
  options.max_depth = kDepthMax;
  const auto value = json::parse(body, failed, {}, options);
  if (failed) return refuse(Refusal::malformed, "the body is not JSON: " + failed.message());
  if (!value.is_object()) return refuse(Refusal::malformed, "a CloudEvent is a JSON object");
  const auto& event = value.as_object();
  std::string version, subject, time;
  if (!read_text(event, "specversion", version) || version != "1.0")
    return refuse(Refusal::malformed, "specversion must be \"1.0\"");
  if (!read_text(event, "type", out.type) || out.type.empty())
    return refuse(Refusal::malformed, "type must be the event's name");
  if (!read_text(event, "id", out.id) || out.id.empty() || !read_text(event, "source", out.source) ||
      out.source.empty())
    return refuse(Refusal::malformed, "id and source must be strings: together they identify the event");
  if (!read_text(event, "subscription", out.subscription) || !read_text(event, "subject", subject))
    return refuse(Refusal::malformed, "subscription must be a string");
  if (out.subscription.empty()) out.subscription = subject;
  if (!read_text(event, "time", time)) return refuse(Refusal::malformed, "time must be a string");
  if (!time.empty()) {
    auto parsed = parse_rfc3339(time);
    if (!parsed) return refuse(Refusal::malformed, "time: " + parsed.error().message);
    out.time = *parsed;
  }
  if (!read_quantity(event, out.quantity))
    return refuse(Refusal::bad_quantity, std::string(advice_for(Refusal::bad_quantity)) +
                                             " Write it as a string: {\"data\":{\"quantity\":\"0.5\"}}");
  return std::nullopt;
}

}  // namespace meterd::api
