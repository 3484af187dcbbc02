// The batcher's table of what is counted: for each (event name, subscription) its meters and the sum that the
// open window has for it. An event that has been here before in the window costs one look-up and one
// addition; nothing is copied. Loop thread.
#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/ingest/window.hpp"
#include "agent/meter/catalog.hpp"

namespace meterd::ingest {

// The time in which all legs of a route stay in the same places: wall clock, or time since boot while the
// clock is untrusted. [from, until), milliseconds.
struct Span {
  bool dated = false;
  std::int64_t from_ms = 0, until_ms = 0;
  bool covers(bool trusted, std::int64_t at_ms) const {
    return dated == trusted && at_ms >= from_ms && at_ms < until_ms;
  }
};

struct Route {
  std::uint64_t window = 0;  // the open window's number, if `span`, `sum` and `tally` are of it
  Span span;
  std::uint32_t sum = 0;              // index into Window::sums
  meter::Tally tally;                 // what comes beside that sum: kept here, where the look-up ends
  std::uint64_t seal_generation = 0;  // when its places were opened
  std::size_t hash = 0;
  std::string event, subscription;
  std::vector<meter::Catalog::Leg> legs;
};

class RouteTable {
 public:
  Route* find(std::string_view event, std::string_view subscription);
  // There is none of this name yet. Valid until clear() or drop_last().
  Route& add(std::string_view event, std::string_view subscription, std::vector<meter::Catalog::Leg> legs);
  void drop_last();
  void clear();
  std::size_t size() const { return routes_.size(); }

 private:
  struct Name {
    std::string_view event, subscription;
    std::size_t hash = 0;
  };
  static Name name_of(std::string_view event, std::string_view subscription);
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const Route* route) const { return route->hash; }
    std::size_t operator()(const Name& name) const { return name.hash; }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Route* a, const Route* b) const { return a == b; }
    bool operator()(const Name& name, const Route* route) const {
      return name.event == route->event && name.subscription == route->subscription;
    }
    bool operator()(const Route* route, const Name& name) const { return (*this)(name, route); }
  };

  std::deque<Route> routes_;  // stay where they are
  boost::unordered_flat_set<Route*, Hash, Equal> by_name_;
};

}  // namespace meterd::ingest
