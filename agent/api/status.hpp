// Everything that /status shows, gathered by the app at one moment. Times are UTC; the JSON is documented in
// the README. Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/ingest/stats.hpp"
#include "agent/journal/committer.hpp"
#include "agent/journal/read.hpp"
#include "platform/clock.hpp"

namespace meterd::api {

struct UpstreamStatus {
  std::string name, kind;
  bool configured = true;  // false: it has usages from an earlier configuration
  journal::UpstreamState state;
  std::int64_t oldest_waiting_ms = 0;
  Milliseconds paused_for{};
};

struct Attention {
  std::string what, how;  // how: what to do
};

struct Status {
  std::string version, device, run_state;
  Milliseconds uptime{};
  platform::WallReading clock;
  WallTime last_trusted;  // as the journal had it when it was opened
  ingest::IngestStats ingest;
  bool uncommitted = false;
  Milliseconds stuck_for{};  // how long the journal has been refusing counts
  bool reserve_kept = true;  // of disk space beyond what the journal uses
  Milliseconds commit_interval{};
  std::vector<std::string> inputs, sources;
  std::size_t producers_connected = 0;
  std::string journal_directory, epoch;
  journal::Space space;
  journal::CommitterStats commits;
  journal::Overview overview;
  std::vector<UpstreamStatus> upstreams;
  std::vector<Attention> attention;
};

// What needs a person, from the other fields. Pure.
std::vector<Attention> find_attention(const Status& status);

std::string to_json(const Status& status);

}  // namespace meterd::api
