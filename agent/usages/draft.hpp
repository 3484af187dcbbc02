// What callers of the device's Usages API bring, validated by itself: nothing here knows the journal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/ids.hpp"
#include "agent/base/quantity.hpp"

namespace meterd::usages {

// A usage to create. Lengths are those of seed 002; `given_quantity` has at most 40 characters.
struct Draft {
  SubscriptionId subscription;
  ItemPriceId item_price;
  std::optional<UsageId> id;                                       // none: one is made
  std::int64_t usage_date = 0;                                     // seconds since the epoch, UTC
  Quantity quantity;                                               // above zero
  std::string given_quantity;                                      // as the caller wrote it, and gets it back
  std::string note;                                                // may be empty
  std::vector<std::pair<std::string, std::string>> custom_fields;  // cf_..., in the caller's order
};

// chargebee-idempotency-key, with what the same key must come with again. Empty key: none was given.
struct IdempotencyKey {
  std::string key;             // at most 100 characters
  std::string request_digest;  // over method, path and body
};

}  // namespace meterd::usages
