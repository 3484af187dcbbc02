// Counters in memory that apps write themselves ([ingest] counters): where they ask for it, and how much of
// it there is.
#pragma once

#include <cstdint>
#include <string>

#include "agent/base/ids.hpp"
#include "agent/libmeter/protocol.h"

namespace meterd::source {

struct SharedCountersRule {
  std::string socket;                        // path of the Unix socket; empty: off
  std::uint64_t counters_per_user = 10'000;  // of all apps of a user together
  std::uint64_t clients_per_user = 64;       // apps that have counters, and connections
  std::uint64_t rate_max =
      1'000'000'000;  // units a second and counter: no app is faster than a bare addition

  // How much memory that takes: a full region for each 1,024 counters, and for each client one that is not.
  std::uint64_t regions_per_user() const {
    return (counters_per_user + METERD_REGION_SLOTS - 1) / METERD_REGION_SLOTS + clients_per_user;
  }

  static constexpr bool kListens = true;
  EventName event;  // each counter has its own
  SubscriptionId subscription;
  std::string name() const { return "shared"; }
  // Of the memory, where nobody else keeps it: beside the socket, in the runtime directory.
  std::string directory() const { return socket.substr(0, socket.rfind('/') + 1) + "counters"; }
  bool operator==(const SharedCountersRule&) const = default;
};

}  // namespace meterd::source
