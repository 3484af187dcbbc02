// What [[source]] tables and [ingest] counters become: one alternative for each kind of source.
#pragma once

#include <variant>

#include "agent/source/access_log/rule.hpp"
#include "agent/source/interface/rule.hpp"
#include "agent/source/modem/rule.hpp"
#include "agent/source/nftables/rule.hpp"
#include "agent/source/shared_counters/rule.hpp"

namespace meterd::source {

using Rule = std::variant<AccessLogRule, InterfaceRule, ModemRule, NftablesRule, SharedCountersRule>;

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
