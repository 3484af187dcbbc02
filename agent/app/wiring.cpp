#include "agent/app/wiring.hpp"

#include <algorithm>
#include <utility>

#include "agent/app/vendors.hpp"
#include "agent/meter/rounding.hpp"

namespace meterd::app {

namespace {

constexpr const char* kPreviewItemPrice = "preview";  // Twilio's Preview API has no billing sids

flush::Target target_of(const UpstreamConfig& config) {
  flush::Target target{config.name, vendor_of(config), seal_rule_of(config)};
  if (config.in_doubt == "resend") target.in_doubt = flush::InDoubt::resend;
  if (config.in_doubt == "assume-delivered") target.in_doubt = flush::InDoubt::assume_delivered;
  return target;
}

// So many places may what is counted have that its product with one of `part`'s is exact.
int places_beside(const Quantity& part) {
  int places = 0;
  while (part.cut_to(places) != part) ++places;
  return Quantity::kPlaces - places;
}

// What money, or a block, costs its units; events with more places than leave the amount exact are refused.
void put_price(const Config& config, const MeterConfig& meter, flush::Target& target,
               meter::MeterRule& rule) {
  if (const auto blocks = meter::price_of_rounding(meter.rounding)) {
    rule.places = places_beside(blocks->unit);
    target.prices[meter.item_price] = *blocks;
  }
  for (const auto& upstream : config.upstreams) {
    if (upstream.name != meter.upstream) continue;
    rule.of_installations =
        upstream.kind == UpstreamKind::twilio_v1 || upstream.kind == UpstreamKind::twilio_preview;
    if (upstream.kind != UpstreamKind::twilio_v1 || !meter.unit_price) continue;
    rule.places = Quantity::kPlaces - meter::kPricePlacesMax;
    target.prices[meter.item_price] = {*meter.unit_price, static_cast<int>(upstream.decimals)};
  }
}

Result<std::shared_ptr<const usages::Rules>> rules_of(
    const Config& config, const std::shared_ptr<const flush::SealContext>& context) {
  auto rules = std::make_shared<usages::Rules>();
  rules->upstream = config.chargebee_upstream;
  for (const auto& upstream : config.upstreams)  // a configuration that was not loaded from a file names none
    if (!context->targets.contains(rules->upstream) && upstream.kind == UpstreamKind::chargebee)
      rules->upstream = upstream.name;
  rules->ledger = UpstreamName(kLedger);
  rules->twilio_v1 = config.twilio_v1_upstream;
  rules->twilio_preview = config.preview_as ? config.twilio_v1_upstream : config.twilio_preview_upstream;
  rules->preview_item_price =
      config.preview_as ? config.preview_as->item_price : ItemPriceId(kPreviewItemPrice);
  rules->context = context;
  rules->public_url = config.public_url;
  rules->lifetime_limit = config.lifetime_limit;
  rules->idempotency_window = config.idempotency_window;
  for (const auto& upstream : config.upstreams)
    if (upstream.kind != UpstreamKind::chargebee) rules->hidden.insert(upstream.name);
  auto zone = meter::TimeZone::load(config.time_zone);
  if (!zone) return zone.error();
  rules->zone = *zone;
  for (const auto& meter : config.meters) {
    if (meter.upstream != rules->upstream || meter.time_zone.empty()) continue;
    auto own = meter::TimeZone::load(meter.time_zone);
    if (!own) return own.error();
    rules->zones.emplace(meter.item_price, *own);
  }
  for (const auto& one : config.subscriptions) {
    auto& subscription = rules->subscriptions[one.id];
    subscription.item_prices = {one.item_prices.begin(), one.item_prices.end()};
    subscription.not_metered = {one.not_metered.begin(), one.not_metered.end()};
    for (const auto& time : one.active) subscription.active.emplace_back(time.from, time.until);
  }
  return std::shared_ptr<const usages::Rules>(std::move(rules));
}

}  // namespace

std::vector<UpstreamConfig> upstreams_of(const Config& config) {
  auto out = config.upstreams;
  const bool needed = config.chargebee_upstream.value() == kLedger ||
                      config.twilio_v1_upstream.value() == kLedger ||
                      (config.twilio_preview_upstream.value() == kLedger && !config.preview_as);
  const bool takes_usages = std::any_of(out.begin(), out.end(),
                                        [](const auto& one) { return one.kind == UpstreamKind::chargebee; });
  if (takes_usages && !needed) return out;
  UpstreamConfig ledger;
  ledger.name = UpstreamName(kLedger);
  ledger.kind = UpstreamKind::ledger;
  out.push_back(std::move(ledger));
  return out;
}

flush::Sealer::Settings sealing_of(const Config& config,
                                   const std::shared_ptr<const flush::SealContext>& context) {
  flush::Sealer::Settings settings{context, config.retain_delivered, !config.upstreams.empty(), {}};
  if (config.chargebee_upstream.value() == kLedger) settings.invoiced_here = UpstreamName(kLedger);
  return settings;
}

Result<Wiring> make_wiring(const Config& config, const journal::Journal& journal,
                           const platform::Clock& clock) {
  auto context = std::make_shared<flush::SealContext>();
  context->device = config.device_id;
  context->epoch = journal.epoch();
  for (const auto& upstream : upstreams_of(config)) {
    auto& target = context->targets.emplace(upstream.name, target_of(upstream)).first->second;
    if (config.preview_as && upstream.name == config.twilio_v1_upstream)
      target.prices[config.preview_as->item_price] = {config.preview_as->unit_price,
                                                      static_cast<int>(upstream.decimals)};
  }

  std::vector<meter::MeterRule> meters;
  std::vector<meter::SealRule> seal_rules;
  for (const auto& meter : config.meters) {
    auto zone = meter::TimeZone::load(meter.time_zone.empty() ? config.time_zone : meter.time_zone);
    if (!zone) return zone.error();
    const auto target = context->targets.find(meter.upstream);
    if (target == context->targets.end())
      return Error{Code::invalid,
                   "a meter names the upstream " + meter.upstream.value() + ", which is not configured"};
    seal_rules.push_back(target->second.seal);
    auto& rule = meters.emplace_back(
        meter::MeterRule{meter.event, meter.upstream, meter.item_price, meter.subscription, *zone});
    put_price(config, meter, target->second, rule);
  }
  auto rules = rules_of(config, context);
  if (!rules) return rules.error();
  std::vector<meter::SubscriptionRule> subscriptions;
  for (const auto& one : config.subscriptions) subscriptions.push_back({one.id, one.item_prices});

  const auto seal_early = [context, &clock, boot = journal.boot_number()](
                              journal::WriteTransaction& txn, const meter::BucketKey& bucket) -> Status {
    const auto now = journal::moment_of(clock, boot);
    auto sealed = flush::seal_bucket(txn, *context, bucket, now);
    if (!sealed) return sealed.error();
    return {};
  };
  return Wiring{context,
                {std::make_shared<meter::Catalog>(std::move(meters), subscriptions),
                 std::move(seal_rules),
                 seal_early,
                 {config.commit_interval, config.accept_past, config.accept_future, config.remember_ids,
                  config.clock_undated == "boot-end"}},
                std::move(*rules)};
}

}  // namespace meterd::app
