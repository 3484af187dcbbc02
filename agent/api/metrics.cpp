#include "agent/api/metrics.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace meterd::api {
namespace {

using Number = std::optional<std::uint64_t>;  // nullopt: not known, no sample

enum class Unit : std::uint8_t { one, milliseconds, microseconds };  // of the number; shown in seconds

struct Family {
  const char* name;
  const char* type;
  Unit unit;
  const char* help;
};
struct Single : Family {
  Number (*value)(const Status&);
};
struct PerUpstream : Family {
  Number (*value)(const UpstreamStatus&, const Status&);
};

std::uint64_t not_negative(std::int64_t number) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, number));
}

// Whole seconds and as many decimals as needed; no floating number is involved.
std::string decimal(std::uint64_t number, std::uint64_t per_second) {
  std::string out = std::to_string(number / per_second);
  auto rest = std::to_string(number % per_second + per_second).substr(1);
  rest.erase(rest.find_last_not_of('0') + 1);
  return rest.empty() ? out : out + "." + rest;
}

std::string text_of(std::uint64_t number, Unit unit) {
  switch (unit) {
    case Unit::one:
      return std::to_string(number);
    case Unit::milliseconds:
      return decimal(number, 1'000);
    case Unit::microseconds:
      return decimal(number, 1'000'000);
  }
  return {};
}

// `name="value"`, escaped as the format asks.
std::string label(std::string_view name, std::string_view value) {
  std::string out(name);
  out += "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') out.push_back('\\');
    if (c == '\n')
      out += "\\n";
    else
      out.push_back(c);
  }
  return out + "\"";
}

