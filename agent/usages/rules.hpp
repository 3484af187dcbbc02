// What the collection of usages is bound by: it follows from the configuration alone, and a reload makes new
// ones.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/ids.hpp"
#include "agent/base/usage_day.hpp"
#include "agent/flush/sealer.hpp"
#include "agent/meter/time_zone.hpp"

namespace meterd::usages {

struct Rules {
  UpstreamName upstream;  // where what is created goes; one of the context's targets
  UpstreamName ledger;    // the device's own; what it has is invoiced here
  // Where calls of Twilio's APIs go, and what a Preview call is billed as.
  UpstreamName twilio_v1, twilio_preview;
  ItemPriceId preview_item_price;
  std::shared_ptr<const flush::SealContext> context;
  std::set<UpstreamName> hidden;         // upstreams of other APIs: their usages are no part of it
  std::string public_url;                // what links to the device begin with, without a trailing slash
  std::uint64_t lifetime_limit = 5'000;  // usages of one subscription, ever
  Milliseconds idempotency_window{1'800'000};
  // The usage day of an item price is cut by its meter's zone, else by the device's.
  std::map<ItemPriceId, meter::TimeZone> zones;
  meter::TimeZone zone;
  struct Subscription {
    std::set<ItemPriceId> item_prices, not_metered;
    // When it is active: only usages of these times are ever invoiced. Half open, in seconds. Empty: always.
    std::vector<std::pair<std::int64_t, std::int64_t>> active;
  };
  std::map<SubscriptionId, Subscription> subscriptions;  // empty: every one is known
};

}  // namespace meterd::usages
