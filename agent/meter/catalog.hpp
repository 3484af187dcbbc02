// The catalog: which event counts into which item price of which upstream. Pure and immutable; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "agent/meter/bucket.hpp"
#include "agent/meter/event.hpp"
#include "agent/meter/time_zone.hpp"

namespace meterd::meter {

// One [[meter]]: several may name the same event, and then all count.
struct MeterRule {
  EventName event;
  UpstreamName upstream;
  ItemPriceId item_price;
  std::optional<SubscriptionId> subscription;  // fixed here, or carried by each event
  TimeZone zone;
  bool of_installations = false;   // its subscriptions are installations (Twilio)
  int places = Quantity::kPlaces;  // that an event's quantity may have: more would not give an exact amount
};

// Twilio's sid of an installation (seed 001: ^XE[0-9a-fA-F]{32}$).
bool is_installation_sid(std::string_view text);

struct SubscriptionRule {
  SubscriptionId id;
  std::vector<ItemPriceId> item_prices;
};

class Catalog {
 public:
  // With an empty `subscriptions` every subscription is accepted.
  Catalog(std::vector<MeterRule> meters, const std::vector<SubscriptionRule>& subscriptions);

  struct Leg {  // one meter's part in an event
    SeriesKey series;
    std::size_t meter = 0;  // index for rule()
  };
  struct Resolved {
    std::vector<Leg> legs;  // empty if refused
    std::optional<Refusal> refusal;
  };
  Resolved resolve(std::string_view event, std::string_view subscription) const;

  const MeterRule& rule(std::size_t meter) const { return meters_[meter]; }
  std::size_t size() const { return meters_.size(); }

 private:
  bool listed(const SeriesKey& series) const;

  std::vector<MeterRule> meters_;
  std::unordered_map<std::string, std::vector<std::size_t>> by_event_;
  bool any_subscription_ = true;
  std::unordered_map<std::string, std::unordered_set<std::string>> subscriptions_;
};

}  // namespace meterd::meter
