// Rules and keys of the nftables source, for its tests.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "agent/source/nftables/rule.hpp"

namespace meterd::test {

inline platform::NftKey address(const std::string& text) { return source::parse_element_key(text)->key; }

// Of a set: whose element is whose.
inline source::NftablesRule nftables_rule(
    const std::vector<std::pair<std::string, std::string>>& subscribers) {
  source::NftablesRule rule;
  rule.table = "meterd";
  rule.object = "subscribers";
  rule.event = EventName("data.bytes");
  for (const auto& [key, subscription] : subscribers) {
    const auto parsed = source::parse_element_key(key);
    rule.keys = parsed->kind;
    rule.subscribers.push_back({parsed->key, SubscriptionId(subscription)});
  }
  std::sort(rule.subscribers.begin(), rule.subscribers.end(),
            [](const auto& a, const auto& b) { return a.key < b.key; });
  return rule;
}

}  // namespace meterd::test
