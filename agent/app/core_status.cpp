// What the core knows of itself, at one moment.
#include <algorithm>
#include <map>

#include "agent/app/core.hpp"
#include "platform/run_on.hpp"

namespace meterd::app {

namespace asio = boost::asio;

namespace {

api::Deliveries deliveries_of(const flush::FlushStats& stats) {
  return {stats.attempts,   stats.delivered, stats.retries, stats.read_backs,
          stats.superseded, stats.parked,    stats.held,    stats.exchange};
}

// What becomes of a usage whose answer was lost; empty: the upstream is asked again.
std::string policy_of(const flush::Target& target) {
  return target.vendor->traits().idempotent ? std::string() : flush::name_of(target.in_doubt);
}

}  // namespace

// In doubt in the journal as long as their answer has not come: until then they are only waiting.
std::map<UpstreamName, std::size_t> Core::count_sending() const {
  std::map<UpstreamName, std::size_t> out;
  for (const auto* flusher : deliveries_.flushers()) out[flusher->name()] += flusher->sending().size();
  return out;
}

asio::awaitable<Result<api::Status>> Core::status() {
  auto sending = count_sending();
  const auto read_overview = [this] { return journal::read_overview(journal_); };
  auto overview = co_await platform::run_on(around_.reader, read_overview);
  if (!overview) co_return overview.error();
  const auto read_space = [this] { return journal_.space(); };
  auto space = co_await platform::run_on(around_.reader, read_space);
  if (!space) co_return space.error();
  api::Status s;
  s.device = config_.device_id.value();
  s.run_state = stopping_ ? "stopping" : "running";
  s.uptime = around_.clock.boot() - started_;
  s.clock = around_.clock.wall();
  s.ingest = batcher_->stats();
  s.remembered_ids = batcher_->remembered_ids();
  s.uncommitted = batcher_->holds_uncommitted();
  s.commit_interval = config_.commit_interval;
  s.sources = sources_->reports();
  s.journal_directory = journal_.directory();
  s.epoch = journal_.epoch();
  s.space = *space;
  s.commits = committer_.stats();
  std::map<UpstreamName, api::UpstreamStatus> upstreams;
  // Beside upstreams the ledger is shown once it has something.
  for (const auto& upstream : upstreams_of(config_))
    if (upstream.kind != UpstreamKind::ledger || config_.upstreams.empty())
      upstreams[upstream.name] = {
          upstream.name.value(), std::string(name_of(upstream.kind)), true, {}, 0, {}, {}, 0,
          overview->holds_new};
  for (auto& [name, one] : upstreams)
    if (const auto target = context_->targets.find(name); target != context_->targets.end())
      one.in_doubt_policy = policy_of(target->second);
  for (const auto& row : overview->upstreams) {
    auto& one =
        upstreams.try_emplace(row.name, api::UpstreamStatus{row.name.value(), "-", false, {}, 0, {}, {}})
            .first->second;
    one.state = row.state;
    one.held = row.held;
    one.oldest_waiting_ms = row.oldest_waiting_ms;
    if (row.state.paused_boot() == journal_.boot_number())
      one.paused_for = std::max(Milliseconds(0),
                                Milliseconds(row.state.paused_until_ms()) - around_.clock.boot().since_boot);
  }
  for (const auto& [name, open] : overview->open_by_upstream)
    upstreams.try_emplace(name, api::UpstreamStatus{name.value(), "-", false, {}, 0, {}, {}})
        .first->second.open_buckets = open;
  for (const auto& [priced, open] : overview->open_by_item_price) {
    const auto target = context_->targets.find(priced.first);
    if (target == context_->targets.end() || !target->second.vendor->traits().bills_money) continue;
    if (!target->second.prices.contains(priced.second)) upstreams[priced.first].unpriced_buckets += open;
  }
  for (const auto& [name, now] : count_sending()) sending[name] = std::max(sending[name], now);
  for (auto& [name, one] : upstreams) {
    const auto under_way = std::min<std::uint64_t>(sending[name], one.state.in_doubt());
    one.state.set_in_doubt(one.state.in_doubt() - under_way);
    one.state.set_waiting(one.state.waiting() + under_way);
  }
  for (const auto* flusher : deliveries_.flushers())  // one that a reload took away may be about to end
    if (const auto found = upstreams.find(flusher->name()); found != upstreams.end())
      found->second.deliveries = deliveries_of(flusher->stats());
  for (auto& [name, one] : upstreams) s.upstreams.push_back(std::move(one));
  if (around_.process != nullptr) s.process = around_.process->use();
  s.written_before = written_before_;
  s.stuck_for = batcher_->stuck_for();
  s.reserve_kept = reserve_kept_;
  s.last_trusted = journal_.last_trusted_at_open();
  s.overview = std::move(*overview);
  s.attention = api::find_attention(s);
  co_return s;
}

}  // namespace meterd::app
