// [ingest] counters and its limits.
#include "agent/app/config_sources.hpp"
#include "agent/app/config_values.hpp"

namespace meterd::app {
namespace {

constexpr std::uint64_t kCountersMax = 100'000;
constexpr std::uint64_t kCounterClientsMax = 128;
constexpr std::uint64_t kCounterRateMax = 1'000'000'000'000'000;

}  // namespace

// Beside the other socket, so that apps find both in one directory.
void load_counters(Section& section, const std::string& ingest_socket, source::SharedCountersRule& out) {
  const std::string what = R"(the absolute path of a Unix socket such as "/run/meterd/counters.sock", or "")";
  out.socket = ingest_socket.substr(0, ingest_socket.rfind('/')) + "/counters.sock";
  if (!is_socket_path(out.socket) || out.socket == ingest_socket) out.socket.clear();
  if (const auto* path = section.text("counters", what)) {
    if (!path->empty() && !is_socket_path(*path)) section.expected("counters", what + ", at most 107 bytes");
    out.socket = *path;
  }
  section.unsigned_integer("counters_per_user", 1, kCountersMax, out.counters_per_user);
  section.unsigned_integer("counter_clients_per_user", 1, kCounterClientsMax, out.clients_per_user);
  section.unsigned_integer("counter_rate_max", 1, kCounterRateMax, out.rate_max);
}

void describe(const source::SharedCountersRule& rule, TomlWriter& out) {
  out.text("counters", rule.socket);
  out.raw("counters_per_user", std::to_string(rule.counters_per_user));
  out.raw("counter_clients_per_user", std::to_string(rule.clients_per_user));
  out.raw("counter_rate_max", std::to_string(rule.rate_max));
}

}  // namespace meterd::app
