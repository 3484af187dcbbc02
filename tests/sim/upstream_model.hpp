// A billing system as a model: its vendor's rules, and nothing of the network. What it has outlives the
// device. Another vendor is another class beside chargebee_model; the network's faults, the oracle and the
// runs stay.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/upstream/http.hpp"

namespace meterd::sim {

// What the device made there, as the upstream would put it on a bill. Quantities in thousandths.
struct BilledRecord {
  std::string id, subscription, item_price;
  std::int64_t usage_date = 0;  // seconds since the epoch
  std::int64_t quantity_milli = 0;
};

class UpstreamModel {
 public:
  virtual ~UpstreamModel() = default;
  // Applies the request, at `now` of the vendor's own clock (true time), and answers.
  virtual upstream::HttpResponse answer(const upstream::HttpRequest& request, WallTime now) = 0;
  // Everything that came from the device under test; records of others are left out.
  virtual std::vector<BilledRecord> billed() const = 0;
  // How many usages others have there of the same series.
  virtual std::size_t of_others(const std::string& subscription, const std::string& item_price) const = 0;
  // Which of its rules were broken by the device (a request that no correct client sends), one line each.
  virtual std::vector<std::string> complaints() const = 0;
  // What a fault schedule may set.
  virtual void set_credentials_valid(bool valid) = 0;
  virtual void set_storm(bool storm, bool with_retry_after) = 0;  // 429 to everything
};

}  // namespace meterd::sim
