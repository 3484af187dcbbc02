// meterd.toml as plain values. Every key has a default; an unknown key is an error. Loaded once, then read
// only; a reload makes a new one. Secrets are held in Secret, which never prints.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/ids.hpp"
#include "agent/base/quantity.hpp"
#include "agent/base/result.hpp"
#include "agent/base/usage_day.hpp"
#include "agent/ingest/access.hpp"
#include "agent/source/rules.hpp"

namespace meterd::app {

// Holds a secret's value and where it came from; only the source can be printed.
class Secret {
 public:
  Secret() = default;
  Secret(std::string value, std::string source) : value_(std::move(value)), source_(std::move(source)) {}
  const std::string& reveal() const { return value_; }
  const std::string& source() const { return source_; }  // `{ file = "..." }`, as configured
  bool empty() const { return value_.empty(); }

 private:
  std::string value_;
  std::string source_;
};

enum class ClockTrust : std::uint8_t { synchronised, always };
enum class UpstreamKind : std::uint8_t { ledger, chargebee, twilio_v1, twilio_preview };
std::string_view name_of(UpstreamKind kind);  // as in the file: "chargebee"

// The name of the device as its own upstream; no [[upstream]] may have it.
inline constexpr const char* kLedger = "ledger";

struct UpstreamConfig {
  UpstreamName name;
  UpstreamKind kind = UpstreamKind::chargebee;
  bool tls = true;
  std::string host, port, base_path;  // taken from `url`: an IPv6 host without brackets, the port never
                                      // empty, base_path without a trailing slash
  Secret key;                         // chargebee
  Seconds seal{86'400};
  std::optional<Seconds> seal_delay, flush_window;
  bool unique_per_day = false;  // unique = "day"
  std::optional<Seconds> life;
  // Twilio's kinds only.
  std::string account;
  Secret token;
  std::uint32_t batch = 100;      // items per request
  std::uint32_t decimals = 2;     // of the amount
  std::string in_doubt = "hold";  // hold | resend | assume-delivered
};

struct MeterConfig {
  EventName event;
  ItemPriceId item_price;
  UpstreamName upstream;  // "ledger" when no [[upstream]] is configured
  std::optional<SubscriptionId> subscription;
  std::string time_zone;  // the device's, unless given
  std::string rounding = "none";
  std::optional<Quantity> unit_price;  // Twilio: the price of one unit
};

// A part of time, [from, until), in seconds since the epoch.
struct ActiveTime {
  std::int64_t from = INT64_MIN;
  std::int64_t until = INT64_MAX;
  bool operator==(const ActiveTime&) const = default;
};

struct SubscriptionConfig {
  SubscriptionId id;
  std::vector<ItemPriceId> item_prices;
  // When a usage of it can be invoiced: in order, without overlap. Empty: always.
  std::vector<ActiveTime> active;
  std::vector<std::string> active_text;  // each as in the file: "2026-01-01/2026-06-30"
  std::vector<ItemPriceId> not_metered;  // a part of it that takes no usage; none is in item_prices
};

// What a call of Twilio's Preview API becomes when it is delivered to a V1 upstream.
struct PreviewAs {
  ItemPriceId item_price;
  Quantity unit_price;
};

struct Config {
  DeviceId device_id;
  std::string time_zone = "UTC";
  ClockTrust clock_trust = ClockTrust::synchronised;
  std::string clock_undated = "hold";

  std::string journal_directory = "/var/lib/meterd";
  std::uint64_t journal_size_max = 64ULL << 20;
  std::uint64_t journal_reserve = 8ULL << 20;
  Milliseconds commit_interval{10'000};
  Seconds retain_delivered{400 * 86'400};

  std::string ingest_socket = "/run/meterd/ingest.sock";
  source::SharedCountersRule counters;  // without a socket: off
  std::vector<std::string> statsd{"unix:/run/meterd/statsd.sock", "udp:127.0.0.1:8125"};
  Seconds remember_ids{7 * 86'400};
  Seconds accept_past{400 * 86'400};
  Seconds accept_future{300};

  ingest::AccessRules access;
  std::vector<std::string> api_listen{"unix:/run/meterd/api.sock", "127.0.0.1:8480"};
  std::string public_url = "http://127.0.0.1:8480";  // without a trailing slash
  Secret chargebee_key;                              // empty: TCP answers 401
  std::string twilio_account;
  Secret twilio_token;
  Seconds idempotency_window{1'800};
  std::uint64_t lifetime_limit = 5'000;
  // Where calls to the device's own APIs go; never empty after load_config.
  UpstreamName chargebee_upstream{kLedger};
  UpstreamName twilio_v1_upstream{kLedger};
  UpstreamName twilio_preview_upstream{kLedger};
  std::optional<PreviewAs> preview_as;

  std::vector<UpstreamConfig> upstreams;
  std::vector<MeterConfig> meters;
  std::vector<SubscriptionConfig> subscriptions;
  std::vector<source::Rule> sources;

  // What is accepted but deserves a look, one line each, in the form of the errors. Not part of describe().
  std::vector<std::string> warnings;
};

// Reads and validates the whole file, secrets included. The error has one line for each thing wrong, in the
// order of the file and 20 at most: "FILE:LINE: KEY: what is expected; found ...". No secret's value is in
// any of them. Code::io when the file itself cannot be read, Code::invalid otherwise. `machine_id`: what the
// default device id is derived from. `credentials_directory`: $CREDENTIALS_DIRECTORY. `has_user`,
// `has_group`: whether this system has one of that name; without them nobody is missed.
struct ConfigSources {
  std::string machine_id;
  std::string credentials_directory;
  std::function<bool(const std::string&)> has_user = {}, has_group = {};
};
Result<Config> load_config(const std::string& path, const ConfigSources& sources);

// The effective configuration as TOML that load_config would accept, secrets as their sources only.
std::string describe(const Config& config);

}  // namespace meterd::app
