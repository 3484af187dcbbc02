// Short messages of ModemManager's modems: which are counted, for whom.
#pragma once

#include <string>

#include "agent/base/ids.hpp"

namespace meterd::source {

struct ModemRule {
  EventName event;
  SubscriptionId subscription;     // empty only where every meter of the event has a fixed one
  std::string direction = "sent";  // sent | received | both
  std::string modem;               // its EquipmentIdentifier; empty: all modems

  // A kind that listens (has a run()) is taken up by a restart only.
  static constexpr bool kListens = true;
  // An IMEI says whose device it is: the name, which is stored, logged and shown, has a few digits of a
  // digest.
  std::string name() const;
  bool operator==(const ModemRule&) const = default;
};

}  // namespace meterd::source
