// The coordinates that everything is added up by.
#pragma once

#include <compare>
#include <string>

#include "agent/base/ids.hpp"
#include "agent/base/quantity.hpp"
#include "agent/base/usage_day.hpp"

namespace meterd::meter {

struct SeriesKey {  // what a meter counts into, before a day is known
  UpstreamName upstream;
  SubscriptionId subscription;
  ItemPriceId item_price;
  auto operator<=>(const SeriesKey&) const = default;
};

struct BucketKey {  // ordered day first, as in the journal: what changes together stands together
  UsageDay day;
  SeriesKey series;
  auto operator<=>(const BucketKey&) const = default;
};

// Where an item of a list ends up, added up: a bucket's, or a slice's, part of one commit window.
struct Tally {
  Quantity quantity;
  std::uint64_t events = 0;
  Tally& operator+=(const Tally& other) {
    quantity += other.quantity;
    events += other.events;
    return *this;
  }
};

}  // namespace meterd::meter
