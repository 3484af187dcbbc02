// Counters of nftables: of a set's elements, one subscriber each, or one by its name. What is counted, for
// whom.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/base/ids.hpp"
#include "agent/base/quantity.hpp"
#include "agent/base/usage_day.hpp"
#include "platform/nft_tables.hpp"

namespace meterd::source {

// A key as the kernel has it, and of which type a set must be to have it.
struct ElementKey {
  platform::NftKeyKind kind = platform::NftKeyKind::none;
  platform::NftKey key;
  bool operator==(const ElementKey&) const = default;
};
// An IPv4 or IPv6 address, or a mark ("7", "0x7"). nullopt: none of them.
std::optional<ElementKey> parse_element_key(const std::string& text);
std::string text_of(const ElementKey& key);

struct NftablesSubscriber {
  platform::NftKey key;  // of a named counter: all zeroes
  SubscriptionId subscription;
  bool operator==(const NftablesSubscriber&) const = default;
};

struct NftablesRule {
  std::string family = "inet";
  std::string table;
  std::string object;  // the set's or the counter's name
  bool is_set = true;
  EventName event;
  SubscriptionId subscription;  // of a named counter
  platform::NftKeyKind keys = platform::NftKeyKind::none;
  std::vector<NftablesSubscriber> subscribers;  // of a set: by key, rising; each once
  Milliseconds interval{10'000};
  std::optional<Quantity> bytes_per_second_max;  // of all its counters together

  static constexpr bool kListens = true;
  std::string name() const { return "nftables:" + family + ":" + table + ":" + object + ":" + event.value(); }
  platform::NftTarget target() const;
  bool operator==(const NftablesRule&) const = default;
};

}  // namespace meterd::source
