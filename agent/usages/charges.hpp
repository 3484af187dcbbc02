// What callers of Twilio's usage APIs on the device report: charges, and credits, of an installation. They
// become usages at once, dated by their arrival: these APIs have neither ids nor dates.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/journal/write_transaction.hpp"
#include "agent/usages/rules.hpp"

namespace meterd::usages {

struct ChargeOrder {
  enum class Api : std::uint8_t { v1, preview };
  Api api = Api::v1;
  SubscriptionId installation;
  struct Item {
    ItemPriceId item_price;  // the billing sid; preview: nobody gives one
    Quantity quantity;       // v1: an amount of money; preview: units, below zero a credit
  };
  std::vector<Item> items;
};

// What the order as a whole is refused for, before anything is counted; empty: it is not. Pure.
std::string objection(const ChargeOrder& order, const Rules& rules);

// All of it in this transaction. For each item whether it was taken: false where meterd.toml lists what may
// be billed, and this is not among it. `ids`: one for each that nobody has. Code::rejected: an item cannot be
// priced.
Result<std::vector<bool>> charge(journal::WriteTransaction& txn, const ChargeOrder& order,
                                 const std::vector<UsageId>& ids, const Rules& rules,
                                 const journal::Moment& now);

// For a usage that is billed on arrival: its second, or the next free one before it in the day as the zone
// cuts it. The vendor knows none.
Result<std::int64_t> arrival(const journal::WriteTransaction& txn, const meter::SeriesKey& series,
                             const meter::TimeZone& zone, WallTime now);

}  // namespace meterd::usages
