// An event as a producer reports it, and the closed set of reasons to refuse one.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/base/quantity.hpp"
#include "agent/base/usage_day.hpp"
#include "agent/meter/permit.hpp"

namespace meterd::meter {

// Views into the producer's bytes: valid only during the call that receives it.
struct EventView {
  std::string_view name;
  std::string_view subscription;  // empty: the meter must fix one
  Quantity quantity;
  std::optional<WallTime> time;  // when it happened; otherwise its arrival counts
  std::string_view producer;     // with `id`: the identity for de-duplication
  std::string_view id;           // empty: not de-duplicated
  // The reading of a counter: nobody reports it again, so it is not refused for want of room. There are few.
  bool is_reading = false;
  const Permit* permit = nullptr;  // the reporter's; null: everything
};

enum class Refusal : std::uint8_t {
  malformed,             // not a line, frame or event at all
  unknown_event,         // no meter for this name
  missing_subscription,  // none given and none fixed by the meter
  unknown_subscription,  // subscriptions are listed and this one, or its item price, is not among them
  bad_quantity,          // not an exact decimal above zero of at most 40 characters
  bad_id,                // an id, producer or name is too long or not clean text
  too_old,               // happened before accept_past, or its id is no longer remembered
  in_future,             // happened after accept_future
  clock_untrusted,       // carries its own time, which cannot be judged yet: report it again later
  full,                  // a declared limit is reached: report it again later
  too_large,             // a frame or datagram above its limit
  not_allowed,           // [access] does not let this reporter report it
  kCount,
};

std::string_view name_of(Refusal refusal);     // "unknown_event": for metrics and machines
std::string_view advice_for(Refusal refusal);  // one sentence that says what to do

}  // namespace meterd::meter
