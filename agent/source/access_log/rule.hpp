// What the operator declares of an access log: one socket, and what the messages on it count as. Plain
// values.
#pragma once

#include <string>
#include <vector>

#include "agent/base/ids.hpp"

namespace meterd::source {

// Which calls count, as what.
struct CallRule {
  EventName event;
  SubscriptionId subscription;           // fixed; empty: from the field, or the meter fixes one
  std::string subscription_field;        // empty: not looked for
  std::string quantity_field;            // empty: each call counts 1
  std::string status_field;              // empty: whatever the status
  std::vector<std::string> status;       // "2xx", "304"
  std::string path_field;                // empty: whatever the path
  std::vector<std::string> path_prefix;  // "/api/"
  bool operator==(const CallRule&) const = default;
};

// One [[source]] table, and in `others` what further tables count of the same socket.
struct AccessLogRule : CallRule {
  std::string socket;  // its path
  std::vector<std::string> groups;
  std::string worker_field, sequence_field;  // both or neither
  std::vector<CallRule> others;

  static constexpr bool kListens = true;
  std::string name() const { return "access-log:" + socket; }
  std::vector<CallRule> calls() const {
    std::vector<CallRule> out{*this};
    out.insert(out.end(), others.begin(), others.end());
    return out;
  }
  bool operator==(const AccessLogRule&) const = default;
};

}  // namespace meterd::source
