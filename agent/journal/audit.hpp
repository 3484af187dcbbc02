// Questions about records and what they belong to, as verify, repair and salvage ask them. Pure reads of one
// transaction.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/journal/balance.hpp"
#include "agent/journal/lmdb.hpp"
#include "agent/meter/bucket.hpp"

namespace meterd::journal {

// A usage's second lies within its day as some time zone cuts it: in UTC, in this window from the day's
// start.
inline constexpr std::int64_t kDayBeginsAtMostBefore_s = 16 * 3'600;
inline constexpr std::int64_t kDayEndsAtMostAfter_s = 42 * 3'600;

std::int64_t utc_start_of(UsageDay day);
bool is_within(UsageDay day, std::int64_t usage_date);

// What the bucket's usages that can be read add up to, by state; only these parts are set.
struct UsageSums {
  Balance parts;
  std::uint64_t usages = 0;
  std::uint32_t next_revision = 0;
  std::uint64_t events = 0;  // of those that are in a part
};
Result<UsageSums> sum_usages(const Transaction& txn, const meter::BucketKey& bucket);

// What the balance holds that its usages do not: zero unless one of them was lost. Never beyond what
// `delivered` and `withdrawn` still have one by one.
struct Missing {
  Quantity waiting, in_doubt, parked, ended;
  bool any() const {
    return !waiting.is_zero() || !in_doubt.is_zero() || !parked.is_zero() || !ended.is_zero();
  }
};
Missing missing_from(const Balance& balance, const UsageSums& sums);

std::string place_of(const meter::SeriesKey& series);  // "billing/sub_1/sms-usd"
std::string place_of(const meter::BucketKey& bucket);  // and "/2026-11-22"

// For operators: "balance of billing/sub_1/sms-usd/2026-11-22", "usage number 17", "cursor of counter wwan0".
std::string describe_key(std::string_view key);

}  // namespace meterd::journal
