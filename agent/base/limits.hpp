// Every fixed limit of the agent in one place. A limit that an operator may set is in app/config.hpp instead.
#pragma once

#include <cstddef>
#include <cstdint>

namespace meterd::limits {

// The vendor's lengths (Chargebee Usages API v2): id, item_price_id and subscription_id 100, quantity 40.
inline constexpr std::size_t kIdMax = 100;
inline constexpr std::size_t kQuantityMax = 40;

// Our own names. An LMDB key is at most 511 bytes: upstream + subscription + item price + day must fit.
inline constexpr std::size_t kUpstreamNameMax = 32;
inline constexpr std::size_t kEventNameMax = 100;
inline constexpr std::size_t kProducerMax = 100;

// The largest journal that a process with pointers of that size can map beside everything else.
constexpr std::uint64_t map_bytes_max(std::size_t pointer_bytes = sizeof(void*)) {
  return pointer_bytes <= 4 ? 1ULL << 30U : 1ULL << 40U;
}

// Ingest.
inline constexpr std::size_t kFrameBytesMax = 1 << 20;
inline constexpr std::size_t kBatchEventsMax = 10'000;
inline constexpr std::size_t kDatagramBytesMax = 65'536;
inline constexpr std::size_t kProducerConnectionsMax = 256;
inline constexpr std::size_t kFramesHeldBytesMax = 16 << 20;   // of all connections, half read
inline constexpr std::size_t kFramesInFlightMax = 32;          // per connection, before reading pauses
inline constexpr std::size_t kPendingKeysMax = 100'000;        // distinct buckets in one commit window
inline constexpr std::size_t kPendingIdsMax = 200'000;         // identified events in one commit window
inline constexpr std::size_t kProducersMax = 100'000;          // stored (producer, sequence) cursors
inline constexpr std::size_t kRefusedRangesMax = 1'000;        // of refused sequences, kept for repeats
inline constexpr std::uint64_t kRepeatableBatches = 256;       // of one producer, unacknowledged at a time
inline constexpr std::uint64_t kRememberedIdsMax = 1'600'000;  // 16 MiB of memory at most

// HTTP on the device.
inline constexpr std::size_t kHttpHeaderBytesMax = 16 * 1024;
inline constexpr std::size_t kHttpFieldsMax = 100;
inline constexpr std::size_t kHttpParametersMax = 32;  // a list with every filter has 24
inline constexpr std::size_t kHttpBodyBytesMax = 1 << 20;
inline constexpr std::size_t kHttpBodiesBytesMax = 8 << 20;  // of all requests being read and answered
inline constexpr std::size_t kHttpConnectionsMax = 256;

// Answers of an upstream.
inline constexpr std::size_t kUpstreamHeaderBytesMax = 32 * 1024;
inline constexpr std::size_t kUpstreamBodyBytesMax = 1 << 20;
inline constexpr std::size_t kDocumentBytesMax = 8 << 20;

// Delivery.
inline constexpr std::size_t kUsagesPerRound = 16;  // intents in one commit
inline constexpr std::uint32_t kSupersedeTriesMax = 8;
inline constexpr std::size_t kListRowsMax = 10'000;  // rows of one operator's listing

}  // namespace meterd::limits
