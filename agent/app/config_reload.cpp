#include "agent/app/config_reload.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace meterd::app {

namespace {

std::vector<source::Rule> listening_sources(const Config& config) {
  std::vector<source::Rule> out;
  std::copy_if(config.sources.begin(), config.sources.end(), std::back_inserter(out), source::listens);
  return out;
}

}  // namespace

Status may_reload(const Config& running, const Config& next) {
  std::string fixed;
  const auto compare = [&](const char* key, const auto& now, const auto& then) {
    if (now != then) fixed += (fixed.empty() ? "" : ", ") + std::string(key);
  };
  compare("device.id", running.device_id, next.device_id);
  compare("clock.trust", running.clock_trust, next.clock_trust);
  compare("clock.undated", running.clock_undated, next.clock_undated);
  compare("journal.directory", running.journal_directory, next.journal_directory);
  compare("journal.max_size", running.journal_size_max, next.journal_size_max);
  compare("journal.reserve", running.journal_reserve, next.journal_reserve);
  compare("ingest.socket", running.ingest_socket, next.ingest_socket);
  compare("ingest.statsd", running.statsd, next.statsd);
  compare("ingest.counters, or a limit of them", running.counters, next.counters);
  compare("[access]", running.access, next.access);
  compare("api.listen", running.api_listen, next.api_listen);
  compare("[[source]] that listens", listening_sources(running), listening_sources(next));
  if (fixed.empty()) return {};
  return Error{Code::rejected, "changed, but taken up by a restart only: " + fixed};
}

bool same_endpoint(const UpstreamConfig& a, const UpstreamConfig& b) {
  const auto endpoint = [](const UpstreamConfig& u) {
    return std::tie(u.name, u.kind, u.tls, u.host, u.port, u.base_path, u.key.reveal(), u.account,
                    u.token.reveal(), u.in_doubt, u.batch);
  };
  return endpoint(a) == endpoint(b);
}

}  // namespace meterd::app
