#include "agent/app/config_sources.hpp"

namespace meterd::app {
namespace {

constexpr std::size_t kInterfaceNameMax = 15;  // IFNAMSIZ without its terminator

}  // namespace

LoadedSource load_interface(const SourceTable& table) {
  auto& section = table.section;
  source::InterfaceRule rule{{}, table.event, table.subscription};
  section.require("name", "the network interface's name");
  section.name("name", kInterfaceNameMax, rule.interface_name);
  const auto& name = rule.interface_name;
  if (name.find_first_of("/: ") != std::string::npos || name == "." || name == "..")
    section.expected("name", R"(a network interface's name such as "wwan0")");
  section.choice("direction", {"rx", "tx", "both"}, rule.direction);
  for (const auto& other : table.config.sources) {
    const auto* one = std::get_if<source::InterfaceRule>(&other);
    if (one == nullptr || one->interface_name != name || one->event != rule.event) continue;
    if (one->direction == rule.direction || one->direction == "both" || rule.direction == "both")
      section.error("name", "another [[source]] counts the same bytes of \"" + name + "\" as \"" +
                                rule.event.value() + "\" already");
  }
  return {std::move(rule)};
}

void describe(const source::InterfaceRule& rule, TomlWriter& out) {
  out.text("kind", "interface");
  out.text("name", rule.interface_name);
  out.text("event", rule.event.value());
  out.text_if("subscription", rule.subscription.value());
  out.text("direction", rule.direction);
}

}  // namespace meterd::app
