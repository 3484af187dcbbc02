// Data bytes of a network interface: what is counted, for whom.
#pragma once

#include <string>

#include "agent/base/ids.hpp"

namespace meterd::source {

struct InterfaceRule {
  std::string interface_name;
  EventName event;
  SubscriptionId subscription;     // empty only where every meter of the event has a fixed one
  std::string direction = "both";  // rx | tx | both

  // A kind that listens (has a run()) is taken up by a restart only.
  static constexpr bool kListens = false;
  std::string name() const {
    return "interface:" + interface_name + ":" + event.value() + (direction == "both" ? "" : ":" + direction);
  }
  bool operator==(const InterfaceRule&) const = default;
};

}  // namespace meterd::source
