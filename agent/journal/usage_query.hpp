// What a list of usages is asked for: filters that must all hold, an order, and a place to go on from.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/base/ids.hpp"

namespace meterd::journal {

enum class UsageSource : std::uint8_t {
  bulk_operation = 0,  // a sealed bucket
  api = 1,             // a call of the device's Usages API
  admin_console = 2,   // meterctl
};

struct TextFilter {
  std::optional<std::string> is, is_not, starts_with;
};

struct UsageQuery {
  TextFilter id, subscription, item_price;
  // `is` and `is_not` compare with the invoice's id, and an absent one equals nothing.
  TextFilter invoice;
  std::optional<bool> has_invoice;  // is_present, and is "null"
  std::int64_t first_date = 0;      // of usage_date, both ends included
  std::int64_t last_date = std::numeric_limits<std::int64_t>::max();
  std::set<UsageSource> sources{UsageSource::bulk_operation, UsageSource::api, UsageSource::admin_console};

  enum class Order : std::uint8_t { created, date, date_descending };
  Order order = Order::created;
  std::size_t limit = 10;  // 1 to 100

  // Behind the usage of that place: what the page before ended with.
  struct Place {
    std::int64_t date = 0;  // usage_date; 0 in order of creation
    std::uint64_t sequence = 0;
    bool operator==(const Place&) const = default;
  };
  std::optional<Place> after;

  std::optional<UpstreamName> upstream;  // of this one only
  // Usages of these are no part of the collection (they belong to another API).
  std::set<UpstreamName> hidden;
};

}  // namespace meterd::journal
