// CloudEvents 1.0 over HTTP as metered events: structured, batched and binary mode. Pure; loop thread.
//   type -> event name; extension "subscription" (or "subject") -> subscription; data.quantity (a string, or
//   an integer) -> quantity, 1 if absent; time -> when it happened; source and id -> the identity for
//   de-duplication.
// What is read is one pass over the body without a copy; an attribute that meterd does not read is passed
// over.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/api/http.hpp"
#include "agent/base/result.hpp"
#include "agent/meter/event.hpp"

namespace meterd::api {

// Views into the body or into the reader: valid until the reader's next read, while the body stands.
struct CloudEvent {
  std::size_t position = 0;  // in the batch; 0 for a single event
  std::string_view type, source, id, subscription;
  Quantity quantity;
  std::optional<WallTime> time;

  meter::EventView view() const { return {type, subscription, quantity, time, source, id}; }
};

struct CloudEventError {
  meter::Refusal refusal = meter::Refusal::malformed;
  std::string message;  // what to do
  std::size_t position = 0;
  std::string id;  // of the event, where it is known and clean
};

class CloudEventReader {
 public:
  CloudEventReader();
  ~CloudEventReader();

  // Each fills events() and errors(): together one for every event, both in order of position. An error that
  // is returned is one of the whole body, of which nothing is to be counted.
  [[nodiscard]] std::optional<CloudEventError> read_one(std::string_view body);
  [[nodiscard]] std::optional<CloudEventError> read_batch(std::string_view body);
  // The event's attributes are the fields "ce-...", the body is its data.
  [[nodiscard]] std::optional<CloudEventError> read_binary(const Request& request);

  const std::vector<CloudEvent>& events() const;
  std::vector<CloudEventError>& errors();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace meterd::api
