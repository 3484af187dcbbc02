// GET /metrics as text, value by value. That others' parsers read it is tests/api/documents_test.py.
#include "agent/api/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/api/status_samples.hpp"

namespace meterd::api {
namespace {

using test::busy_status;
using test::healthy_status;
using ::testing::Contains;
using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::vector<std::string> lines_of(const Status& status) {
  std::istringstream text(to_metrics(status));
  std::vector<std::string> out;
  for (std::string line; std::getline(text, line);) out.push_back(line);
  return out;
}

std::vector<std::string> samples_of(const Status& status, const std::string& name) {
  auto lines = lines_of(status);
  const auto other = [&](const std::string& line) {
    return !line.starts_with(name + " ") && !line.starts_with(name + "{");
  };
  lines.erase(std::remove_if(lines.begin(), lines.end(), other), lines.end());
  return lines;
}

TEST(Metrics, ShowEachNumberUnderItsOwnName) {
  const auto lines = lines_of(busy_status());
  for (const char* line : {"meterd_build_info{version=\"1\"} 1",
                           "meterd_events_reported_total 203",
                           "meterd_events_duplicate_total 102",
                           "meterd_sequence_gaps_total 103",
                           "meterd_datagrams_total 104",
                           "meterd_datagrams_dropped_total 105",
                           "meterd_interface_resets_total 106",
                           "meterd_connections{server=\"ingest\"} 107",
                           "meterd_connections{server=\"api\"} 611",
                           "meterd_connections_accepted_total{server=\"ingest\"} 601",
                           "meterd_connections_refused_total{server=\"ingest\",reason=\"full\"} 602",
                           "meterd_connections_refused_total{server=\"ingest\",reason=\"peer\"} 603",
                           "meterd_connections_refused_total{server=\"api\",reason=\"full\"} 613",
                           "meterd_connections_closed_total{server=\"ingest\",reason=\"displaced\"} 604",
                           "meterd_connections_closed_total{server=\"api\",reason=\"late\"} 616",
                           "meterd_http_requests_total{code=\"200\"} 621",
                           "meterd_http_requests_total{code=\"413\"} 622",
                           "meterd_open_buckets 108",
                           "meterd_records_set_aside 109",
                           "meterd_undated_slices 110",
                           "meterd_remembered_ids 111",
                           "meterd_loss_window_seconds 11.5",
                           "meterd_journal_stuck_seconds 1.5",
                           "meterd_uncommitted 1",
                           "meterd_commits_total 301",
                           "meterd_commits_failed_total 302",
                           "meterd_operations_failed_total 303",
                           "meterd_conservation_error 304",
                           "meterd_committed_bytes_total 305",
                           "meterd_disk_written_bytes_total 501",
                           "meterd_journal_map_bytes 1024",
                           "meterd_journal_used_bytes 512",
                           "meterd_journal_watermark_bytes 256",
                           "meterd_journal_above_watermark 1",
                           "meterd_disk_reserve_kept 0",
                           "meterd_clock_trusted 1",
                           "meterd_uptime_seconds 61.999",
                           "process_start_time_seconds 1799999938",
                           "process_resident_memory_bytes 502",
                           "process_cpu_seconds_total 503.0001",
                           "process_open_fds 504",
                           "process_max_fds 505"})
    EXPECT_THAT(lines, Contains(line));
}

TEST(Metrics, ShowEachNumberOfEachUpstream) {
  const auto lines = lines_of(busy_status());
  for (const auto& [name, number] : {std::pair{"usages_delivered_total", "404"},
                                     {"upstream_failures", "405"},
                                     {"delivery_attempts_total", "406"},
                                     {"delivery_receipts_total", "407"},
                                     {"delivery_retries_total", "408"},
                                     {"delivery_read_backs_total", "409"},
                                     {"delivery_superseded_total", "410"},
                                     {"delivery_parked_total", "411"},
                                     {"delivery_in_doubt_total", "412"},
                                     {"oldest_waiting_seconds", "0.25"},
                                     {"upstream_paused_seconds", "90.01"},
                                     {"upstream_unauthorised", "1"},
                                     {"upstream_configured", "1"}})
    EXPECT_THAT(lines, Contains(std::string("meterd_") + name + "{upstream=\"billing\"} " + number));
  EXPECT_THAT(lines, Contains("meterd_outbox_usages{upstream=\"billing\",state=\"waiting\"} 401"));
  EXPECT_THAT(lines, Contains("meterd_outbox_usages{upstream=\"billing\",state=\"in_doubt\"} 402"));
  EXPECT_THAT(lines, Contains("meterd_outbox_usages{upstream=\"billing\",state=\"parked\"} 403"));
}

TEST(Metrics, NameEveryReasonOfARefusalFromTheStart) {
  const auto reasons = static_cast<std::size_t>(meter::Refusal::kCount);
  const auto at_start = samples_of(healthy_status(), "meterd_events_refused_total");
  EXPECT_THAT(at_start, SizeIs(reasons));
  EXPECT_THAT(at_start, Contains("meterd_events_refused_total{reason=\"full\"} 0"));
  auto s = healthy_status();
  s.ingest.refuse(meter::Refusal::too_old, 3);
  EXPECT_THAT(samples_of(s, "meterd_events_refused_total"),
              Contains("meterd_events_refused_total{reason=\"too_old\"} 3"));
}

// An event with an id is counted at once and taken back when its commit finds it known: a counter that falls
// would read as a restart.
TEST(Metrics, ReportedEventsDoNotFallWhenOneIsFoundADuplicate) {
  auto s = healthy_status();
  s.ingest.events = 7;
  EXPECT_THAT(lines_of(s), Contains("meterd_events_reported_total 7"));
  --s.ingest.events;
  ++s.ingest.duplicates;
  EXPECT_THAT(lines_of(s), Contains("meterd_events_reported_total 7"));
}

TEST(Metrics, CountAHistogramUpwardsToInfinity) {
  const auto lines = lines_of(busy_status());
  for (const char* line :
       {"meterd_commit_durable_seconds_bucket{le=\"0.005\"} 0",
        "meterd_commit_durable_seconds_bucket{le=\"0.01\"} 1",
        "meterd_commit_durable_seconds_bucket{le=\"1\"} 1",
        "meterd_commit_durable_seconds_bucket{le=\"2.5\"} 2",
        "meterd_commit_durable_seconds_bucket{le=\"+Inf\"} 2", "meterd_commit_durable_seconds_sum 2.007001",
        "meterd_commit_durable_seconds_count 2", "meterd_commit_seconds_bucket{le=\"0.0005\"} 1",
        "meterd_commit_seconds_sum 0.000499",
        "meterd_exchange_seconds_bucket{upstream=\"billing\",le=\"60\"} 0",
        "meterd_exchange_seconds_bucket{upstream=\"billing\",le=\"+Inf\"} 1",
        "meterd_exchange_seconds_sum{upstream=\"billing\"} 61",
        "meterd_exchange_seconds_count{upstream=\"billing\"} 1"})
    EXPECT_THAT(lines, Contains(line));
}

TEST(Metrics, EscapeALabelsValue) {
  EXPECT_THAT(lines_of(busy_status()), Contains(R"(meterd_upstream_configured{upstream="old\\\"\n"} 0)"));
}

TEST(Metrics, HaveNoSampleOfWhatIsNotKnown) {
  for (const char* name : {"meterd_disk_written_bytes_total", "process_resident_memory_bytes",
                           "process_cpu_seconds_total", "process_open_fds", "process_max_fds"}) {
    EXPECT_THAT(samples_of(healthy_status(), name), IsEmpty()) << name;
    EXPECT_THAT(samples_of(busy_status(), name), SizeIs(1)) << name;
  }
}

TEST(Metrics, TellNoAgeByAClockThatIsNotTrusted) {
  auto s = busy_status();
  s.clock.trusted = false;
  EXPECT_THAT(samples_of(s, "meterd_oldest_waiting_seconds"), IsEmpty());
  EXPECT_THAT(samples_of(s, "process_start_time_seconds"), IsEmpty());
  EXPECT_THAT(lines_of(s), Contains("meterd_clock_trusted 0"));
  s.clock.trusted = true;
  EXPECT_THAT(samples_of(s, "meterd_oldest_waiting_seconds"), SizeIs(2));
}

TEST(Metrics, TellTheAgeZeroOfNoneAndOfOneSealedAheadOfASteppedClock) {
  auto s = busy_status();
  for (const std::int64_t sealed : {std::int64_t{0}, s.clock.time.since_epoch.count() + 5'000}) {
    s.upstreams[0].oldest_waiting_ms = sealed;
    EXPECT_THAT(samples_of(s, "meterd_oldest_waiting_seconds"), Each(::testing::EndsWith("} 0")));
  }
}

TEST(Metrics, AreCountedInWholeNumbersBeyondWhatAFloatHolds) {
  auto s = healthy_status();
  s.ingest.datagrams = UINT64_MAX;
  s.uptime = Milliseconds(9'007'199'254'740'993);
  EXPECT_THAT(lines_of(s), Contains("meterd_datagrams_total 18446744073709551615"));
  EXPECT_THAT(lines_of(s), Contains("meterd_uptime_seconds 9007199254740.993"));
}

TEST(Metrics, OfAVersionAgreeWithItsType) {
  EXPECT_STREQ(kMetricsType, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(to_metrics(healthy_status()).back(), '\n') << "the last line ends too";
  EXPECT_THAT(lines_of(healthy_status()), Not(Contains(StartsWith("# EOF")))) << "that is another format";
}

}  // namespace
}  // namespace meterd::api
