#include <algorithm>

#include "agent/app/config_billing.hpp"
#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"
#include "agent/meter/time_zone.hpp"

namespace meterd::app {
namespace {

bool contains(const std::vector<ItemPriceId>& prices, const ItemPriceId& price) {
  return std::find(prices.begin(), prices.end(), price) != prices.end();
}

bool fits(const MeterConfig& meter, const SubscriptionConfig& subscription) {
  return !meter.subscription || *meter.subscription == subscription.id;
}

// Only doubts: what was listed once stays accepted, and the journal remembers what this file does not.
void warn_if_unlisted(Problems& problems, const Config& config, const MeterConfig& meter) {
  const bool listed = std::any_of(
      config.subscriptions.begin(), config.subscriptions.end(), [&](const SubscriptionConfig& subscription) {
        return fits(meter, subscription) && contains(subscription.item_prices, meter.item_price);
      });
  if (config.subscriptions.empty() || listed) return;
  problems.warning({0, "meter.item_price"},
                   "\"" + meter.item_price.value() + "\" is in no fitting [[subscription]]: events of \"" +
                       meter.event.value() + "\" are refused, unless it was listed before");
}

// The instant that begins (`last` false) or ends what `text` names: a day of the zone, or an instant. Usages
// are dated in seconds, so a part of one would say nothing.
Result<std::int64_t> end_of(std::string_view text, const meter::TimeZone& zone, bool last) {
  if (const auto day = UsageDay::parse(text)) {
    const auto bounds = zone.bounds(*day);
    return last ? bounds.end : bounds.start;
  }
  const auto instant = parse_rfc3339(text);
  if (!instant) return instant.error();
  if (instant->since_epoch % Seconds(1) != Milliseconds(0)) return Error{Code::invalid, "a part of a second"};
  return instant->seconds().count();
}

// "FROM/UNTIL", either of which may be left out, but not both.
Result<ActiveTime> parse_active(std::string_view text, const meter::TimeZone& zone) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || text.size() == 1) return Error{Code::invalid, "not a range"};
  ActiveTime out;
  if (const auto first = text.substr(0, slash); !first.empty()) {
    const auto from = end_of(first, zone, false);
    if (!from) return from.error();
    out.from = *from;
  }
  if (const auto last = text.substr(slash + 1); !last.empty()) {
    const auto until = end_of(last, zone, true);
    if (!until) return until.error();
    out.until = *until;
  }
  return out;
}

void load_active(Section& table, const std::string& time_zone, SubscriptionConfig& out) {
  const std::string what =
      R"(FROM/UNTIL in days or in RFC 3339 instants of whole seconds, such as "2026-01-01/2026-06-30" or "2026-08-01/")";
  const auto ranges = table.items("active", "each " + what);
  if (!ranges) return;
  if (table.take("active")->children.empty())
    return table.error("active", "expected at least one range; leave it out where it is always active");
  const auto zone = meter::TimeZone::load(time_zone);
  if (!zone) return;  // [device] says so
  for (const auto* item : *ranges) {
    const auto time = parse_active(item->text, *zone);
    if (!time) {
      table.item_error("active", *item, "expected " + what + "; found " + item->found());
    } else if (time->from >= time->until) {
      table.item_error("active", *item, item->found() + " does not begin before it ends");
    } else if (!out.active.empty() && time->from < out.active.back().until) {
      table.item_error("active", *item,
                       item->found() + " begins before " + toml_quote(out.active_text.back()) +
                           " ends; put the ranges in order, without overlap");
    } else {
      out.active.push_back(*time);
      out.active_text.push_back(item->text);
    }
  }
}

void load_item_prices(Section& table, SubscriptionConfig& out) {
  const std::string prices_of = "item prices, each of 1 to 100 bytes without control characters";
  std::vector<std::string> prices;
  table.require("item_prices", "the item prices that the subscription has, as an array of strings");
  table.strings("item_prices", "each an item price", prices);
  for (const auto& price : prices) {
    if (!is_clean_text(price, limits::kIdMax)) table.expected("item_prices", prices_of);
    out.item_prices.emplace_back(price);
  }
  const auto others = table.items("not_metered", "each an item price");
  if (!others) return;
  for (const auto* item : *others) {
    const ItemPriceId price(item->text);
    if (!is_clean_text(item->text, limits::kIdMax))
      table.item_error("not_metered", *item, "expected " + prices_of + "; found " + item->found());
    if (contains(out.item_prices, price))
      table.item_error("not_metered", *item,
                       item->found() + " is in item_prices too; it is metered or it is not");
    out.not_metered.push_back(price);
  }
}

}  // namespace

std::set<std::string_view> listed_with(const Config& config, const ItemPriceId& item_price) {
  std::set<std::string_view> out;
  for (const auto& one : config.subscriptions)
    if (contains(one.item_prices, item_price)) out.insert(one.id.value());
  return out;
}

void load_subscriptions(std::vector<Section> tables, Problems& problems, Config& config) {
  for (auto& table : tables) {
    SubscriptionConfig subscription;
    table.require("id", "the subscription's id");
    table.subscription("id", subscription.id);
    for (const auto& other : config.subscriptions)
      if (!other.id.empty() && other.id == subscription.id)
        table.error("id", "is listed already; put all its item prices into one table");
    load_item_prices(table, subscription);
    load_active(table, config.time_zone, subscription);
    table.finish();
    config.subscriptions.push_back(std::move(subscription));
  }
  for (const auto& meter : config.meters) warn_if_unlisted(problems, config, meter);
}

void check_not_metered(Problems& problems, const Config& config,
                       const std::vector<Problems::Place>& item_prices) {
  for (std::size_t i = 0; i < config.meters.size(); ++i) {
    const auto& meter = config.meters[i];
    bool metered = false;
    bool not_metered = false;
    bool fixed_to_it = false;  // the meter's own subscription says so, whatever the others say
    for (const auto& subscription : config.subscriptions) {
      const bool here = contains(subscription.not_metered, meter.item_price);
      metered = metered || contains(subscription.item_prices, meter.item_price);
      not_metered = not_metered || here;
      fixed_to_it = fixed_to_it || (here && meter.subscription && fits(meter, subscription));
    }
    if (!fixed_to_it && (metered || !not_metered)) continue;
    problems.error(item_prices[i], "\"" + meter.item_price.value() + "\" is in not_metered of " +
                                       (fixed_to_it ? "the meter's [[subscription]]"
                                                    : "a [[subscription]] and in item_prices of none") +
                                       ": what \"" + meter.event.value() + "\" counts would be refused");
  }
}

}  // namespace meterd::app
