#include "agent/app/config_plan.hpp"

#include <algorithm>
#include <cstdio>
#include <set>

#include "agent/app/config_billing.hpp"
#include "agent/app/config_values.hpp"
#include "agent/app/vendors.hpp"
#include "agent/base/flash.hpp"

namespace meterd::app {
namespace {

constexpr Seconds kYear{365 * 86'400};

// The most item prices that can meet on one subscription of the upstream.
std::int64_t item_prices_per_subscription(const Config& config, const UpstreamName& upstream) {
  std::set<SubscriptionId> subscriptions{
      SubscriptionId()};  // the empty one: any that is not fixed in a meter
  for (const auto& meter : config.meters)
    if (meter.upstream == upstream && meter.subscription) subscriptions.insert(*meter.subscription);
  std::size_t most = 0;
  for (const auto& subscription : subscriptions) {
    std::set<ItemPriceId> prices;
    for (const auto& meter : config.meters)
      if (meter.upstream == upstream && (!meter.subscription || *meter.subscription == subscription))
        prices.insert(meter.item_price);
    most = std::max(most, prices.size());
  }
  return static_cast<std::int64_t>(most);
}

std::string arithmetic(const upstream::Plan& plan, Seconds life) {
  const auto seals = plan.usages_in(life) / plan.item_prices;
  return "\"" + duration_text(life) + "\" is " + std::to_string(seals) + " seals of \"" +
         duration_text(plan.seal_interval) + "\", times " + std::to_string(plan.item_prices) +
         " item price(s) on one subscription: " + std::to_string(plan.usages_in(life)) +
         " usages, but the upstream takes " + std::to_string(plan.lifetime_limit) +
         " per subscription, ever, which lasts " + duration_text(*plan.lasts);
}

std::string hours_text(Seconds time) {
  char text[32];
  const auto s = time.count();
  std::snprintf(text, sizeof text, "%02lld:%02lld:%02lld", static_cast<long long>(s / 3'600),
                static_cast<long long>(s / 60 % 60), static_cast<long long>(s % 60));
  return text;
}

// In whole days where there are some.
std::string rounded(Seconds time) {
  const Seconds day(86'400);
  return duration_text(time < 2 * day ? time : time - time % day);
}

std::string counted(std::int64_t n, const std::string& what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

std::string describe_plan(const UpstreamConfig& upstream, const upstream::Plan& plan) {
  if (plan.item_prices == 0) return "#   " + upstream.name.value() + ": no meter counts for it\n";
  std::string out = "#   " + upstream.name.value() + ": for each subscription up to " +
                    counted(plan.usages_per_day, "usage") + " in " +
                    counted(plan.requests_per_day, "request") + " a day,\n#     " +
                    hours_text(plan.after_interval) + " after each interval of \"" +
                    duration_text(plan.seal_interval) + "\" (this device's phase)\n";
  for (const auto& deadline : plan.deadlines)
    out += "#     " + (deadline.after > Seconds(0) ? "after " + rounded(deadline.after) : "at once") + ": " +
           std::string(meaning_of(deadline.kind)) + "\n";
  return out;
}

}  // namespace

upstream::Plan plan_of(const Config& config, const UpstreamConfig& upstream) {
  const auto rule = seal_rule_of(upstream);
  return upstream::plan_of({vendor_of(upstream)->traits(), rule,
                            Seconds(meter::phase_of(rule, config.device_id)),
                            item_prices_per_subscription(config, upstream.name)});
}

void check_lives(Problems& problems, const Config& config, const std::vector<Problems::Place>& lives) {
  for (std::size_t i = 0; i < config.upstreams.size(); ++i) {
    const auto& upstream = config.upstreams[i];
    const auto plan = plan_of(config, upstream);
    const auto life = upstream.life.value_or(kYear);
    if (!plan.lasts || plan.usages_in(life) <= plan.lifetime_limit) continue;
    if (upstream.life)
      problems.error(lives[i], arithmetic(plan, life) +
                                   "; seal less often, meter fewer item prices, or expect a shorter life");
    else
      problems.warning(lives[i], "not set, and " + arithmetic(plan, life) +
                                     "; seal less often, or set the life that is expected");
  }
}

namespace {

// Its readings go with the commits: no more often than those.
std::string describe_flash(const source::NftablesRule& rule, Milliseconds commit_interval) {
  const auto counters = static_cast<std::int64_t>(rule.is_set ? rule.subscribers.size() : 1);
  const auto bytes = flash_bytes_per_day(counters, std::max(rule.interval, commit_interval));
  return "#     " + rule.name() + " adds at most " + std::to_string(megabytes_of(bytes)) +
         " MB a day, if all of its " + std::to_string(counters) + " counters move all the time\n";
}

}  // namespace

std::string describe_plan(const Config& config) {
  std::string out = "\n# What this comes to:\n#   flash: at most " +
                    std::to_string(megabytes_of(flash_bytes_per_day(config.commit_interval))) +
                    " MB a day at commit_interval \"" + duration_text(config.commit_interval) +
                    "\", nothing while idle;\n#     each report that waits for its commit may add " +
                    std::to_string(kFlashBytesPerCommit / 1'000) + " KB\n";
  for (const auto& rule : config.sources)
    if (const auto* table = std::get_if<source::NftablesRule>(&rule))
      out += describe_flash(*table, config.commit_interval);
  for (const auto& upstream : config.upstreams) out += describe_plan(upstream, plan_of(config, upstream));
  return out;
}

}  // namespace meterd::app
