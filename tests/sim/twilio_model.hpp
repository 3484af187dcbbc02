// Twilio Marketplace's two usage APIs by their rules (seeds 001 and 000): V1 takes many items of money a
// request and says of each whether it was submitted; Preview takes one quantity of units, below zero a
// credit. Neither knows an id, a key or a date, and what they took cannot be read back: who sends a usage
// twice is billed twice. What is billed is kept by request and item, in exact decimals.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/quantity.hpp"
#include "tests/sim/draws.hpp"
#include "tests/sim/upstream_model.hpp"

namespace meterd::sim {

class TwilioModel final : public UpstreamModel {
 public:
  enum class Api : std::uint8_t { v1, preview };
  struct Rules {
    Api api = Api::v1;
    std::uint64_t requests_a_minute = 150;
    std::int64_t left_out_percent = 0;  // of V1's items: "submitted": false
    std::int64_t refused_percent = 0;   // of requests are refused as a whole, in the vendor's own words
    bool forgets_items = false;         // negative control: says submitted, and does not bill
  };
  TwilioModel(const Rules& rules, Draws draws) : rules_(rules), draws_(draws) {}

  struct Billed {
    std::uint64_t exchange = 0;
    std::size_t position = 0;       // of the item in its request
    std::string installation, sid;  // Preview: no sid
    Quantity amount;                // V1: money; Preview: units
  };
  const std::vector<Billed>& bill() const { return bill_; }  // in the order of billing
  std::uint64_t left_out() const { return left_out_; }

  upstream::HttpResponse answer(const upstream::HttpRequest& request, const Arrival& arrival) override;
  upstream::HttpResponse internal_error() const override;
  std::vector<BilledRecord> billed() const override { return {}; }
  std::size_t of_others(const std::string&, const std::string&) const override { return 0; }
  std::vector<std::string> complaints() const override { return complaints_; }
  void set_credentials_valid(bool valid) override { credentials_valid_ = valid; }
  void set_storm(bool storm, bool with_retry_after) override {
    storm_ = storm;
    retry_after_ = with_retry_after;
  }
  void end_refusals() override { rules_.left_out_percent = rules_.refused_percent = 0; }

 private:
  struct Item {
    std::string sid, number;
    Quantity amount;
  };
  std::optional<upstream::HttpResponse> admit(WallTime now);
  upstream::HttpResponse refuse(const std::string& complaint);
  upstream::HttpResponse take_items(const std::string& installation, const std::string& body,
                                    std::uint64_t exchange);
  upstream::HttpResponse take_quantity(const std::string& installation, const std::string& body,
                                       std::uint64_t exchange);

  Rules rules_;
  Draws draws_;
  std::vector<Billed> bill_;
  std::uint64_t left_out_ = 0;
  std::deque<WallTime> requests_;
  std::vector<std::string> complaints_;
  bool credentials_valid_ = true;
  bool storm_ = false, retry_after_ = false;
};

}  // namespace meterd::sim
