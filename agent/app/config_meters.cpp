#include <algorithm>

#include "agent/app/config_billing.hpp"
#include "agent/base/limits.hpp"
#include "agent/meter/catalog.hpp"
#include "agent/meter/price.hpp"
#include "agent/meter/rounding.hpp"
#include "agent/meter/time_zone.hpp"

namespace meterd::app {
namespace {

constexpr std::size_t kTimeZoneNameMax = 100;

void load_upstream_of(Section& table, const Config& config, UpstreamName& out) {
  if (config.upstreams.empty()) out = UpstreamName(kLedger);
  if (config.upstreams.size() == 1) out = config.upstreams.front().name;
  const bool needed = config.upstreams.size() > 1;
  if (needed)
    table.require("upstream", "the name of one of the " + std::to_string(config.upstreams.size()) +
                                  " [[upstream]] tables");
  table.name("upstream", limits::kUpstreamNameMax, out);
  if (!table.has("upstream") || find_upstream(config, out) != nullptr) return;
  if (config.upstreams.empty() && out.value() == kLedger) return;
  table.error("upstream", "no [[upstream]] is named \"" + out.value() + "\"" +
                              (config.upstreams.empty() ? "; none is configured" : "") +
                              similar_upstream(config, out.value()));
}

// What the vendor bills is money.
void load_unit_price(Section& table, const MeterConfig& meter) {
  const std::string what =
      R"(the price of one unit, above zero and with at most 12 places, such as "0.0075")";
  table.require("unit_price", what);
  if (!meter.unit_price) return;
  if (meter.unit_price->is_zero() || meter.unit_price->cut_to(meter::kPricePlacesMax) != *meter.unit_price)
    table.expected("unit_price", what);
}

bool is_priced_otherwise(const Config& config, const MeterConfig& meter) {
  const auto& preview = config.preview_as;
  return preview && meter.upstream == config.twilio_v1_upstream && meter.item_price == preview->item_price &&
         meter.unit_price && *meter.unit_price != preview->unit_price;
}

void load_pricing(Section& table, const Config& config, MeterConfig& out) {
  std::string rounding = out.rounding;
  table.name("rounding", limits::kIdMax, rounding);
  if (rounding != meter::kNoRounding && !meter::price_of_rounding(rounding))
    table.expected("rounding", "one of " + meter::rounding_names());
  else
    out.rounding = rounding;
  table.quantity("unit_price", out.unit_price);
  const auto* upstream = find_upstream(config, out.upstream);
  const auto kind = upstream == nullptr ? UpstreamKind::ledger : upstream->kind;
  if (out.unit_price && kind == UpstreamKind::chargebee)
    table.warning("unit_price", "is not used: Chargebee has the price of its item price");
  if (out.unit_price && kind == UpstreamKind::twilio_preview)
    table.warning("unit_price", "is not used: Twilio's Preview API bills units");
  if (kind == UpstreamKind::twilio_v1 && out.rounding != meter::kNoRounding)
    table.error("rounding",
                "Twilio Marketplace V1 bills money, rounded to `decimals` of its upstream: give the price "
                "of one unit, and no rounding");
  if (kind == UpstreamKind::twilio_v1) load_unit_price(table, out);
  if (is_priced_otherwise(config, out))
    table.error("unit_price", "\"" + out.item_price.value() +
                                  "\" has another price in api.preview_as; one item price has one");
  const bool installations = upstream != nullptr && bills_installations(*upstream);
  if (installations && out.subscription && !meter::is_installation_sid(out.subscription->value()))
    table.error("subscription", kNoInstallation);
}

bool may_share_subscription(const MeterConfig& a, const MeterConfig& b) {
  return !a.subscription || !b.subscription || *a.subscription == *b.subscription;
}

void check_against_others(Section& table, const Config& config, const MeterConfig& meter) {
  for (const auto& other : config.meters) {
    if (other.upstream != meter.upstream || other.item_price != meter.item_price) continue;
    if (other.event == meter.event) {
      table.error("event", "another [[meter]] counts \"" + meter.event.value() + "\" into \"" +
                               meter.item_price.value() + "\" already: it would be billed twice");
    } else if (other.unit_price != meter.unit_price) {
      table.error("unit_price", "\"" + meter.item_price.value() +
                                    "\" has another price in another [[meter]]; one item price has one");
    } else if (other.rounding != meter.rounding) {
      table.error("rounding", "\"" + meter.item_price.value() + "\" is rounded by \"" + other.rounding +
                                  "\" in another [[meter]]; one item price has one rounding");
    } else if (other.time_zone != meter.time_zone && may_share_subscription(meter, other)) {
      table.error("time_zone", "\"" + meter.item_price.value() + "\" is cut into days by \"" +
                                   other.time_zone + "\" in another [[meter]] and by \"" + meter.time_zone +
                                   "\" here; choose one");
    }
  }
}

}  // namespace

bool bills_installations(const UpstreamConfig& upstream) {
  return upstream.kind == UpstreamKind::twilio_v1 || upstream.kind == UpstreamKind::twilio_preview;
}

const UpstreamConfig* find_upstream(const Config& config, const UpstreamName& name) {
  const auto at = std::find_if(config.upstreams.begin(), config.upstreams.end(),
                               [&](const UpstreamConfig& upstream) { return upstream.name == name; });
  return at == config.upstreams.end() ? nullptr : &*at;
}

void load_time_zone(Section& section, std::string& out) {
  std::string zone = out;
  section.name("time_zone", kTimeZoneNameMax, zone);
  const auto loaded = meter::TimeZone::load(zone);
  if (!loaded)
    return section.error("time_zone", loaded.error().message + R"(; a name is like "Europe/Berlin")");
  out = zone;
}

void load_meters(std::vector<Section> tables, Config& config, std::vector<Problems::Place>& item_prices) {
  for (auto& table : tables) {
    MeterConfig meter;
    table.require("event", "the name of the event to count");
    table.require("item_price", "the item price to count into");
    table.name("event", limits::kEventNameMax, meter.event);
    table.name("item_price", limits::kIdMax, meter.item_price);
    load_upstream_of(table, config, meter.upstream);
    if (SubscriptionId fixed; table.subscription("subscription", fixed), !fixed.empty())
      meter.subscription = fixed;
    meter.time_zone = config.time_zone;
    load_time_zone(table, meter.time_zone);
    load_pricing(table, config, meter);
    table.finish();
    if (!meter.event.empty() && !meter.item_price.empty()) check_against_others(table, config, meter);
    item_prices.push_back(table.place("item_price"));
    config.meters.push_back(std::move(meter));
  }
}

}  // namespace meterd::app
