// CloudEvents 1.0, structured JSON mode, as a metered event. Pure.
//   type -> event name; extension "subscription" (or "subject") -> subscription; data.quantity (a string, or
//   an integer) -> quantity, 1 if absent; time -> when it happened; source and id -> the identity for
//   de-duplication.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/base/result.hpp"
#include "agent/meter/event.hpp"

namespace meterd::api {

struct CloudEvent {
  std::string type, source, id, subscription;
  Quantity quantity;
  std::optional<WallTime> time;

  meter::EventView view() const { return {type, subscription, quantity, time, source, id}; }
};

struct CloudEventError {
  meter::Refusal refusal = meter::Refusal::malformed;
  std::string message;
};

// The event, or why it is none.
std::optional<CloudEventError> parse_cloud_event(std::string_view body, CloudEvent& out);

}  // namespace meterd::api
