// What [[source]] tables become: one alternative for each kind of source.
#pragma once

#include <variant>

#include "agent/source/interface/rule.hpp"
#include "agent/source/modem/rule.hpp"
#include "agent/source/nftables/rule.hpp"

namespace meterd::source {

using Rule = std::variant<InterfaceRule, ModemRule, NftablesRule>;

inline const EventName& event_of(const Rule& rule) {
  return std::visit([](const auto& one) -> const EventName& { return one.event; }, rule);
}
inline bool listens(const Rule& rule) {
  return std::visit([](const auto& one) { return one.kListens; }, rule);
}
inline std::string name_of(const Rule& rule) {
  return std::visit([](const auto& one) { return one.name(); }, rule);
}

}  // namespace meterd::source
