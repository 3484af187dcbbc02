// A billing system as a model: its vendor's rules, and nothing of the network. What it has outlives the
// device. Each vendor is a class of its own (chargebee_model, twilio_model); the network's faults, the oracle
// and the runs stay.
#pragma once

#include <cstdint>
#include <optional>
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

// A decimal in thousandths; nullopt: not a decimal above zero with at most three places. Not the agent's
// parser.
std::optional<std::int64_t> thousandths(const std::string& text);

// When a request arrives, by the vendor's own clock (true time), and as which of the network's exchanges.
struct Arrival {
  WallTime at;
  std::uint64_t exchange = 0;
};

class UpstreamModel {
 public:
  virtual ~UpstreamModel() = default;
  // Applies the request and answers.
  virtual upstream::HttpResponse answer(const upstream::HttpRequest& request, const Arrival& arrival) = 0;
  virtual upstream::HttpResponse internal_error() const = 0;  // as it words its own 500
  // Everything that came from the device under test; records of others are left out. Only a vendor that keeps
  // ids can tell: of another the charge book knows (charge_book.hpp).
  virtual std::vector<BilledRecord> billed() const = 0;
  // How many usages others have there of the same series.
  virtual std::size_t of_others(const std::string& subscription, const std::string& item_price) const = 0;
  // Which of its rules were broken by the device (a request that no correct client sends), one line each.
  virtual std::vector<std::string> complaints() const = 0;
  // What a fault schedule may set.
  virtual void set_credentials_valid(bool valid) = 0;
  virtual void set_storm(bool storm, bool with_retry_after) = 0;  // 429 to everything
  virtual void end_refusals() {}                                  // of what it would take at another time
};

}  // namespace meterd::sim
