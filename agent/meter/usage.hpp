// Usage: an immutable record to bill (Chargebee's resource of that name, seed 002).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/ids.hpp"
#include "agent/base/quantity.hpp"
#include "agent/base/usage_day.hpp"
#include "agent/meter/bucket.hpp"
#include "agent/meter/price.hpp"

namespace meterd::meter {

struct Usage {
  UsageId id;
  SeriesKey series;
  UsageDay day;                 // the bucket it was sealed from
  std::uint32_t revision = 0;   // r: 0, 1, 2, ... within (series, day); never reused
  std::int64_t usage_date = 0;  // seconds since the epoch, UTC; inside the usage day
  Quantity quantity;
  std::uint64_t events = 0;
  std::string note;
  // As a caller of the device's Usages API gave it; empty for a sealed bucket.
  std::string given_quantity;
  std::vector<std::pair<std::string, std::string>> custom_fields;  // cf_...
  std::optional<Charge> charge;  // where money or blocks are billed for units; else the quantity is billed
  const Quantity& billed() const { return charge ? charge->amount : quantity; }
};

}  // namespace meterd::meter
