#include "agent/api/status.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "agent/base/flash.hpp"

namespace meterd::api {
namespace {

namespace json = boost::json;

constexpr std::int64_t kDayS = 86'400;
constexpr std::uint32_t kFailuresToShow = 10;  // about half an hour: beyond what heals by itself

json::value time_or_null(std::int64_t ms) {
  if (ms == 0) return nullptr;
  return json::string(rfc3339(WallTime{Milliseconds(ms)}));
}

std::int64_t written_so_far(const Status& s) {
  if (!s.process || !s.process->written_bytes)
    return static_cast<std::int64_t>(s.commits.commits) * kFlashBytesPerCommit;
  return static_cast<std::int64_t>(*s.process->written_bytes -
                                   std::min(*s.process->written_bytes, s.written_before));
}

// Milliseconds, rounded up; null: nothing was measured yet.
json::value milliseconds_or_null(std::optional<Microseconds> span) {
  if (!span) return nullptr;
  return std::chrono::ceil<Milliseconds>(*span).count();
}

std::string hex(const std::string& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out.push_back(kDigits[static_cast<unsigned char>(c) >> 4U]);
    out.push_back(kDigits[static_cast<unsigned char>(c) & 15U]);
  }
  return out;
}

std::string state_of(const UpstreamStatus& upstream) {
  if (!upstream.configured) return "not configured";
  if (upstream.held) return "held";
  if (upstream.state.unauthorised()) return "unauthorised";
  if (upstream.paused_for <= Milliseconds(0)) return "ok";
  return upstream.state.retry_after() ? "throttled" : "paused";
}

json::object gap_part(const journal::Gap& gap) {
  return {{"from", gap.from_ms() == 0 ? json::value(nullptr) : time_or_null(gap.from_ms())},
          {"until", time_or_null(gap.until_ms())},
          {"trusted", gap.trusted()},
          {"reason", gap.reason()},
          {"what", gap.what()},
          {"lost", gap.lost()},
          {"lost_max", gap.lost_max().empty() ? json::value(nullptr) : json::value(gap.lost_max())}};
}

json::array sources_part(const std::vector<source::Report>& sources) {
  json::array out;
  for (const auto& one : sources) {
    json::array recent;
    for (const auto& gap : one.gaps.recent()) recent.push_back(gap_part(gap));
    out.push_back({{"name", one.name},
                   {"kind", one.kind},
                   {"event", one.event},
                   {"trouble", one.trouble},
                   {"do", one.advice},
                   {"blind_spots", json::array(one.blind_spots.begin(), one.blind_spots.end())},
                   {"gaps", one.gaps.gaps()},
                   {"lost", one.gaps.lost()},
                   {"recent_gaps", std::move(recent)}});
  }
  return out;
}

json::object counting(const Status& s) {
  json::object refused;
  for (std::size_t i = 0; i < s.ingest.refused.size(); ++i)
    if (s.ingest.refused[i] > 0) refused[name_of(static_cast<meter::Refusal>(i))] = s.ingest.refused[i];
  return {{"events", s.ingest.events},
          {"duplicates", s.ingest.duplicates},
          {"sequence_gaps", s.ingest.sequence_gaps},
          {"counter_resets", s.ingest.counter_resets},
          {"datagrams", s.ingest.datagrams},
          {"datagrams_dropped", s.ingest.datagrams_dropped},
          {"refused", std::move(refused)},
          {"remembered_ids", s.remembered_ids},
          {"loss_window_ms", (s.commit_interval + s.stuck_for).count()},
          {"uncommitted", s.uncommitted},
          {"inputs", json::array(s.inputs.begin(), s.inputs.end())},
          {"sources", sources_part(s.sources)},
          {"producers_connected", s.producers.open}};
}

json::object journal_part(const Status& s) {
  return {{"directory", s.journal_directory},
          {"epoch", hex(s.epoch)},
          {"used_bytes", s.space.use.used_bytes},
          {"map_bytes", s.space.use.map_bytes},
          {"watermark_bytes", s.space.watermark_bytes},
          {"above_watermark", s.space.above_watermark()},
          {"commits", s.commits.commits},
          {"failed_commits", s.commits.failed_commits},
          {"committed_bytes", s.commits.bytes},
          {"commit_p50_ms", milliseconds_or_null(s.commits.durable.percentile(50))},
          {"commit_p99_ms", milliseconds_or_null(s.commits.durable.percentile(99))},
          {"disk_full", s.stuck_for > Milliseconds(0) || !s.reserve_kept},
          {"flash_bytes_per_day_max", flash_per_day(s)},
          {"set_aside", s.overview.set_aside},
          {"conservation_error", s.commits.conservation_errors}};
}

json::object upstream_part(const UpstreamStatus& u) {
  return {
      {"name", u.name},
      {"kind", u.kind},
      {"state", state_of(u)},
      {"held", u.held},
      {"open_buckets", u.open_buckets},
      {"waiting", u.state.waiting()},
      {"in_doubt", u.state.in_doubt()},
      {"in_doubt_policy", u.in_doubt_policy.empty() ? json::value(nullptr) : json::value(u.in_doubt_policy)},
      {"parked", u.state.parked()},
      {"delivered", u.state.delivered()},
      {"oldest_waiting", time_or_null(u.oldest_waiting_ms)},
      {"last_delivery", time_or_null(u.state.last_delivery_ms())},
      {"last_error", u.state.last_error()},
      {"last_error_at", time_or_null(u.state.last_error_ms())},
      {"paused_for_ms", u.paused_for.count()},
      {"failures", u.state.failures()},
      {"attempts", u.deliveries.attempts},
      {"retries", u.deliveries.retries},
      {"exchange_p50_ms", milliseconds_or_null(u.deliveries.exchange.percentile(50))},
      {"exchange_p99_ms", milliseconds_or_null(u.deliveries.exchange.percentile(99))}};
}

json::object process_part(const Status& s) {
  const auto started = started_at(s);
  json::object out{{"started", started ? json::value(rfc3339(*started)) : json::value(nullptr)},
                   {"resident_bytes", nullptr},
                   {"written_bytes", nullptr}};
  if (!s.process) return out;
  out["resident_bytes"] = s.process->resident_bytes;
  if (s.process->written_bytes) out["written_bytes"] = *s.process->written_bytes;
  return out;
}

}  // namespace

