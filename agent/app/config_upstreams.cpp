#include <algorithm>

#include "agent/app/config_billing.hpp"
#include "agent/app/config_values.hpp"
#include "agent/base/limits.hpp"

namespace meterd::app {
namespace {

const DurationRule kSeal{Milliseconds(1'000), Milliseconds(86'400'000),
                         R"(a duration such as "1d" or "15m", at most one day)"};
const DurationRule kSealOffset{Milliseconds(0), Milliseconds(86'400'000),
                               R"(a duration such as "5m", in whole seconds, at most one day)"};
const DurationRule kLife{Milliseconds(86'400'000), Milliseconds(36'500LL * 86'400'000),
                         R"(a duration such as "10y", from one day to 100 years)"};

bool is_twilio(UpstreamKind kind) {
  return kind == UpstreamKind::twilio_v1 || kind == UpstreamKind::twilio_preview;
}

void load_kind(Section& table, UpstreamKind& out) {
  std::string kind(name_of(out));
  table.choice("kind", {"chargebee", "twilio-v1", "twilio-preview"}, kind);
  for (const auto candidate : {UpstreamKind::twilio_v1, UpstreamKind::twilio_preview})
    if (kind == name_of(candidate)) out = candidate;
}

void load_name(Section& table, const Config& config, UpstreamConfig& out) {
  out.name = UpstreamName(name_of(out.kind));
  table.name("name", limits::kUpstreamNameMax, out.name);
  if (out.name.value() == kLedger)
    table.error("name", "\"ledger\" is the device's own name for usages without an upstream; choose another");
  const bool taken = std::any_of(config.upstreams.begin(), config.upstreams.end(),
                                 [&](const UpstreamConfig& other) { return other.name == out.name; });
  if (taken) table.error("name", "\"" + out.name.value() + "\" names another [[upstream]] already");
}

void load_url(Section& table, UpstreamConfig& out) {
  const std::string what = R"(an https URL such as "https://acme.chargebee.com/api/v2")";
  table.require("url", what);
  const auto* text = table.text("url", what);
  if (text == nullptr) return;
  auto url = parse_url(*text);
  if (!url) return table.error("url", "expected " + what + "; " + url.error().message);
  if (!url->tls && url->host != "localhost" && !is_loopback_address(url->host))
    table.warning("url",
                  "http to another host: everyone on the way can read the key and the usages; use https");
  out.tls = url->tls;
  out.host = std::move(url->host);
  out.port = std::move(url->port);
  out.base_path = std::move(url->base_path);
}

void load_seal(Section& table, UpstreamConfig& out) {
  table.duration("seal", kSeal, out.seal);
  table.duration("seal_delay", kSealOffset, out.seal_delay);
  table.duration("flush_window", kSealOffset, out.flush_window);
  if (86'400 % out.seal.count() != 0)
    table.error("seal", "\"" + duration_text(out.seal) +
                            R"(" does not divide a day into equal parts; "15m", "1h" or "6h" would)");
  std::string unique = "second";
  table.choice("unique", {"second", "day"}, unique);
  out.unique_per_day = unique == "day";
  if (out.unique_per_day)
    table.error("unique", R"("day" is not available in this version of meterd; use unique = "second")");
}

void load_chargebee(Section& table, UpstreamConfig& out) {
  table.require("key", R"(the API key as { file = "/PATH" }, { credential = "NAME" } or { env = "NAME" })");
  table.secret("key", out.key);
  for (const char* key : {"account", "token", "batch", "decimals", "in_doubt"}) {
    table.take(key);
    if (table.has(key))
      table.error(key, "belongs to an upstream of kind \"twilio-v1\" or \"twilio-preview\"");
  }
}

void load_twilio(Section& table, UpstreamConfig& out) {
  std::uint64_t batch = out.batch;
  std::uint64_t decimals = out.decimals;
  table.require("account",
                R"(the account sid, "AC" and 32 hexadecimal digits, or an API key's, "SK" and 32)");
  load_twilio_account(table, "account", out.account);
  table.require(
      "token",
      R"(the auth token, or the API key's secret, as { file = "/PATH" }, { credential = "NAME" } or )"
      R"({ env = "NAME" })");
  table.secret("token", out.token);
  table.unsigned_integer("batch", 1, 1'000, batch);
  table.unsigned_integer("decimals", 0, 9, decimals);
  table.choice("in_doubt", {"hold", "resend", "assume-delivered"}, out.in_doubt);
  out.batch = static_cast<std::uint32_t>(batch);
  out.decimals = static_cast<std::uint32_t>(decimals);
  for (const char* key : {"batch", "decimals"})
    if (table.has(key) && out.kind == UpstreamKind::twilio_preview)
      table.error(
          key, "belongs to an upstream of kind \"twilio-v1\": Preview takes one quantity of units a request");
  table.take("key");
  if (table.has("key"))
    table.error("key", "belongs to an upstream of kind \"chargebee\"; here it is `token`");
}

}  // namespace

void load_twilio_account(Section& section, const char* key, std::string& out) {
  const std::string what = R"(an account's or API key's sid: "AC" or "SK" and 32 hexadecimal digits)";
  const auto* text = section.text(key, what);
  if (text == nullptr) return;
  const bool hex = text->find_first_not_of("0123456789abcdefABCDEF", 2) == std::string::npos;
  // The value is not shown: the token, pasted into the wrong line, looks alike.
  const bool known = text->starts_with("AC") || text->starts_with("SK");
  if (text->size() != 34 || !known || !hex) return section.error(key, "expected " + what);
  out = *text;
}

void load_upstreams(std::vector<Section> tables, Config& config, std::vector<Problems::Place>& lives) {
  for (auto& table : tables) {
    UpstreamConfig upstream;
    load_kind(table, upstream.kind);
    load_name(table, config, upstream);
    load_url(table, upstream);
    load_seal(table, upstream);
    table.duration("life", kLife, upstream.life);
    is_twilio(upstream.kind) ? load_twilio(table, upstream) : load_chargebee(table, upstream);
    table.finish();
    lives.push_back(table.place("life"));
    config.upstreams.push_back(std::move(upstream));
  }
}

std::string_view name_of(UpstreamKind kind) {
  switch (kind) {
    case UpstreamKind::ledger:
      return kLedger;
    case UpstreamKind::chargebee:
      return "chargebee";
    case UpstreamKind::twilio_v1:
      return "twilio-v1";
    case UpstreamKind::twilio_preview:
      break;
  }
  return "twilio-preview";
}

std::string similar_upstream(const Config& config, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& upstream : config.upstreams) names.push_back(upstream.name.value());
  return did_you_mean(name, names);
}

}  // namespace meterd::app
