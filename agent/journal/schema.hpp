// The journal's keys and values as bytes: see FORMAT.md. Pure functions.
// A key is one letter (the kind) and fields: numbers big endian, texts preceded by their length in one byte.
// A value is a CRC-32C over key and payload (four bytes, big endian) and the payload, a protobuf message.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/ids.hpp"
#include "agent/base/result.hpp"
#include "agent/meter/bucket.hpp"

namespace meterd::journal {

enum class Kind : char {
  stamp = 'A',
  balance = 'B',
  counter = 'C',
  seal_due = 'D',
  id_block = 'E',
  key_expiry = 'F',
  general = 'G',
  history = 'H',
  usage_id = 'I',
  invoice = 'J',
  idempotency_key = 'K',
  audit = 'L',
  invoiced = 'M',
  slice = 'N',
  outbox = 'O',
  producer = 'P',
  listed = 'Q',
  subscription = 'R',
  upstream = 'S',
  taken_date = 'T',
  usage = 'U',
  by_subscription = 'V',
  carry = 'W',
  set_aside = 'X',
  source_gaps = 'Y',
};

// Where in the outbox a usage stands.
enum class Lane : std::uint8_t {
  ready = 0,    // to be sent, in journal order
  delayed = 1,  // to be sent at a time since boot
  in_doubt = 2,
  parked = 3,
  behind = 4,  // to be sent once another has ended
};

struct Due {  // a moment that survives a restart; a boot other than the present one has passed
  std::uint32_t boot_number = 0;
  std::int64_t since_boot_ms = 0;
};

struct OutboxEntry {
  Lane lane = Lane::ready;
  Due due;
  std::uint64_t sequence = 0;
};

std::string prefix(Kind kind);
std::string stamp_key();
std::string general_key();
std::string balance_key(const meter::BucketKey& bucket);
std::string balance_prefix(UsageDay day);
std::string seal_due_key(std::int64_t due_s, const meter::BucketKey& bucket);
std::string usage_key(std::uint64_t sequence);
std::string usage_id_key(const UsageId& id);
std::string history_key(std::int64_t ended_s, std::uint64_t sequence);
std::string outbox_prefix(const UpstreamName& upstream);
std::string outbox_prefix(const UpstreamName& upstream, Lane lane);
std::string outbox_key(const UpstreamName& upstream, const OutboxEntry& entry);
std::string taken_prefix(const meter::SeriesKey& series);
std::string taken_prefix(const meter::SeriesKey& series, std::int64_t usage_date);
std::string taken_key(const meter::SeriesKey& series, std::int64_t usage_date, std::uint64_t sequence);
// Where the keys of the next upstream, or of the next item price of a subscription, begin.
std::string taken_behind(const UpstreamName& upstream);
std::string taken_behind(const meter::SeriesKey& series);
std::string taken_prefix(const UpstreamName& upstream, const SubscriptionId& subscription);
// A usage's place among those of its subscription.
std::string by_subscription_prefix(const SubscriptionId& subscription);
std::string by_subscription_key(const SubscriptionId& subscription, std::uint64_t sequence);
// What the device's Usages API remembers.
std::string idempotency_key(std::string_view key);
std::string key_expiry_prefix();
std::string key_expiry_key(std::int64_t version, std::string_view key);
std::string subscription_prefix(const UpstreamName& upstream);
std::string subscription_key(const UpstreamName& upstream, const SubscriptionId& subscription);
std::string invoice_key(std::string_view invoice);
// Vendors number invoices by themselves: one id may be an invoice of each upstream.
std::string invoiced_prefix(const UpstreamName& upstream, std::string_view invoice);
std::string invoiced_key(const UpstreamName& upstream, std::string_view invoice, std::uint64_t sequence);
std::string listed_key(const SubscriptionId& subscription, const ItemPriceId& item_price);
std::string upstream_key(const UpstreamName& upstream);
std::string carry_key(const meter::SeriesKey& series);
std::string counter_key(std::string_view source);
std::string source_gaps_key(std::string_view source);
Result<std::string> parse_source_key(std::string_view key);  // of either: the source
std::string producer_key(std::string_view producer);
std::string id_block_key(std::uint32_t number);
std::string audit_key(std::uint64_t number);
std::string set_aside_key(std::uint64_t number, std::string_view former_key);
std::string slice_prefix(std::uint32_t boot_number);
std::string slice_key(std::uint32_t boot_number, std::uint32_t second, const meter::SeriesKey& series);

// The fields of a key of the kind that the function names; Code::corrupt if it is not one.
Result<meter::BucketKey> parse_balance_key(std::string_view key);
struct SealDueFields {
  std::int64_t due_s = 0;
  meter::BucketKey bucket;
};
Result<SealDueFields> parse_seal_due_key(std::string_view key);
Result<meter::SeriesKey> parse_carry_key(std::string_view key);
struct OutboxFields {
  UpstreamName upstream;
  OutboxEntry entry;
};
Result<OutboxFields> parse_outbox_key(std::string_view key);
struct HistoryFields {
  std::int64_t ended_s = 0;
  std::uint64_t sequence = 0;
};
Result<HistoryFields> parse_history_key(std::string_view key);
struct TakenFields {
  meter::SeriesKey series;
  std::int64_t usage_date = 0;
  std::uint64_t sequence = 0;
};
Result<TakenFields> parse_taken_key(std::string_view key);
Result<std::int64_t> parse_taken_date(std::string_view key);
Result<std::uint64_t> parse_usage_key(std::string_view key);
Result<std::uint64_t> parse_by_subscription_key(std::string_view key);  // the number of the usage
Result<std::uint64_t> parse_invoiced_key(std::string_view key);         // the same
struct KeyExpiryFields {
  std::int64_t version = 0;
  std::string key;
};
Result<KeyExpiryFields> parse_key_expiry_key(std::string_view key);
inline constexpr std::uint32_t kSliceSeconds = 60;
struct SliceFields {
  std::uint32_t boot_number = 0;
  std::uint32_t second = 0;  // since boot, a multiple of kSliceSeconds
  meter::SeriesKey series;
};
Result<SliceFields> parse_slice_key(std::string_view key);
Result<std::uint32_t> parse_id_block_key(std::string_view key);
struct SetAsideFields {
  std::uint64_t number = 0;
  std::string former_key;
};
Result<SetAsideFields> parse_set_aside_key(std::string_view key);

// Remembered event ids of one day of arrival, 16 bytes each.
struct IdBlock {
  std::uint32_t partition = 0;
  std::string_view hashes;
};
std::string id_block_value(const IdBlock& block);
Result<IdBlock> parse_id_block(std::string_view payload);  // a view into `payload`

std::string number_value(std::uint64_t number);  // payload of index records
Result<std::uint64_t> parse_number(std::string_view payload);

// CRC-32C of what had `before` and, behind it, `bytes`.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0);

std::string wrap(std::string_view key, std::string_view payload);
// The payload, or Code::corrupt. A view into `value`.
Result<std::string_view> unwrap(std::string_view key, std::string_view value);

}  // namespace meterd::journal
