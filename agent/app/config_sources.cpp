#include "agent/app/config_sources.hpp"

#include <algorithm>
#include <iterator>

#include "agent/app/config_billing.hpp"
#include "agent/base/limits.hpp"
#include "agent/meter/catalog.hpp"

namespace meterd::app {
namespace {

struct Kind {
  const char* name;
  LoadedSource (*load)(const SourceTable& table);
};
constexpr Kind kKinds[] = {
    {"interface", load_interface},
    {"modem-manager", load_modem_manager},
    {"nftables", load_nftables},
    {"access-log", load_access_log},
};

std::string all_kinds() {
  std::string out;
  for (const auto& kind : kKinds) out += (out.empty() ? "\"" : ", \"") + std::string(kind.name) + "\"";
  return out;
}

// That what it counts is billed to somebody.
void check_source(Section& table, const Config& config, const LoadedSource& source) {
  const auto& event = source::event_of(source.rule);
  std::size_t meters = 0;
  bool subscription_fixed = true;
  bool to_installation = false;
  std::vector<std::string> events;
  for (const auto& meter : config.meters) {
    events.push_back(meter.event.value());
    if (meter.event != event) continue;
    ++meters;
    subscription_fixed = subscription_fixed && meter.subscription.has_value();
    const auto* upstream = find_upstream(config, meter.upstream);
    to_installation =
        to_installation || (!meter.subscription && upstream != nullptr && bills_installations(*upstream));
  }
  if (!event.empty() && meters == 0)
    table.error("event", "no [[meter]] counts \"" + event.value() + "\"" +
                             did_you_mean(event.value(), events) + "; it would never be billed");
  const auto subscription = std::visit([](const auto& one) { return one.subscription; }, source.rule);
  if (to_installation && table.has("subscription") && !meter::is_installation_sid(subscription.value()))
    table.error("subscription", kNoInstallation);
  if (meters > 0 && !subscription_fixed && !source.names_subscriptions && !table.has("subscription"))
    table.expected("subscription", "whom to bill, here or in every [[meter]] of the event");
}

// A set bills its subscribers, and another source its own.
std::vector<SubscriptionId> billed_by(const source::Rule& rule) {
  std::vector<SubscriptionId> out;
  if (const auto* set = std::get_if<source::NftablesRule>(&rule))
    for (const auto& one : set->subscribers) out.push_back(one.subscription);
  auto own = std::visit([](const auto& one) { return one.subscription; }, rule);
  if (!own.empty()) out.push_back(std::move(own));
  return out;
}

// Each may be a phone number: no message repeats it. Thousands may be billed, and as many listed.
void warn_of_unlisted(Section& table, const Config& config, const source::Rule& rule) {
  if (config.subscriptions.empty()) return;
  const auto billed = billed_by(rule);
  std::size_t unlisted = 0;
  for (const auto& meter : config.meters) {
    if (meter.event != source::event_of(rule) || meter.subscription) continue;
    const auto listed = listed_with(config, meter.item_price);
    const auto missing = std::count_if(billed.begin(), billed.end(),
                                       [&](const auto& one) { return !listed.contains(one.value()); });
    unlisted = std::max(unlisted, static_cast<std::size_t>(missing));
  }
  if (unlisted == 0) return;
  const bool is_set = table.has("subscribers");
  table.warning(
      is_set ? "subscribers" : "subscription",
      std::to_string(unlisted) + " of " + std::to_string(billed.size()) +
          " in no [[subscription]] with the item price of the event's [[meter]]: what is counted for it is "
          "refused, unless it was listed before");
}

}  // namespace

void load_sources(std::vector<Section> tables, Config& config) {
  for (auto& table : tables) {
    const std::string what = "one of " + all_kinds();
    table.require("kind", what);
    const auto* name = table.text("kind", what);
    EventName event;
    SubscriptionId subscription;
    table.require("event", "the name of the event that it counts as");
    table.name("event", limits::kEventNameMax, event);
    table.subscription("subscription", subscription);
    if (name == nullptr) continue;
    const auto* kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                    [&](const Kind& one) { return *name == one.name; });
    if (kind == std::end(kKinds)) {
      table.expected("kind", what);
      continue;
    }
    auto loaded = kind->load({table, config, event, subscription});
    table.finish();
    check_source(table, config, loaded);
    warn_of_unlisted(table, config, loaded.rule);
    if (!join_source(table, loaded.rule, config.sources)) config.sources.push_back(std::move(loaded.rule));
  }
}

void describe_source(const source::Rule& rule, TomlWriter& out) {
  out.header("[[source]]");
  std::visit([&](const auto& one) { describe(one, out); }, rule);
}

}  // namespace meterd::app
