#include "agent/ingest/route_table.hpp"

#include <functional>

namespace meterd::ingest {

RouteTable::Name RouteTable::name_of(std::string_view event, std::string_view subscription) {
  constexpr std::size_t kOdd = 0x9E3779B1U;  // tells (a, b) from (b, a)
  const std::hash<std::string_view> hash;
  return {event, subscription, hash(event) * kOdd + hash(subscription)};
}

Route* RouteTable::find(std::string_view event, std::string_view subscription) {
  const auto found = by_name_.find(name_of(event, subscription));
  return found == by_name_.end() ? nullptr : *found;
}

Route& RouteTable::add(std::string_view event, std::string_view subscription,
                       std::vector<meter::Catalog::Leg> legs) {
  Route& route = routes_.emplace_back();
  route.hash = name_of(event, subscription).hash;
  route.event = event;
  route.subscription = subscription;
  route.legs = std::move(legs);
  by_name_.insert(&route);
  return route;
}

void RouteTable::drop_last() {
  by_name_.erase(&routes_.back());
  routes_.pop_back();
}

void RouteTable::clear() {
  by_name_.clear();
  routes_.clear();
}

}  // namespace meterd::ingest