class Page {
 public:
  void family(const Family& family) {
    text_.append("# HELP ").append(family.name).append(1, ' ').append(family.help).append(1, '\n');
    text_.append("# TYPE ").append(family.name).append(1, ' ').append(family.type).append(1, '\n');
  }
  void sample(std::string_view name, std::string_view labels, std::string_view value) {
    text_.append(name);
    if (!labels.empty()) text_.append(1, '{').append(labels).append(1, '}');
    text_.append(1, ' ').append(value).append(1, '\n');
  }
  void histogram(const std::string& name, const std::string& labels, const Histogram& values) {
    const std::string more = labels.empty() ? "" : labels + ",";
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < Histogram::kSteps; ++i) {
      cumulative += values.in_step(i);
      const auto bound = i < Histogram::kBounds.size()
                             ? text_of(not_negative(Histogram::kBounds[i]), Unit::microseconds)
                             : std::string("+Inf");
      sample(name + "_bucket", more + label("le", bound), std::to_string(cumulative));
    }
    sample(name + "_sum", labels, text_of(not_negative(values.sum().count()), Unit::microseconds));
    sample(name + "_count", labels, std::to_string(cumulative));
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

constexpr const char* kCounter = "counter";
constexpr const char* kGauge = "gauge";
constexpr const char* kHistogram = "histogram";

template <class Count>
std::uint64_t sum_of_sources(const Status& s, Count count) {
  std::uint64_t out = 0;
  for (const auto& source : s.sources) out += count(source);
  return out;
}

// Events and duplicates may not stand alone as counters: an event with an id is counted at once, and taken
// back when its commit finds it a duplicate. Their sum never falls.
constexpr Single kCounting[] = {
    {{"meterd_events_reported_total", kCounter, Unit::one,
      "Events reported and not refused. Counted: this minus meterd_events_duplicate_total."},
     [](const Status& s) -> Number { return s.ingest.events + s.ingest.duplicates; }},
    {{"meterd_events_duplicate_total", kCounter, Unit::one,
      "Events recognised by id or sequence and not counted again."},
     [](const Status& s) -> Number { return s.ingest.duplicates; }},
    {{"meterd_sequence_gaps_total", kCounter, Unit::one,
      "Batches whose sequence left numbers out: events that a producer numbered and never reported."},
     [](const Status& s) -> Number { return s.ingest.sequence_gaps; }},
    {{"meterd_datagrams_total", kCounter, Unit::one, "Statsd datagrams read."},
     [](const Status& s) -> Number { return s.ingest.datagrams; }},
    {{"meterd_datagrams_dropped_total", kCounter, Unit::one,
      "UDP datagrams that the kernel dropped before they were read."},
     [](const Status& s) -> Number { return s.ingest.datagrams_dropped; }},
    {{"meterd_interface_resets_total", kCounter, Unit::one, "Resets seen in counters of interfaces."},
     [](const Status& s) -> Number { return s.ingest.counter_resets; }},
    {{"meterd_source_gaps_total", kCounter, Unit::one,
      "Times that a source missed something, or may have. `meterctl status --json` has each with its "
      "bounds."},
     [](const Status& s) -> Number {
       return sum_of_sources(s, [](const auto& source) { return source.gaps.gaps(); });
     }},
    {{"meterd_source_lost", kGauge, Unit::one,
      "Events or units that sources know they missed, without what came after all."},
     [](const Status& s) -> Number {
       return sum_of_sources(s, [](const auto& source) { return source.gaps.lost(); });
     }},
    {{"meterd_sources_in_trouble", kGauge, Unit::one, "Sources that count nothing at the moment."},
     [](const Status& s) -> Number {
       return sum_of_sources(
           s, [](const auto& source) -> std::uint64_t { return source.trouble.empty() ? 0 : 1; });
     }},
    {{"meterd_remembered_ids", kGauge, Unit::one, "Event ids in the journal, against duplicates."},
     [](const Status& s) -> Number { return s.remembered_ids; }},
    {{"meterd_loss_window_seconds", kGauge, Unit::milliseconds,
      "What `received` events may be lost by a power cut: commit_interval, and how long the journal is "
      "stuck."},
     [](const Status& s) -> Number { return not_negative((s.commit_interval + s.stuck_for).count()); }},
    {{"meterd_uncommitted", kGauge, Unit::one, "1 while something counted is not on the disk yet."},
     [](const Status& s) -> Number { return s.uncommitted; }},
    {{"meterd_open_buckets", kGauge, Unit::one, "Buckets that are not sealed yet."},
     [](const Status& s) -> Number { return s.overview.open_buckets; }},
    {{"meterd_undated_slices", kGauge, Unit::one,
      "Slices counted under an untrusted clock that have no day yet."},
     [](const Status& s) -> Number { return s.overview.undated_slices; }},
};

constexpr Single kJournal[] = {
    {{"meterd_commits_total", kCounter, Unit::one, "Commits of the journal."},
     [](const Status& s) -> Number { return s.commits.commits; }},
    {{"meterd_commits_failed_total", kCounter, Unit::one, "Commits of which nothing was kept."},
     [](const Status& s) -> Number { return s.commits.failed_commits; }},
    {{"meterd_operations_failed_total", kCounter, Unit::one,
      "Changes of the journal that were refused or could not be committed; their submitters were told."},
     [](const Status& s) -> Number { return s.commits.failed_operations; }},
    {{"meterd_conservation_error", kGauge, Unit::one,
      "Balances that did not hold after a change. Anything but 0 is a fault: run meterctl verify."},
     [](const Status& s) -> Number { return s.commits.conservation_errors; }},
    {{"meterd_committed_bytes_total", kCounter, Unit::one, "Keys and values put by committed transactions."},
     [](const Status& s) -> Number { return s.commits.bytes; }},
    {{"meterd_disk_written_bytes_total", kCounter, Unit::one,
      "Bytes that this process sent to block devices, as the kernel counts them."},
     [](const Status& s) -> Number { return s.process ? s.process->written_bytes : std::nullopt; }},
    {{"meterd_journal_used_bytes", kGauge, Unit::one, "Pages of the journal in use."},
     [](const Status& s) -> Number { return s.space.use.used_bytes; }},
    {{"meterd_journal_map_bytes", kGauge, Unit::one, "What the journal may grow to (journal.max_size)."},
     [](const Status& s) -> Number { return s.space.use.map_bytes; }},
    {{"meterd_journal_watermark_bytes", kGauge, Unit::one,
      "Above it new subscriptions and days are refused: the rest belongs to what is counted already."},
     [](const Status& s) -> Number { return s.space.watermark_bytes; }},
    {{"meterd_journal_above_watermark", kGauge, Unit::one, "1 while the journal is above its watermark."},
     [](const Status& s) -> Number { return s.space.above_watermark(); }},
    {{"meterd_journal_stuck_seconds", kGauge, Unit::milliseconds,
      "For how long the journal has been refusing what is counted; 0: it is not."},
     [](const Status& s) -> Number { return not_negative(s.stuck_for.count()); }},
    {{"meterd_disk_reserve_kept", kGauge, Unit::one, "1 while the disk has room for the journal's reserve."},
     [](const Status& s) -> Number { return s.reserve_kept; }},
    {{"meterd_records_set_aside", kGauge, Unit::one, "Records that could not be read and were set aside."},
     [](const Status& s) -> Number { return s.overview.set_aside; }},
};

constexpr Single kProcess[] = {
    {{"meterd_clock_trusted", kGauge, Unit::one, "1 while the wall clock is trusted."},
     [](const Status& s) -> Number { return s.clock.trusted; }},
    {{"meterd_attention", kGauge, Unit::one, "Things that need a person; /status names them."},
     [](const Status& s) -> Number { return s.attention.size(); }},
    {{"meterd_uptime_seconds", kGauge, Unit::milliseconds, "Time since the process began to count."},
     [](const Status& s) -> Number { return not_negative(s.uptime.count()); }},
    {{"process_start_time_seconds", kGauge, Unit::one,
      "Start time by the wall clock of now, Unix time; no sample while that is not trusted."},
     [](const Status& s) -> Number {
       const auto at = started_at(s);
       if (!at) return std::nullopt;
       return not_negative((at->since_epoch.count() + 500) / 1'000);
     }},
    {{"process_cpu_seconds_total", kCounter, Unit::microseconds, "User and system time."},
     [](const Status& s) -> Number {
       return s.process ? Number(not_negative(s.process->cpu.count())) : std::nullopt;
     }},
    {{"process_resident_memory_bytes", kGauge, Unit::one, "Resident memory."},
     [](const Status& s) -> Number { return s.process ? Number(s.process->resident_bytes) : std::nullopt; }},
    {{"process_open_fds", kGauge, Unit::one, "Open files and sockets."},
     [](const Status& s) -> Number { return s.process ? Number(s.process->open_files) : std::nullopt; }},
    {{"process_max_fds", kGauge, Unit::one, "Open files and sockets that are allowed."},
     [](const Status& s) -> Number { return s.process ? Number(s.process->open_files_max) : std::nullopt; }},
};

constexpr PerUpstream kUpstream[] = {
    {{"meterd_usages_delivered_total", kCounter, Unit::one,
      "Usages with a receipt, since the journal was made."},
     [](const UpstreamStatus& u, const Status&) -> Number { return u.state.delivered(); }},
    {{"meterd_delivery_attempts_total", kCounter, Unit::one, "Usages sent, each time counted."},
     [](const UpstreamStatus& u, const Status&) -> Number { return u.deliveries.attempts; }},
    {{"meterd_delivery_receipts_total", kCounter, Unit::one, "Receipts, since the process started."},
     [](const UpstreamStatus& u, const Status&) -> Number { return u.deliveries.receipts; }},
    {{"meterd_delivery_retries_total", kCounter, Unit::one,
      "Usages put back to be sent, or looked for, again."},
     [](const UpstreamStatus& u, const Status&) -> Number { return u.deliveries.retries; }},
    {{"meterd_delivery_read_backs_total", kCounter, Unit::one, "Look-ups of a usage by its id."},
     [](const UpstreamStatus& u, const Status&) -> Number { return u.deliveries.read_backs; }},
    {{"meterd_delivery_superseded_total", kCounter, Unit::one,
      "Usages replaced by their next revision: their date was taken."},
     [](const UpstreamStatus& u, const Status&) -> Number { return u.deliveries.superseded; }},
    {{"meterd_delivery_parked_total", kCounter, Unit::one, "Usages refused for good and parked."},
     [](const UpstreamStatus& u, const Status&) -> Number { return u.deliveries.parked; }},
    {{"meterd_delivery_in_doubt_total", kCounter, Unit::one, "Usages held in doubt."},
     [](const UpstreamStatus& u, const Status&) -> Number { return u.deliveries.held; }},
    {{"meterd_oldest_waiting_seconds", kGauge, Unit::milliseconds,
      "Age of the oldest waiting usage, 0 without one; no sample while the wall clock is not trusted."},
     [](const UpstreamStatus& u, const Status& s) -> Number {
       if (!s.clock.trusted) return std::nullopt;
       if (u.oldest_waiting_ms == 0) return 0;
       return not_negative(s.clock.time.since_epoch.count() - u.oldest_waiting_ms);
     }},
    {{"meterd_upstream_paused_seconds", kGauge, Unit::milliseconds, "How long nothing will be sent to it."},
     [](const UpstreamStatus& u, const Status&) -> Number { return not_negative(u.paused_for.count()); }},
    {{"meterd_upstream_failures", kGauge, Unit::one, "Exchanges in a row that failed."},
     [](const UpstreamStatus& u, const Status&) -> Number { return u.state.failures(); }},
    {{"meterd_upstream_unauthorised", kGauge, Unit::one, "1 while it refuses our key."},
     [](const UpstreamStatus& u, const Status&) -> Number { return u.state.unauthorised(); }},
    {{"meterd_upstream_held", kGauge, Unit::one,
      "1 while nothing is sent to it, because the journal is a copy; meterctl reconcile ends it."},
     [](const UpstreamStatus& u, const Status&) -> Number { return u.held; }},
    {{"meterd_upstream_configured", kGauge, Unit::one,
      "0 for one that has usages or open buckets here and is not in the configuration."},
     [](const UpstreamStatus& u, const Status&) -> Number { return u.configured; }},
};

struct PerServer : Family {
  struct Part {
    const char* reason = nullptr;  // nullptr: no label of that name
    std::uint64_t ConnectionStats::*value = nullptr;
  };
  std::array<Part, 2> parts;
};
constexpr PerServer kServer[] = {
    {{"meterd_connections", kGauge, Unit::one,
      "Connections now: of producers to the ingest socket, and to the API."},
     {{{nullptr, &ConnectionStats::open}}}},
    {{"meterd_connections_accepted_total", kCounter, Unit::one, "Connections that got a place."},
     {{{nullptr, &ConnectionStats::accepted}}}},
    {{"meterd_connections_refused_total", kCounter, Unit::one,
      "Connections that got none: all places at work, or a peer that [access] does not allow."},
     {{{"full", &ConnectionStats::refused_full}, {"peer", &ConnectionStats::refused_peer}}}},
    {{"meterd_connections_closed_total", kCounter, Unit::one,
      "Connections that meterd ended: idle, for another one's place, or late with a request or an answer."},
     {{{"displaced", &ConnectionStats::displaced}, {"late", &ConnectionStats::late}}}},
};

void write_connections(Page& page, const Status& s) {
  for (const PerServer& one : kServer) {
    page.family(one);
    for (const auto& part : one.parts) {
      if (part.value == nullptr) continue;
      const std::string reason = part.reason != nullptr ? "," + label("reason", part.reason) : "";
      page.sample(one.name, label("server", "ingest") + reason, std::to_string(s.producers.*part.value));
      page.sample(one.name, label("server", "api") + reason, std::to_string(s.http.*part.value));
    }
  }
  const Family answers{"meterd_http_requests_total", kCounter, Unit::one,
                       "Requests to the API that were answered or refused, by status code."};
  page.family(answers);
  for (const auto& [code, count] : s.http_answers)
    page.sample(answers.name, label("code", std::to_string(code)), std::to_string(count));
}

template <class Table>
void write_singles(Page& page, const Table& table, const Status& s) {
  for (const Single& one : table) {
    page.family(one);
    if (const auto value = one.value(s)) page.sample(one.name, "", text_of(*value, one.unit));
  }
}

void write_refusals(Page& page, const Status& s) {
  const Family refused{"meterd_events_refused_total", kCounter, Unit::one, "Events refused, by reason."};
  page.family(refused);
  for (std::size_t i = 0; i < s.ingest.refused.size(); ++i)
    page.sample(refused.name, label("reason", name_of(static_cast<meter::Refusal>(i))),
                std::to_string(s.ingest.refused[i]));
}

void write_commits(Page& page, const Status& s) {
  const Family durable{"meterd_commit_durable_seconds", kHistogram, Unit::microseconds,
                       "From a change's submission until it was on the disk."};
  const Family commit{"meterd_commit_seconds", kHistogram, Unit::microseconds,
                      "The transaction's commit alone: writing and flushing its pages."};
  page.family(durable);
  page.histogram(durable.name, "", s.commits.durable);
  page.family(commit);
  page.histogram(commit.name, "", s.commits.commit);
}

void write_upstreams(Page& page, const Status& s) {
  for (const PerUpstream& one : kUpstream) {
    page.family(one);
    for (const auto& upstream : s.upstreams)
      if (const auto value = one.value(upstream, s))
        page.sample(one.name, label("upstream", upstream.name), text_of(*value, one.unit));
  }
  const Family outbox{"meterd_outbox_usages", kGauge, Unit::one, "Usages without an end, by state."};
  page.family(outbox);
  for (const auto& upstream : s.upstreams) {
    const auto sample = [&](const char* state, std::uint64_t count) {
      page.sample(outbox.name, label("upstream", upstream.name) + "," + label("state", state),
                  std::to_string(count));
    };
    sample("waiting", upstream.state.waiting());
    sample("in_doubt", upstream.state.in_doubt());
    sample("parked", upstream.state.parked());
  }
  const Family exchange{"meterd_exchange_seconds", kHistogram, Unit::microseconds,
                        "From a request's start to its answer or failure, look-ups included."};
  page.family(exchange);
  for (const auto& upstream : s.upstreams)
    page.histogram(exchange.name, label("upstream", upstream.name), upstream.deliveries.exchange);
}

}  // namespace

std::string to_metrics(const Status& s) {
  Page page;
  const Family build{"meterd_build_info", kGauge, Unit::one, "Always 1; the version is its label."};
  page.family(build);
  page.sample(build.name, label("version", s.version), "1");
  write_singles(page, kCounting, s);
  write_refusals(page, s);
  write_connections(page, s);
  write_singles(page, kJournal, s);
  write_commits(page, s);
  write_upstreams(page, s);
  write_singles(page, kProcess, s);
  return page.take();
}

}  // namespace meterd::api
