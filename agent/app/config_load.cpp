#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <set>

#include "agent/app/config_billing.hpp"
#include "agent/app/config_reader.hpp"
#include "agent/app/config_secret.hpp"
#include "agent/app/config_sources.hpp"
#include "agent/app/config_values.hpp"
#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"
#include "agent/meter/price.hpp"

namespace meterd::app {
namespace {

constexpr std::size_t kFileMax = 1 << 20;
constexpr std::uint64_t kJournalMin = 1ULL << 20;
// One seal or one receipt rewrites about ten pages, and LMDB frees them two commits later.
constexpr std::uint64_t kReserveMin = 256ULL << 10;

constexpr std::uint64_t kLifetimeLimitMax = 10'000'000;  // usages of one subscription

constexpr Milliseconds kDay{86'400'000};
const DurationRule kCommitInterval{Milliseconds(10), Milliseconds(3'600'000),
                                   R"(a duration such as "10s", from "10ms" to "1h")"};
const DurationRule kHistory{Milliseconds(1'000), kDay * 36'500,
                            R"(a duration such as "400d", in whole seconds, at least "1s")"};
const DurationRule kTolerance{Milliseconds(0), kDay * 36'500,
                              R"(a duration such as "5m" or "400d", in whole seconds)"};
const DurationRule kIdempotency{Milliseconds(60'000), kDay,
                                R"(a duration such as "30m", in whole seconds, from "1m" to "1d")"};

// The machine id identifies the machine to everyone who ever sees it (machine-id(5)): only a hash of it
// leaves.
std::string default_device_id(std::string machine_id) {
  while (!machine_id.empty() && (machine_id.back() == '\n' || machine_id.back() == ' '))
    machine_id.pop_back();
  if (machine_id.empty() || machine_id == "uninitialized") return "";
  const std::string bytes = "meterd" + machine_id;
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  std::string id = "gw-";
  for (std::size_t i = 0; i < 8; ++i) {
    id += "0123456789abcdef"[digest[i] >> 4U];
    id += "0123456789abcdef"[digest[i] & 15U];
  }
  return id;
}

void load_device(Section section, const ConfigSources& sources, Config& out) {
  out.device_id = DeviceId(default_device_id(sources.machine_id));
  section.name("id", limits::kIdMax, out.device_id);
  if (!section.has("id") && out.device_id.empty())
    section.error("id", R"(this system has no machine id to derive it from; set it, such as id = "gw-0042")");
  load_time_zone(section, out.time_zone);
  section.finish();
}

void load_clock(Section section, Config& out) {
  std::string trust = "synchronised";
  section.choice("trust", {"synchronised", "always"}, trust);
  out.clock_trust = trust == "always" ? ClockTrust::always : ClockTrust::synchronised;
  section.choice("undated", {"hold", "boot-end"}, out.clock_undated);
  section.finish();
}

void load_journal(Section section, Config& out) {
  section.name("directory", 4'000, out.journal_directory);
  if (out.journal_directory.front() != '/') section.expected("directory", "an absolute path");
  const bool size_given = section.size("max_size", out.journal_size_max);
  constexpr auto kSizeMax = limits::map_bytes_max();
  if (out.journal_size_max < kJournalMin || out.journal_size_max > kSizeMax)
    section.expected("max_size", "a size from \"1MiB\" to \"" + size_text(kSizeMax) + "\" on this machine");
  // The default must fit every allowed max_size, or a small journal would need two keys.
  if (size_given)
    out.journal_reserve = std::clamp(out.journal_size_max / 8192 * 1024, kReserveMin, out.journal_reserve);
  const bool reserve_given = section.size("reserve", out.journal_reserve);
  if (reserve_given && (out.journal_reserve < kReserveMin || out.journal_reserve >= out.journal_size_max / 2))
    section.expected("reserve", "a size from \"256KiB\" to less than half of max_size (\"" +
                                    size_text(out.journal_size_max) + "\")");
  section.duration("commit_interval", kCommitInterval, out.commit_interval);
  section.duration("retain_delivered", kTolerance, out.retain_delivered);
  section.finish();
}

// Reads a list of sockets of which each is a Unix socket or `network`, and that only on this device: what
// comes over a network has no peer whose rights could be asked for.
void load_sockets(Section& section, const char* key, SocketAddress::Kind network,
                  std::vector<std::string>& out) {
  const bool udp = network == SocketAddress::Kind::udp;
  const std::string what = udp ? R"(such as "unix:/run/meterd/statsd.sock" or "udp:127.0.0.1:8125")"
                               : R"(such as "unix:/run/meterd/api.sock" or "127.0.0.1:8480")";
  section.strings(key, what, out);
  std::set<std::string> seen;
  for (const auto& text : out) {
    const auto socket = parse_socket(text);
    if (!socket) {
      section.error(
          key, "expected a socket " + what + ": " + socket.error().message + "; found " + toml_quote(text));
    } else if (socket->kind != SocketAddress::Kind::unix_path && socket->kind != network) {
      section.error(key, "expected a socket " + what + "; found " + toml_quote(text));
    } else if (socket->kind == network && !is_loopback_address(socket->host)) {
      section.error(key, toml_quote(text) +
                             " could be reached from other machines, and who sends there is unknown; "
                             "use a loopback address (127.0.0.1, [::1]) or a Unix socket");
    }
    if (!seen.insert(text).second) section.error(key, toml_quote(text) + " is listed twice");
  }
}

void load_ingest(Section section, Config& out) {
  const std::string what = R"(the absolute path of a Unix socket such as "/run/meterd/ingest.sock")";
  if (const auto* path = section.text("socket", what)) {
    if (!is_socket_path(*path)) section.expected("socket", what + ", at most 107 bytes");
    out.ingest_socket = *path;
  }
  load_counters(section, out.ingest_socket, out.counters);
  if (out.counters.socket == out.ingest_socket)
    section.error("counters", "\"" + out.ingest_socket + "\" is ingest.socket already");
  load_sockets(section, "statsd", SocketAddress::Kind::udp, out.statsd);
  if (std::find(out.statsd.begin(), out.statsd.end(), "unix:" + out.counters.socket) != out.statsd.end())
    section.error(section.has("counters") ? "counters" : "statsd",
                  toml_quote(out.counters.socket) + " is in ingest.counters and in ingest.statsd");
  if (std::find(out.statsd.begin(), out.statsd.end(), "unix:" + out.ingest_socket) != out.statsd.end())
    section.error("statsd", "\"unix:" + out.ingest_socket + "\" is ingest.socket already");
  section.duration("remember_ids", kHistory, out.remember_ids);
  section.duration("accept_past", kTolerance, out.accept_past);
  section.duration("accept_future", kTolerance, out.accept_future);
  section.finish();
}

// Calls to one of the device's own APIs go to the one upstream of that kind, or to the one that is named, and
// stay in the ledger where there is none.
void load_api_upstream(Section& section, const char* key, UpstreamKind kind, const Config& config,
                       UpstreamName& out) {
  std::vector<std::string> fitting;
  for (const auto& upstream : config.upstreams)
    if (upstream.kind == kind) fitting.push_back(upstream.name.value());
  const auto kind_name = "\"" + std::string(name_of(kind)) + "\"";
  if (!fitting.empty()) out = UpstreamName(fitting.front());
  if (fitting.size() > 1 && !section.has(key))
    section.error(key, std::to_string(fitting.size()) + " [[upstream]] are of kind " + kind_name +
                           "; name the one that calls to the device's own API go to");
  UpstreamName named = out;
  section.name(key, limits::kUpstreamNameMax, named);
  const bool stays = fitting.empty() && named.value() == kLedger;
  if (!stays && std::find(fitting.begin(), fitting.end(), named.value()) == fitting.end())
    return section.error(key, "no [[upstream]] of kind " + kind_name + " is named \"" + named.value() + "\"" +
                                  did_you_mean(named.value(), fitting));
  out = named;
}

void load_preview_as(Section& section, Config& out) {
  auto table = section.table("preview_as", R"({ item_price = "BI...", unit_price = "0.0075" })");
  if (!table) return;
  PreviewAs preview;
  std::optional<Quantity> unit_price;
  table->require("item_price", "the billing sid of the V1 upstream");
  const std::string price =
      R"(the price of one unit, above zero and with at most 12 places, such as "0.0075")";
  table->require("unit_price", price);
  table->name("item_price", limits::kIdMax, preview.item_price);
  table->quantity("unit_price", unit_price);
  if (unit_price && (unit_price->is_zero() || unit_price->cut_to(meter::kPricePlacesMax) != *unit_price))
    table->expected("unit_price", price);
  table->finish();
  preview.unit_price = unit_price.value_or(Quantity());
  if (out.twilio_v1_upstream.value() == kLedger)
    section.error("preview_as", R"(needs an [[upstream]] of kind "twilio-v1" to deliver to)");
  out.preview_as = preview;
}

void load_api(Section section, Config& out) {
  load_sockets(section, "listen", SocketAddress::Kind::tcp, out.api_listen);
  const auto is_unix = [](const std::string& text) { return text.starts_with("unix:"); };
  if (std::none_of(out.api_listen.begin(), out.api_listen.end(), is_unix))
    section.warning("listen", "has no Unix socket: meterctl will not reach the daemon");
  for (const auto& taken : out.api_listen)
    if (taken == "unix:" + out.ingest_socket ||
        std::find(out.statsd.begin(), out.statsd.end(), taken) != out.statsd.end())
      section.error("listen", toml_quote(taken) + " is a socket of [ingest] already");
  const auto tcp = std::find_if_not(out.api_listen.begin(), out.api_listen.end(), is_unix);
  if (tcp != out.api_listen.end()) out.public_url = "http://" + *tcp;
  const std::string what = R"(an http or https URL such as "http://127.0.0.1:8480")";
  if (const auto* text = section.text("public_url", what)) {
    const auto url = parse_url(*text);
    if (!url) section.error("public_url", "expected " + what + "; " + url.error().message);
    if (url) out.public_url = url_text(*url);
  }
  section.secret("chargebee_key", out.chargebee_key);
  load_twilio_account(section, "twilio_account", out.twilio_account);
  section.secret("twilio_token", out.twilio_token);
  if (section.has("twilio_account") != section.has("twilio_token"))
    section.error(section.has("twilio_account") ? "twilio_account" : "twilio_token",
                  "twilio_account and twilio_token belong together; set both or none");
  section.duration("idempotency_window", kIdempotency, out.idempotency_window);
  section.unsigned_integer("lifetime_limit", 1, kLifetimeLimitMax, out.lifetime_limit);
  load_api_upstream(section, "chargebee_upstream", UpstreamKind::chargebee, out, out.chargebee_upstream);
  load_api_upstream(section, "twilio_v1_upstream", UpstreamKind::twilio_v1, out, out.twilio_v1_upstream);
  load_api_upstream(section, "twilio_preview_upstream", UpstreamKind::twilio_preview, out,
                    out.twilio_preview_upstream);
  load_preview_as(section, out);
  section.finish();
}

// The order of reading is that of dependence: what a later section refers to is known by then.
Config load_sections(const TomlNode& document, Problems& problems, const ConfigSources& sources) {
  Config out;
  Section root(problems, sources, "", &document);
  const auto section = [&](const char* name) { return Section(problems, sources, name, root.take(name)); };
  const auto tables = [&](const char* name) { return sections(problems, sources, root, name); };
  std::vector<Problems::Place> lives;
  std::vector<Problems::Place> item_prices;
  load_device(section("device"), sources, out);
  load_clock(section("clock"), out);
  load_journal(section("journal"), out);
  load_ingest(section("ingest"), out);
  load_upstreams(tables("upstream"), out, lives);
  load_api(section("api"), out);
  load_meters(tables("meter"), out, item_prices);
  load_access(section("access"), problems, sources, out);
  load_subscriptions(tables("subscription"), problems, out);
  load_sources(tables("source"), out);
  check_lives(problems, out, lives);
  check_not_metered(problems, out, item_prices);
  root.finish();
  return out;
}

}  // namespace

Result<Config> load_config(const std::string& path, const ConfigSources& sources) {
  const auto bytes = read_small_file(path, kFileMax);
  if (!bytes) return bytes.error();
  Problems problems(path);
  TomlNode document;
  if (TomlSyntaxError syntax; !parse_toml(*bytes, document, syntax)) {
    problems.error({syntax.line, ""}, "not TOML: " + syntax.message);
    return *problems.errors();
  }
  Config config = load_sections(document, problems, sources);
  if (auto errors = problems.errors()) return std::move(*errors);
  config.warnings = problems.warnings();
  return config;
}

}  // namespace meterd::app
