#include "agent/meter/catalog.hpp"

#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"

namespace meterd::meter {

std::string_view name_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::malformed:
      return "malformed";
    case Refusal::unknown_event:
      return "unknown_event";
    case Refusal::missing_subscription:
      return "missing_subscription";
    case Refusal::unknown_subscription:
      return "unknown_subscription";
    case Refusal::bad_quantity:
      return "bad_quantity";
    case Refusal::bad_id:
      return "bad_id";
    case Refusal::too_old:
      return "too_old";
    case Refusal::in_future:
      return "in_future";
    case Refusal::clock_untrusted:
      return "clock_untrusted";
    case Refusal::full:
      return "full";
    case Refusal::too_large:
      return "too_large";
    case Refusal::not_allowed:
      return "not_allowed";
    case Refusal::kCount:
      break;
  }
  return "unknown";
}

std::string_view advice_for(Refusal refusal) {
  switch (refusal) {
    case Refusal::malformed:
      return "The input could not be understood; see the input's format in the README.";
    case Refusal::unknown_event:
      return "No [[meter]] has this event; add one to meterd.toml or correct the name.";
    case Refusal::missing_subscription:
      return "The event names no subscription and its meter fixes none.";
    case Refusal::unknown_subscription:
      return "This subscription or item price is not listed in a [[subscription]] of meterd.toml, or is no "
             "installation's sid (XE...) where Twilio bills it.";
    case Refusal::bad_quantity:
      return "The quantity must be a decimal above zero of at most 40 characters; with 26 places where it "
             "has a "
             "unit_price.";
    case Refusal::bad_id:
      return "Names and ids are 1 to 100 bytes of UTF-8 without control characters.";
    case Refusal::too_old:
      return "The event happened before accept_past, or its id is older than remember_ids.";
    case Refusal::in_future:
      return "The event's time is after accept_future; check the reporter's clock.";
    case Refusal::clock_untrusted:
      return "The device's clock is not trusted yet; report the event again later.";
    case Refusal::full:
      return "A limit is reached, or this reporter's share of one, and nothing was counted; report the event "
             "again later.";
    case Refusal::too_large:
      return "The frame or datagram is above its limit; send smaller batches.";
    case Refusal::not_allowed:
      return "This reporter may not report this event for this subscription; allow it in [access] of "
             "meterd.toml.";
    case Refusal::kCount:
      break;
  }
  return "";
}

bool is_installation_sid(std::string_view text) {
  constexpr std::size_t kLength = 34;
  return text.size() == kLength && text.starts_with("XE") &&
         text.find_first_not_of("0123456789abcdefABCDEF", 2) == std::string_view::npos;
}

Catalog::Catalog(std::vector<MeterRule> meters, const std::vector<SubscriptionRule>& subscriptions)
    : meters_(std::move(meters)), any_subscription_(subscriptions.empty()) {
  for (std::size_t i = 0; i < meters_.size(); ++i) by_event_[meters_[i].event.value()].push_back(i);
  for (const auto& subscription : subscriptions)
    for (const auto& item : subscription.item_prices)
      subscriptions_[subscription.id.value()].insert(item.value());
}

Catalog::Resolved Catalog::resolve(std::string_view event, std::string_view subscription) const {
  const auto meters = by_event_.find(std::string(event));
  if (meters == by_event_.end()) return {{}, Refusal::unknown_event};
  // "." and ".." would be taken out of the upstream's URL on the way.
  if (!subscription.empty() &&
      (!is_clean_text(subscription, limits::kIdMax) || subscription == "." || subscription == ".."))
    return {{}, Refusal::bad_id};
  Resolved out;
  for (const auto index : meters->second) {
    const auto& rule = meters_[index];
    if (!rule.subscription && subscription.empty()) return {{}, Refusal::missing_subscription};
    SeriesKey series{rule.upstream, rule.subscription ? *rule.subscription : SubscriptionId(subscription),
                     rule.item_price};
    if (!listed(series)) return {{}, Refusal::unknown_subscription};
    if (rule.of_installations && !is_installation_sid(series.subscription.value()))
      return {{}, Refusal::unknown_subscription};
    out.legs.push_back({std::move(series), index});
  }
  return out;
}

bool Catalog::listed(const SeriesKey& series) const {
  if (any_subscription_) return true;
  const auto found = subscriptions_.find(series.subscription.value());
  return found != subscriptions_.end() && found->second.contains(series.item_price.value());
}

}  // namespace meterd::meter
