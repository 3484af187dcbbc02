#include "agent/usages/charges.hpp"

#include <algorithm>

namespace meterd::usages {
namespace {

using Api = ChargeOrder::Api;

const flush::Target& target_of(const ChargeOrder& order, const Rules& rules) {
  return rules.context->targets.at(order.api == Api::v1 ? rules.twilio_v1 : rules.twilio_preview);
}

bool is_listed(const ChargeOrder& order, const ItemPriceId& item_price, const Rules& rules) {
  if (rules.subscriptions.empty()) return true;
  const auto known = rules.subscriptions.find(order.installation);
  return known != rules.subscriptions.end() && known->second.item_prices.contains(item_price);
}

}  // namespace

Result<std::int64_t> arrival(const journal::WriteTransaction& txn, const meter::SeriesKey& series,
                             const meter::TimeZone& zone, WallTime now) {
  const auto seconds = now.seconds().count();
  auto free = txn.free_date(series, {zone.bounds(zone.day_of(now)).start, seconds, seconds});
  if (!free) return free.error();
  return free->value_or(seconds);
}

std::string objection(const ChargeOrder& order, const Rules& rules) {
  const auto& target = target_of(order, rules);
  const auto traits = target.vendor->traits();
  for (const auto& item : order.items) {
    if (item.quantity.is_negative() && !traits.takes_credits && !traits.local)
      return "A credit cannot be delivered: this device bills through Twilio's V1 API, which has none.";
    const bool is_amount = order.api == Api::v1 && traits.bills_money;
    if (is_amount && !meter::fits_a_double(item.quantity))
      return "The quantity " + item.quantity.text() + " has more than 15 digits, which Twilio would round.";
  }
  return {};
}

Result<std::vector<bool>> charge(journal::WriteTransaction& txn, const ChargeOrder& order,
                                 const std::vector<UsageId>& ids, const Rules& rules,
                                 const journal::Moment& now) {
  const auto& target = target_of(order, rules);
  std::vector<bool> taken;
  for (std::size_t i = 0; i < order.items.size(); ++i) {
    const auto& item = order.items[i];
    const auto& item_price = order.api == Api::v1 ? item.item_price : rules.preview_item_price;
    taken.push_back(is_listed(order, item_price, rules));
    if (!taken.back()) continue;
    meter::Usage usage;
    usage.id = ids[i];
    usage.series = {target.name, order.installation, item_price};
    usage.day = rules.zone.day_of(now.wall);
    usage.quantity = item.quantity;
    auto date = arrival(txn, usage.series, rules.zone, now.wall);
    if (!date) return date.error();
    usage.usage_date = *date;
    if (order.api == Api::preview)
      if (auto priced = flush::put_charge(txn, target, usage, now); !priced) return priced.error();
    auto created = txn.create_usage({usage, flush::record_of(target.vendor->encode_create(usage)),
                                     journal::v0::API, rules.zone.name(), 0},
                                    now);
    if (!created) return created.error();
    if (auto s = flush::settle_odd_amount(txn, created->sequence, usage, now); !s) return s.error();
  }
  return taken;
}

}  // namespace meterd::usages
