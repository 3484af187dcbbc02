#include "agent/app/config_sources.hpp"

namespace meterd::app {
namespace {

constexpr std::size_t kIdentifierMax = 64;  // an IMEI has 15 digits, an MEID 14

bool overlaps(const std::string& one, const std::string& other, const char* all) {
  return one == other || one == all || other == all;
}

}  // namespace

LoadedSource load_modem_manager(const SourceTable& table) {
  auto& section = table.section;
  source::ModemRule rule{table.event, table.subscription, "sent", {}};
  section.choice("direction", {"sent", "received", "both"}, rule.direction);
  section.name("modem", kIdentifierMax, rule.modem);
  if (rule.modem.find_first_of("/: ") != std::string::npos)
    section.expected("modem", "the EquipmentIdentifier (IMEI) that mmcli shows of the modem");
  for (const auto& other : table.config.sources) {
    const auto* one = std::get_if<source::ModemRule>(&other);
    if (one == nullptr || one->event != rule.event) continue;
    if (overlaps(one->direction, rule.direction, "both") && overlaps(one->modem, rule.modem, ""))
      section.error("kind",
                    "another [[source]] counts the same messages as \"" + rule.event.value() + "\" already");
  }
  return {std::move(rule)};
}

void describe(const source::ModemRule& rule, TomlWriter& out) {
  out.text("kind", "modem-manager");
  out.text("event", rule.event.value());
  out.text_if("subscription", rule.subscription.value());
  out.text("direction", rule.direction);
  out.text_if("modem", rule.modem);
}

}  // namespace meterd::app
