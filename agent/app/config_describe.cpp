#include <string>
#include <string_view>
#include <vector>

#include "agent/app/config.hpp"
#include "agent/app/config_billing.hpp"
#include "agent/app/config_sources.hpp"
#include "agent/app/config_values.hpp"
#include "agent/app/toml_writer.hpp"
#include "agent/meter/dating.hpp"

namespace meterd::app {
namespace {

void describe_device(const Config& config, TomlWriter& out) {
  out.header("[device]");
  out.text("id", config.device_id.value());
  out.text("time_zone", config.time_zone);
  out.header("[clock]");
  out.text("trust", config.clock_trust == ClockTrust::always ? "always" : "synchronised");
  out.text("undated", config.clock_undated);
  out.header("[journal]");
  out.text("directory", config.journal_directory);
  out.text("max_size", size_text(config.journal_size_max));
  out.text("reserve", size_text(config.journal_reserve));
  out.duration("commit_interval", config.commit_interval);
  out.duration("retain_delivered", config.retain_delivered);
  out.header("[ingest]");
  out.text("socket", config.ingest_socket);
  describe(config.counters, out);
  out.list("statsd", config.statsd);
  out.duration("remember_ids", config.remember_ids);
  out.duration("accept_past", config.accept_past);
  out.duration("accept_future", config.accept_future);
  out.header("[access]");
  out.list("groups", config.access.groups);
  for (const auto& rule : config.access.allow) {
    out.header("[[access.allow]]");
    out.text_if("user", rule.user);
    out.text_if("group", rule.group);
    out.text_if("unit", rule.unit);
    out.text_if("input", rule.input);
    const auto& [events, subscriptions] = rule.permit;
    if (!events.any()) out.list("events", {events.only().begin(), events.only().end()});
    if (!subscriptions.any())
      out.list("subscriptions", {subscriptions.only().begin(), subscriptions.only().end()});
  }
}

void describe_api(const Config& config, TomlWriter& out) {
  out.header("[api]");
  out.list("listen", config.api_listen);
  out.text("public_url", config.public_url);
  out.secret("chargebee_key", config.chargebee_key);
  out.text_if("twilio_account", config.twilio_account);
  out.secret("twilio_token", config.twilio_token);
  out.duration("idempotency_window", config.idempotency_window);
  out.raw("lifetime_limit", std::to_string(config.lifetime_limit));
  out.text("chargebee_upstream", config.chargebee_upstream.value());
  out.text("twilio_v1_upstream", config.twilio_v1_upstream.value());
  out.text("twilio_preview_upstream", config.twilio_preview_upstream.value());
  if (const auto& preview = config.preview_as)
    out.raw("preview_as", "{ item_price = " + toml_quote(preview->item_price.value()) +
                              ", unit_price = " + toml_quote(preview->unit_price.text()) + " }");
}

void describe_upstream(const UpstreamConfig& upstream, TomlWriter& out) {
  const auto defaults = meter::SealRule::with_defaults(upstream.seal.count());
  out.header("[[upstream]]");
  out.text("name", upstream.name.value());
  out.text("kind", std::string(name_of(upstream.kind)));
  out.text("url", url_text({upstream.tls, upstream.host, upstream.port, upstream.base_path}));
  out.secret("key", upstream.key);
  out.duration("seal", upstream.seal);
  out.duration("seal_delay", upstream.seal_delay.value_or(Seconds(defaults.delay)));
  out.duration("flush_window", upstream.flush_window.value_or(Seconds(defaults.flush_window)));
  out.text("unique", upstream.unique_per_day ? "day" : "second");
  if (upstream.life) out.duration("life", *upstream.life);
  if (upstream.kind == UpstreamKind::chargebee) return;
  out.text_if("account", upstream.account);
  out.secret("token", upstream.token);
  if (upstream.kind == UpstreamKind::twilio_v1) {
    out.raw("batch", std::to_string(upstream.batch));
    out.raw("decimals", std::to_string(upstream.decimals));
  }
  out.text("in_doubt", upstream.in_doubt);
}

void describe_meter(const MeterConfig& meter, TomlWriter& out) {
  out.header("[[meter]]");
  out.text("event", meter.event.value());
  out.text("item_price", meter.item_price.value());
  out.text("upstream", meter.upstream.value());
  if (meter.subscription) out.text("subscription", meter.subscription->value());
  out.text("time_zone", meter.time_zone);
  out.text("rounding", meter.rounding);
  if (meter.unit_price) out.text("unit_price", meter.unit_price->text());
}

std::vector<std::string> values_of(const std::vector<ItemPriceId>& prices) {
  std::vector<std::string> out;
  for (const auto& price : prices) out.push_back(price.value());
  return out;
}

// What the file's days are in the device's time zone: "2025-12-31T23:00:00Z/2026-06-30T22:00:00Z".
std::string instants_of(const std::vector<ActiveTime>& active) {
  const auto end = [](std::int64_t at, std::int64_t open) {
    return at == open ? "" : rfc3339(WallTime::from_seconds(at));
  };
  std::string out;
  for (const auto& time : active)
    out += (out.empty() ? "" : ", ") + end(time.from, INT64_MIN) + "/" + end(time.until, INT64_MAX);
  return out;
}

void describe_subscription(const SubscriptionConfig& subscription, TomlWriter& out) {
  out.header("[[subscription]]");
  out.text("id", subscription.id.value());
  out.list("item_prices", values_of(subscription.item_prices));
  if (!subscription.not_metered.empty()) out.list("not_metered", values_of(subscription.not_metered));
  if (subscription.active.empty()) return;
  out.comment("active from, and until before: " + instants_of(subscription.active));
  out.list("active", subscription.active_text);
}

}  // namespace

std::string describe(const Config& config) {
  TomlWriter out;
  describe_device(config, out);
  describe_api(config, out);
  for (const auto& upstream : config.upstreams) describe_upstream(upstream, out);
  for (const auto& meter : config.meters) describe_meter(meter, out);
  for (const auto& subscription : config.subscriptions) describe_subscription(subscription, out);
  for (const auto& source : config.sources) describe_source(source, out);
  return out.take();
}

}  // namespace meterd::app