// Each `committed` report may be a commit of its own. In seconds: bytes times milliseconds would not fit for
// long.
std::int64_t flash_per_day(const Status& s) {
  const auto uptime_s = std::max<std::int64_t>(s.uptime.count() / 1'000, 60);
  const auto by_interval = flash_bytes_per_day(s.commit_interval);
  const auto written = written_so_far(s);
  const auto so_far = written / uptime_s * kDayS + written % uptime_s * kDayS / uptime_s;
  return std::max(by_interval, so_far);
}

std::optional<WallTime> started_at(const Status& s) {
  if (!s.clock.trusted) return std::nullopt;
  return s.clock.time - s.uptime;
}

std::vector<Attention> find_attention(const Status& s) {
  std::vector<Attention> out;
  const auto count = [](std::uint64_t n, const char* what) { return std::to_string(n) + " " + what; };
  if (s.commits.conservation_errors > 0)
    out.push_back({"journal", "the journal's sums do not balance",
                   "run meterctl verify and keep the journal for support"});
  if (s.stuck_for > Milliseconds(0))
    out.push_back({"journal", "the journal has no room; new counts wait in memory",
                   "free space below " + s.journal_directory + " or raise journal.max_size"});
  else if (!s.reserve_kept)
    out.push_back({"journal",
                   "the disk has no room for the journal's reserve; new subscriptions and days are refused",
                   "free space below " + s.journal_directory});
  else if (s.space.above_watermark())
    out.push_back({"journal", "the journal is above its watermark; new subscriptions and days are refused",
                   "meterctl flush --now, let the upstream drain, or raise journal.max_size"});
  if (s.overview.set_aside > 0)
    out.push_back({"journal",
                   count(s.overview.set_aside, "journal records could not be read and were set aside"),
                   "run meterctl verify"});
  for (const auto& u : s.upstreams) {
    if (!u.configured && u.state.waiting() > 0)
      out.push_back({u.name,
                     count(u.state.waiting(), "usages wait for ") + u.name + ", which is not configured",
                     "give an [[upstream]] this name again"});
    if (!u.configured && u.open_buckets > 0)
      out.push_back({u.name,
                     count(u.open_buckets, "buckets are open for ") + u.name + ", which is not configured",
                     "give an [[upstream]] this name again"});
    if (u.unpriced_buckets > 0)
      out.push_back(
          {u.name,
           count(u.unpriced_buckets, "open buckets cannot be sealed for ") + u.name +
               ": no [[meter]] has a unit_price for their item price any more",
           "give one to a [[meter]] of it and reload meterd, then run meterctl flush --now; the item "
           "prices are in meterctl buckets"});
    if (u.configured && u.held)
      out.push_back({u.name,
                     "this journal is a copy (restored, cloned or put back): nothing is sent to " + u.name +
                         " before it was asked what it has",
                     "run meterctl reconcile; counting goes on"});
    if (u.state.unauthorised())
      out.push_back({u.name, u.name + " refuses our credentials: " + u.state.last_error(),
                     "see meterctl doctor; correct them and reload meterd; nothing is lost meanwhile"});
    if (u.state.failures() >= kFailuresToShow && u.state.waiting() > 0 && !u.state.unauthorised())
      out.push_back({u.name, u.name + " has failed " + count(u.state.failures(), "times in a row"),
                     "see its last error in meterctl outbox; it goes on trying"});
    if (u.state.parked() > 0)
      out.push_back(
          {u.name, u.name + ": " + count(u.state.parked(), "usages are parked"), "see meterctl outbox"});
    if (u.state.in_doubt() > 0)
      out.push_back(
          {u.name, u.name + ": " + count(u.state.in_doubt(), "usages are in doubt"), "see meterctl outbox"});
  }
  for (const auto& one : s.sources)
    if (!one.trouble.empty())
      out.push_back({"counting", "the source " + one.name + " counts nothing: " + one.trouble, one.advice});
  if (s.ingest.datagrams_dropped > 0)
    out.push_back({"counting",
                   count(s.ingest.datagrams_dropped, "UDP datagrams were lost before they were read"),
                   "report slower, or over the unix socket, where senders wait"});
  if (!s.clock.trusted && s.clock.time < s.last_trusted)
    out.push_back({"clock",
                   "the wall clock is before " + rfc3339(s.last_trusted) + ", when it was last trusted",
                   "set the right time; if that one was wrong, use [clock] trust = \"always\" once"});
  else if (!s.clock.trusted)
    out.push_back({"clock", "the wall clock is not trusted; nothing can be dated or sealed",
                   "let the device reach a time server; counting goes on"});
  else if (s.overview.undated_slices > 0)
    out.push_back({"clock", count(s.overview.undated_slices, "slices of an earlier boot have no date"),
                   "see meterctl buckets, then meterctl date BOOT --day D"});
  return out;
}

std::string to_json(const Status& s) {
  json::array upstreams;
  for (const auto& upstream : s.upstreams) upstreams.push_back(upstream_part(upstream));
  json::array attention;
  for (const auto& one : s.attention) attention.push_back({{"what", one.what}, {"do", one.how}});
  const json::object out{{"version", s.version},
                         {"device", s.device},
                         {"state", s.run_state},
                         {"uptime_seconds", s.uptime.count() / 1000},
                         {"process", process_part(s)},
                         {"clock",
                          {{"time", rfc3339(s.clock.time)},
                           {"trusted", s.clock.trusted},
                           {"undated_slices", s.overview.undated_slices}}},
                         {"counting", counting(s)},
                         {"journal", journal_part(s)},
                         {"buckets",
                          {{"open", s.overview.open_buckets},
                           {"next_seal", s.overview.next_seal_s ? time_or_null(*s.overview.next_seal_s * 1000)
                                                                : json::value(nullptr)}}},
                         {"upstreams", std::move(upstreams)},
                         {"attention", std::move(attention)}};
  return json::serialize(out);
}

}  // namespace meterd::api
