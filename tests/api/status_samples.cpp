#include "tests/api/status_samples.hpp"

namespace meterd::api::test {
namespace {

UpstreamStatus upstream_of(const std::string& name, const std::string& kind) {
  UpstreamStatus upstream;
  upstream.name = name;
  upstream.kind = kind;
  return upstream;
}

void count_much(Status& s) {
  s.ingest.events = 101;
  s.ingest.duplicates = 102;
  s.ingest.sequence_gaps = 103;
  s.ingest.datagrams = 104;
  s.ingest.datagrams_dropped = 105;
  s.ingest.counter_resets = 106;
  for (std::size_t i = 0; i < s.ingest.refused.size(); ++i) s.ingest.refused[i] = 201 + i;
  s.producers = {107, 601, 602, 603, 604, 605};
  s.http = {611, 612, 613, 614, 615, 616};
  s.http_answers = {{200, 621}, {413, 622}};
  s.uncommitted = true;
  s.inputs = {"unix:/run/meterd/statsd.sock", "udp:127.0.0.1:8125"};
  source::Report report{"interface:wwan0:data.bytes",
                        "interface",
                        "data.bytes",
                        "it is down",
                        "bring it up",
                        {"flow offload"},
                        {}};
  report.gaps.set_gaps(112);
  report.gaps.set_lost(113);
  auto* gap = report.gaps.add_recent();
  gap->set_from_ms(1'800'000'000'000);
  gap->set_until_ms(1'800'000'001'000);
  gap->set_reason("it began anew");
  gap->set_lost(114);
  s.sources = {std::move(report)};
  s.overview = {.open_buckets = 108,
                .open_by_upstream = {},
                .open_by_item_price = {},
                .next_seal_s = 1'800'000'300,
                .upstreams = {},
                .set_aside = 109,
                .undated_slices = 110};
  s.remembered_ids = 111;
}

void commit_much(Status& s) {
  s.commits.commits = 301;
  s.commits.failed_commits = 302;
  s.commits.failed_operations = 303;
  s.commits.conservation_errors = 304;
  s.commits.bytes = 305;
  s.commits.durable.observe(Microseconds(7'001));
  s.commits.durable.observe(Seconds(2));
  s.commits.commit.observe(Microseconds(499));
  s.space = {{1'024, 512, 768}, 256, 108};
  s.stuck_for = Milliseconds(1'500);
  s.reserve_kept = false;
}

void deliver_much(UpstreamStatus& u) {
  u.open_buckets = 400;
  u.state.set_waiting(401);
  u.state.set_in_doubt(402);
  u.state.set_parked(403);
  u.state.set_delivered(404);
  u.state.set_failures(405);
  u.state.set_unauthorised(true);
  u.state.set_last_delivery_ms(1'799'999'000'000);
  u.state.set_last_error("503 of a \"proxy\"");
  u.state.set_last_error_ms(1'799'999'500'000);
  u.oldest_waiting_ms = 1'799'999'999'750;
  u.paused_for = Milliseconds(90'010);
  u.deliveries = {.attempts = 406,
                  .receipts = 407,
                  .retries = 408,
                  .read_backs = 409,
                  .superseded = 410,
                  .parked = 411,
                  .held = 412,
                  .exchange = {}};
  u.deliveries.exchange.observe(Seconds(61));
}

}  // namespace

Status healthy_status() {
  Status s;
  s.version = "1";
  s.device = "gw-0042";
  s.run_state = "running";
  s.uptime = Milliseconds(61'999);
  s.clock = {WallTime::from_seconds(1'800'000'000), true};
  s.commit_interval = Milliseconds(10'000);
  s.journal_directory = "/journal";
  s.epoch = std::string("\x00\xab", 2);
  s.space.watermark_bytes = 1'000'000;
  s.space.use.used_bytes = 500'000;
  s.upstreams.push_back(upstream_of("billing", "chargebee"));
  return s;
}

Status busy_status() {
  auto s = healthy_status();
  count_much(s);
  commit_much(s);
  deliver_much(s.upstreams[0]);
  s.upstreams.push_back(upstream_of("old\\\"\n", "-"));
  s.upstreams[1].configured = false;
  s.process = platform::ProcessUse{501, 502, Microseconds(503'000'100), 504, 505};
  s.attention = find_attention(s);
  return s;
}

std::vector<Sample> status_samples() {
  std::vector<Sample> out{{"healthy", healthy_status()}, {"busy", busy_status()}};
  const auto add = [&](const char* name, auto change) {
    auto s = healthy_status();
    change(s);
    s.attention = find_attention(s);
    out.push_back({name, std::move(s)});
  };
  add("stopping", [](Status& s) { s.run_state = "stopping"; });
  add("without an upstream", [](Status& s) { s.upstreams.clear(); });
  add("paused", [](Status& s) { s.upstreams[0].paused_for = Milliseconds(1); });
  add("throttled", [](Status& s) {
    s.upstreams[0].paused_for = Milliseconds(1);
    s.upstreams[0].state.set_retry_after(true);
  });
  add("unauthorised", [](Status& s) { s.upstreams[0].state.set_unauthorised(true); });
  add("not configured", [](Status& s) { s.upstreams[0].configured = false; });
  add("untrusted clock", [](Status& s) { s.clock.trusted = false; });
  add("clock before the epoch", [](Status& s) { s.clock = {WallTime::from_seconds(-1), false}; });
  add("a kernel that counts no writes", [](Status& s) { s.process = platform::ProcessUse{}; });
  for (const char* policy : {"hold", "resend", "assume-delivered"})
    add(policy, [&](Status& s) { s.upstreams[0].in_doubt_policy = policy; });
  add("stuck", [](Status& s) { s.stuck_for = Milliseconds(1); });
  add("without a reserve", [](Status& s) { s.reserve_kept = false; });
  add("above the watermark", [](Status& s) { s.space.use.used_bytes = 1'000'001; });
  return out;
}

}  // namespace meterd::api::test
