#include "agent/app/core.hpp"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/app/config_reload.hpp"
#include "agent/base/limits.hpp"
#include "platform/run_on.hpp"

namespace meterd::app {

namespace asio = boost::asio;

namespace {

constexpr Milliseconds kSpaceInterval{10'000};
constexpr Milliseconds kQuietInterval{3'600'000};
constexpr std::uint64_t kLookEvery = 256;        // usages of callers
constexpr Milliseconds kReserveInterval{1'000};  // while the disk is full
constexpr std::size_t kClearedPerCommit = 256;
constexpr std::uint64_t kRoomKept = 8;  // an eighth of the map, as long as there is history to forget for it

// What the configuration says of sources, in [[source]] and elsewhere.
std::vector<source::Rule> source_rules(const Config& config, const Surroundings& around) {
  auto out = config.sources;
  if (!config.counters.socket.empty() && around.memory != nullptr) out.emplace_back(config.counters);
  return out;
}

}  // namespace

Core::Core(const Config& config, journal::Journal& journal, const Surroundings& surroundings)
    : config_(config),
      journal_(journal),
      around_(surroundings),
      committer_(journal, {surroundings.loop, surroundings.journal}, surroundings.log, surroundings.on_fatal,
                 &surroundings.clock),
      deliveries_(around_, journal, committer_),
      inquiries_({config_, context_, journal_, committer_, around_, [this] { deliveries_.wake(); },
                  [this] { return refusing_new_; }}),
      space_alarm_(surroundings.clock.make_alarm()),
      tasks_(surroundings.loop, surroundings.clock),
      started_(surroundings.clock.boot()) {}

Result<std::unique_ptr<Core>> Core::make(const Config& config, journal::Journal& journal,
                                         const Surroundings& surroundings) {
  std::unique_ptr<Core> core(new Core(config, journal, surroundings));
  if (auto wired = core->wire(); !wired) return wired.error();
  return core;
}

Status Core::wire() {
  auto wiring = make_wiring(config_, journal_, around_.clock);
  if (!wiring) return wiring.error();
  context_ = wiring->context;
  batcher_ = std::make_unique<ingest::Batcher>(
      ingest::Batcher::Dependencies{journal_, committer_, around_.clock, around_.log, config_.device_id},
      std::move(wiring->settings));
  auto kept = journal::read_sources(journal_);
  if (!kept) return kept.error();
  sources_ = std::make_unique<Sources>(around_, *batcher_);
  sources_->put(source_rules(config_, around_), std::move(*kept));
  auto space = journal_.space();
  if (!space) return space.error();
  space_ = *space;
  limit_places(batcher_->committed_places());
  usages::Collection::Dependencies collection{
      journal_,
      committer_,
      around_.reader,
      around_.clock,
      around_.random,
      [this] { return take_room(); },
      [this](flush::Sealer::Wanted wanted) { return seal_counted(std::move(wanted)); },
      [this](std::uint64_t sequence) { return deliveries_.is_sending(sequence); }};
  collection_ = std::make_unique<usages::Collection>(std::move(collection), std::move(wiring->rules));
  sealer_ = std::make_unique<flush::Sealer>(
      flush::Sealer::Dependencies{journal_, committer_, around_.reader, around_.clock, around_.log},
      sealing_of(config_, context_));
  committer_.observe([this](const journal::Committer::Changes& changed) {
    if (changed.seals) sealer_->wake();
    if (changed.outbox) deliveries_.wake();
    if (changed.seals && changed.outbox) batcher_->note_seals();
    // Far from the watermark every ten seconds are enough; not if what was let in since may have used half of
    // the room that was left.
    if (space_is_quiet_ || batcher_->opened_places() >= look_again_at_) space_alarm_->notify();
  });
  return {};
}

// The ledger of a copied journal is the copy's own.
void Core::release_local() {
  if (journal_.lineage().copies == 0) return;
  std::vector<UpstreamName> configured;
  for (const auto& upstream : upstreams_of(config_)) configured.push_back(upstream.name);
  for (const auto& [name, target] : context_->targets) {
    if (!target.vendor->traits().local) continue;
    journal::Operation release = [name = name, configured](journal::WriteTransaction& txn) -> Status {
      auto held = txn.is_held(name);
      if (!held) return held.error();
      return *held ? txn.release(name, configured) : Status();
    };
    committer_.submit(std::move(release), [this](const Status& released) {
      if (!released) around_.log.warning("ledger_held", {{"error", released.error().message}});
    });
  }
}

// Item prices that are a subscription's now stay accepted when they are not listed any more.
void Core::remember_listed() {
  if (config_.subscriptions.empty()) return;
  journal::Operation operation = [listed = config_.subscriptions](journal::WriteTransaction& txn) -> Status {
    for (const auto& one : listed)
      for (const auto& item_price : one.item_prices) {
        auto known = txn.was_listed(one.id, item_price);
        if (!known) return known.error();
        if (*known) continue;
        if (auto s = txn.put_listed(one.id, item_price); !s) return s;
      }
    return {};
  };
  committer_.submit(std::move(operation), [this](const Status& remembered) {
    if (!remembered)
      around_.log.warning("item_prices_not_remembered", {{"error", remembered.error().message}});
  });
}

void Core::start() {
  release_local();
  remember_listed();
  if (around_.process != nullptr) written_before_ = around_.process->use().written_bytes.value_or(0);
  tasks_.spawn(batcher_->run());
  sources_->start();
  tasks_.spawn(collection_->run());
  tasks_.spawn(sealer_->run());
  deliveries_.start(upstreams_of(config_), context_);
  tasks_.spawn(watch_space());
}

asio::awaitable<Status> Core::reload(Config next) {
  if (auto may = may_reload(config_, next); !may) co_return may;
  auto wiring = make_wiring(next, journal_, around_.clock);
  if (!wiring) co_return wiring.error();
  const auto read = [this] { return journal::read_sources(journal_); };
  auto kept = co_await platform::run_on(around_.reader, read);
  if (!kept) co_return kept.error();
  auto before = upstreams_of(config_);
  const Status swapped = co_await swap(std::move(next), std::move(*wiring), std::move(*kept));
  if (!swapped) co_return swapped;
  // Another key or address: what the old one's failures put off is tried at once.
  for (const auto& name : co_await deliveries_.replace(upstreams_of(config_), context_)) {
    const Status cleared = co_await clear_backoff(name);
    if (!cleared)
      around_.log.warning("backoff_not_cleared",
                          {{"upstream", name.value()}, {"error", cleared.error().message}});
  }
  deliveries_.wake();
  co_await warn_of_gone(std::move(before));
  co_return swapped;
}

// What was counted for an upstream that the reload took away stays, and is sent if it comes back.
asio::awaitable<void> Core::warn_of_gone(std::vector<UpstreamConfig> before) {
  const auto read_overview = [this] { return journal::read_overview(journal_); };
  auto overview = co_await platform::run_on(around_.reader, read_overview);
  if (!overview) co_return;  // whoever asks for the status learns why
  for (const auto& upstream : before) {
    if (context_->targets.contains(upstream.name)) continue;
    const auto open = overview->open_by_upstream[upstream.name];
    const auto row = std::find_if(overview->upstreams.begin(), overview->upstreams.end(),
                                  [&](const auto& one) { return one.name == upstream.name; });
    const auto waiting = row == overview->upstreams.end() ? 0 : row->state.waiting();
    if (open + waiting > 0)
      around_.log.warning("upstream_gone", {{"upstream", upstream.name.value()},
                                            {"open_buckets", open},
                                            {"waiting", waiting},
                                            {"do", "give an [[upstream]] this name again"}});
  }
}

// All at one moment, between two windows of the batcher.
asio::awaitable<Status> Core::swap(Config next, Wiring wiring, journal::KeptOfSources kept) {
  auto initiate = [this](auto handler, Config config, Wiring wired, journal::KeptOfSources cursors) {
    struct Shared {
      decltype(handler) done;
      Config config;
      Wiring wired;
      journal::KeptOfSources kept;
    };
    auto shared = std::make_shared<Shared>(
        Shared{std::move(handler), std::move(config), std::move(wired), std::move(cursors)});
    batcher_->at_turn([this, shared](const Status& turn) {
      if (turn) {
        config_ = std::move(shared->config);
        context_ = shared->wired.context;
        batcher_->adopt(std::move(shared->wired.settings));
        sources_->put(source_rules(config_, around_), std::move(shared->kept));
        sealer_->adopt(sealing_of(config_, context_));
        collection_->adopt(std::move(shared->wired.rules));
        remember_listed();
      }
      std::move(shared->done)(turn);
    });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Status)>(
      initiate, asio::use_awaitable, std::move(next), std::move(wiring), std::move(kept));
}

asio::awaitable<bool> Core::stop(Milliseconds at_most) {
  stopping_ = true;
  sources_->stop();
  // What was received must not wait for a source that does not end.
  batcher_->commit_soon([](const Status&, const ingest::WindowOutcome&) {});
  (void)co_await sources_->join(at_most);  // what they take in their last moment is still committed
  batcher_->stop();
  collection_->stop();
  sealer_->stop();
  space_alarm_->notify();
  deliveries_.stop();
  const auto end = around_.clock.boot() + at_most;
  const bool polite = co_await tasks_.join(at_most);
  if (co_await deliveries_.join(end - around_.clock.boot()) && polite) co_return true;
  // The upstream does not answer in time: the exchange is cut, its intent stays, a restart asks again by id.
  deliveries_.abandon();
  bool ended = co_await tasks_.join(at_most);
  // A write that hangs in the disk cannot be left: the process ends after it in any case. What was received
  // meanwhile waits behind it, and is committed with it.
  if (!ended && !committer_.idle())
    around_.log.warning("stop_waits_for_the_disk", {{"directory", journal_.directory()}});
  for (auto commits = committer_.stats().commits;
       !ended && (!committer_.idle() || committer_.stats().commits != commits);) {
    commits = committer_.stats().commits;
    ended = co_await tasks_.join(at_most);
  }
  co_return co_await deliveries_.join(at_most) && ended;
}

asio::awaitable<void> Core::watch_space() {
  std::optional<std::uint64_t> read_at_commit;
  while (!stopping_) {
    // Only a commit changes what is used; without a reserve the disk may have got room by itself.
    const bool changed = read_at_commit != committer_.stats().commits;
    if (changed || !reserve_kept_) {
      read_at_commit = committer_.stats().commits;
      co_await look_at_space();
    }
    space_is_quiet_ = !changed && reserve_kept_;  // the next commit wakes it
    const auto interval = space_is_quiet_ ? kQuietInterval : kSpaceInterval;
    co_await space_alarm_->wait_for(reserve_kept_ ? interval : kReserveInterval);
  }
}

void Core::limit_places(std::uint64_t committed) {
  const auto room = space_.new_buckets();
  batcher_->limit_places(committed + room);
  look_again_at_ = committed + room / 2;
  room_of_callers_ = room / 2;
  look_again_of_callers_ = room_of_callers_ / 2;
}

// What the space is looked at again for in time, so that nobody is refused while there is room.
bool Core::take_room() {
  if (refusing_new_ || room_of_callers_ == 0) return false;
  if (--room_of_callers_ % kLookEvery == 0 || room_of_callers_ == look_again_of_callers_)
    space_alarm_->notify();
  return true;
}

asio::awaitable<void> Core::look_at_space() {
  const auto committed = batcher_->committed_places();  // at least what the reader sees
  const auto read_space = [this] { return journal_.space(); };
  auto space = co_await platform::run_on(around_.reader, read_space);
  if (!space) co_return;
  if (space->use.file_bytes != reserved_beyond_ || !reserve_kept_) {
    reserved_beyond_ = space->use.file_bytes;
    const auto keep_reserve = [this] { return journal_.keep_reserve(); };
    const auto kept = co_await platform::run_on(around_.journal, keep_reserve);
    if (!kept && reserve_kept_)
      around_.log.error("reserve_missing",
                        {{"error", kept.error().message}, {"do", "free space on the journal's file system"}});
    if (kept && !reserve_kept_) around_.log.info("reserve_back");
    reserve_kept_ = kept.ok();
  }
  space_ = *space;
  limit_places(committed);
  const bool refusing = space_.above_watermark() || !reserve_kept_;
  if (refusing && !refusing_new_) {
    const auto read_open = [this] { return read_buckets(journal_, limits::kListRowsMax); };
    auto rows = co_await platform::run_on(around_.reader, read_open);
    if (rows) batcher_->learn_known_buckets(*rows);
    if (reserve_kept_)
      around_.log.error("journal_above_watermark",
                        {{"used_bytes", space_.use.used_bytes},
                         {"kept_for_open_buckets", space_.use.map_bytes - space_.watermark_bytes},
                         {"do", "meterctl flush --now, let the upstream drain, or raise journal.max_size"}});
  }
  refusing_new_ = refusing;
  batcher_->set_above_watermark(refusing);
  // Before anything is refused: a burst of new buckets needs room at once.
  if (space_.room_bytes() < space_.use.map_bytes / kRoomKept) sealer_->make_room();
}

// What was counted up to now is committed first: it would open the bucket anew.
asio::awaitable<Status> Core::seal_counted(flush::Sealer::Wanted wanted) {
  const auto initiate = [this](auto handler) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    batcher_->commit_soon([shared](const Status& done, const auto&) { std::move (*shared)(done); });
  };
  const Status committed = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Status)>(
      initiate, asio::use_awaitable);
  if (!committed) co_return committed;
  co_return co_await sealer_->seal_now(std::move(wanted));
}

asio::awaitable<Result<api::Routes::Dependencies::Flushed>> Core::flush(bool seal_now) {
  api::Routes::Dependencies::Flushed out;
  if (seal_now) {
    const auto before = sealer_->sealed();
    Status sealed = co_await seal_counted({});
    // What cannot be committed now must not keep what is in the journal from going out and making room.
    if (!sealed && batcher_->stuck_for() > Milliseconds(0)) sealed = co_await sealer_->seal_now({});
    // A bucket that cannot be sealed keeps neither the others from it nor an upstream from being asked.
    const bool some = sealed || sealed.error().code == Code::rejected || sealed.error().code == Code::invalid;
    if (!some) co_return sealed.error();
    if (!sealed) out.refused = sealed.error().message;
    out.sealed = sealer_->sealed() - before;
  }
  for (const auto& upstream : upstreams_of(config_)) {  // a copy: a reload may come between
    if (upstream.kind == UpstreamKind::ledger && !config_.upstreams.empty())
      continue;  // it backs off from nothing
    const Status cleared = co_await clear_backoff(upstream.name);
    if (!cleared) co_return cleared.error();
    out.cleared.push_back(upstream.name.value());
  }
  deliveries_.wake();
  co_return out;
}

asio::awaitable<Status> Core::clear_backoff(UpstreamName name) {
  std::size_t at_most = kClearedPerCommit;
  for (;;) {
    auto cleared = std::make_shared<std::size_t>(0);
    journal::Operation operation = [cleared, name, at_most](journal::WriteTransaction& txn) -> Status {
      auto count = txn.clear_backoff(name, at_most);
      if (!count) return count.error();
      *cleared = *count;
      return {};
    };
    const Status committed = co_await committer_.submit(std::move(operation));
    if (!committed && committed.error().code == Code::full && at_most > 1) {
      at_most /= 2;  // on a full map a large transaction may not fit where a small one does
      continue;
    }
    if (!committed || *cleared < at_most) co_return committed;
  }
}

}  // namespace meterd::app
