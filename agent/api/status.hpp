// Everything that /status and /metrics show, gathered by the app at one moment. Plain data. Times are UTC.
// The JSON is described by status.schema.json, the metrics by metrics.hpp.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/connections.hpp"
#include "agent/base/histogram.hpp"
#include "agent/ingest/stats.hpp"
#include "agent/journal/committer.hpp"
#include "agent/journal/read.hpp"
#include "agent/source/source.hpp"
#include "platform/clock.hpp"
#include "platform/process.hpp"

namespace meterd::api {

// What was done with one upstream since the process started.
struct Deliveries {
  std::uint64_t attempts = 0;  // usages sent
  std::uint64_t receipts = 0;
  std::uint64_t retries = 0;
  std::uint64_t read_backs = 0;
  std::uint64_t superseded = 0;
  std::uint64_t parked = 0;
  std::uint64_t held = 0;  // in doubt
  Histogram exchange;
};

struct UpstreamStatus {
  std::string name, kind;
  bool configured = true;  // false: it has usages or open buckets from an earlier configuration
  journal::UpstreamState state;
  std::int64_t oldest_waiting_ms = 0;
  Milliseconds paused_for{};
  Deliveries deliveries = {};
  std::uint64_t open_buckets = 0;
  bool held = false;  // this journal is a copy: nothing is sent until it is reconciled
  std::string in_doubt_policy =
      {};  // as declared; empty: nothing is ever in doubt there for want of an answer
  // Open buckets for which no meter says how much they cost, though the upstream bills money.
  std::uint64_t unpriced_buckets = 0;
};

struct Attention {
  std::string check;      // what was looked at: "clock", "journal", "counting" or an upstream's name
  std::string what, how;  // how: what to do
};

struct Status {
  std::string version, device, run_state;
  Milliseconds uptime{};
  platform::WallReading clock;
  WallTime last_trusted;  // as the journal had it when it was opened
  ingest::IngestStats ingest;
  std::uint64_t remembered_ids = 0;  // event ids, for de-duplication
  bool uncommitted = false;
  Milliseconds stuck_for{};  // how long the journal has been refusing counts
  bool reserve_kept = true;  // of disk space beyond what the journal uses
  Milliseconds commit_interval{};
  std::vector<std::string> inputs;
  std::vector<source::Report> sources;
  ConnectionStats producers, http;                 // of the ingest socket; of the API
  std::map<unsigned, std::uint64_t> http_answers;  // by status code
  std::string journal_directory, epoch;
  journal::Space space;
  journal::CommitterStats commits;
  journal::Overview overview;
  std::vector<UpstreamStatus> upstreams;
  std::vector<Attention> attention;
  std::optional<platform::ProcessUse> process;  // nullopt: not known
  std::uint64_t written_before = 0;             // bytes that the process had written when counting began
};

// When the process started, by the wall clock of now. nullopt while that is not trusted.
std::optional<WallTime> started_at(const Status& status);

// What needs a person, from the other fields. Pure.
std::vector<Attention> find_attention(const Status& status);

// Bytes written a day at most: by one commit per interval, or at the rate of this run if that is more.
std::int64_t flash_per_day(const Status& status);

std::string to_json(const Status& status);

}  // namespace meterd::api
