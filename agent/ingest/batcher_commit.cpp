// The batcher's other half: closing a window, committing it, and dating what was counted before the clock was
// trusted.
#include <algorithm>
#include <iterator>
#include <utility>

#include "agent/base/limits.hpp"
#include "agent/ingest/batcher.hpp"

namespace meterd::ingest {

namespace asio = boost::asio;

namespace {
// A refused window is tried again when it has been stuck for as long again, within these.
constexpr Milliseconds kRetryAfterFailureMin{1'000};
constexpr Milliseconds kRetryAfterFailureMax{10'000};
constexpr Milliseconds kTrustedTimeStep{3'600'000};
constexpr Milliseconds kGatherFor{1};
constexpr Milliseconds kSummaryInterval{60'000};
constexpr std::int64_t kDaySeconds = 86'400;
constexpr std::size_t kNotAllowedMax = 64;
constexpr Milliseconds kAuditInterval{3'600'000};
constexpr std::size_t kRoutesKept = 32'768;  // from one window to the next
}  // namespace

asio::awaitable<void> Batcher::run() {
  for (;;) {
    if (!urgent_ && !stopping_)
      co_await alarm_->wait_for(stuck_ ? std::clamp(stuck_for(), kRetryAfterFailureMin, kRetryAfterFailureMax)
                                       : settings_.rules.commit_interval);
    co_await gather();
    urgent_ = false;
    const auto now = deps_.clock.wall();
    if (now.trusted != trusted_) {
      trusted_ = now.trusted;
      deps_.log.info("clock_trust", {{"trusted", now.trusted ? "yes" : "no"}});
    }
    for (auto& source : sources_) source->harvest(*this, now);
    // Ids expire by day, with a commit; a day on which nothing is counted gets one for that alone.
    const auto day = now.time.seconds().count() / kDaySeconds;
    const bool prune = now.trusted && remembered_ids_ > 0 && day > pruned_day_;
    if (stuck_ || !window_.empty() || !waiting_.empty() || prune)
      co_await commit_window();
    else
      take_turns();
    // After the commit: what this window held of untrusted time is dated with the rest.
    const auto then = deps_.clock.wall();
    if (then.trusted && slices_may_exist_ && !stuck_) co_await date_slices(then);
    audit_not_allowed();
    summarise_refusals();
    // A stuck window was tried once more; the disk is still full.
    if (stopping_ && (stuck_ || (window_.empty() && waiting_.empty()))) break;
  }
  ended_ = true;
  for (const auto& turn : std::exchange(turns_, {})) turn(Error{Code::cancelled, "meterd is stopping"});
  for (const auto& done : std::exchange(waiting_, {})) done(Error{Code::cancelled, "meterd is stopping"}, {});
}

// Reporters that wait for their acknowledgements come back together. Without a moment's patience they split
// into two groups, each with commits of its own: twice the processor time and twice the flash.
asio::awaitable<void> Batcher::gather() {
  const auto began = deps_.clock.ticks();
  while (!waiting_.empty() && waiting_.size() < gather_ && !stopping_ && turns_.empty() &&
         deps_.clock.ticks() - began < kGatherFor)
    co_await alarm_->wait_for(kGatherFor);
}

// `dated_at`: a time of what is dated already, for when the clock is not trusted.
WindowContext Batcher::context_for(const platform::WallReading& now, std::optional<WallTime> dated_at) {
  WindowContext context;
  context.now = now.time;
  context.trusted = now.trusted;
  context.boot_number = deps_.journal.boot_number();
  context.boot = deps_.clock.boot();
  // Ids are kept by day of arrival; under an untrusted clock in a partition of their own until it is trusted.
  // The day never goes back, or a step of the clock over midnight would hide an id. Kept long enough for an
  // event that was accepted before its time.
  const auto stored_day = last_trusted_stored_.seconds().count() / kDaySeconds;
  const auto day = now.trusted ? std::max(now.time.seconds().count() / kDaySeconds, stored_day) : stored_day;
  const auto kept_days =
      ((settings_.rules.remember_ids + settings_.rules.accept_future).count() + kDaySeconds - 1) /
      kDaySeconds;
  context.ids.today = static_cast<std::uint32_t>(std::max<std::int64_t>(day, 0));
  context.ids.dated = now.trusted;
  context.ids.oldest = static_cast<std::uint32_t>(std::max<std::int64_t>(day - kept_days, 0));
  // A clock that was stepped since must not put the seal of what it dated off for years.
  const auto opened_at = now.trusted ? now.time : dated_at.value_or(last_trusted_stored_);
  for (std::size_t i = 0; i < settings_.catalog->size(); ++i) {
    const auto& zone = settings_.catalog->rule(i).zone;
    const auto due = meter::seal_due(zone, settings_.seal_rules[i], deps_.device, opened_at);
    context.openings.push_back({opened_at, due.seconds().count(), zone.name()});
    context.zones.push_back(zone.name());
  }
  context.note_trusted_time = now.trusted && (now.time - last_trusted_stored_ > kTrustedTimeStep ||
                                              day > stored_day || !trust_noted_);
  context.seal_early = settings_.seal_early;
  return context;
}

Window Batcher::close_window() {
  for (auto* route : open_routes_) {
    window_.sums[route->sum].tally += route->tally;
    route->tally = {};
  }
  open_routes_.clear();
  other_spans_.clear();
  if (routes_.size() > kRoutesKept) routes_.clear();
  open_places_ = 0;
  ++window_number_;
  pending_shares_.begin_anew();
  if (const auto now = deps_.clock.boot(); now - id_shares_began_ >= settings_.rules.remember_ids) {
    id_shares_.begin_anew();
    id_shares_began_ = now;
  }
  return std::exchange(window_, {});
}

// The window is empty: it has just been closed, or nothing was counted.
void Batcher::take_turns() {
  for (const auto& turn : std::exchange(turns_, {})) turn({});
}

asio::awaitable<void> Batcher::commit_window() {
  std::unique_ptr<Closed> closed = std::move(stuck_);
  const bool was_stuck = closed != nullptr;
  if (!was_stuck) {
    closed = std::make_unique<Closed>();
    closed->window = close_window();
    closed->waiting = std::move(waiting_);
    closed->opened_places = opened_places_;
    closed->context = context_for(deps_.clock.wall(), closed->window.dated_at);
    waiting_.clear();
    take_turns();
  }
  Closed* shared = closed.get();
  in_flight_ = true;
  journal::Operation operation = [shared](journal::WriteTransaction& txn) {
    return apply(shared->window, shared->context, txn, shared->outcome);
  };
  const Status committed = co_await deps_.committer.submit(std::move(operation));
  in_flight_ = false;
  if (committed) {
    if (closed->context.note_trusted_time) {
      last_trusted_stored_ = closed->context.now;
      trust_noted_ = true;
    }
    remembered_ids_ = closed->outcome.remembered_ids;
    committed_places_ = closed->opened_places;
    if (closed->context.trusted && !closed->outcome.more_to_prune)
      pruned_day_ = closed->context.now.seconds().count() / kDaySeconds;
    if (closed->outcome.more_to_prune) urgent_ = true;
    if (closed->outcome.wrote_slices) slices_may_exist_ = true;
    if (!waiting_.empty() || !turns_.empty()) urgent_ = true;  // they came while this window was on its way
    const auto& flags = closed->outcome.duplicate;
    const auto known = static_cast<std::uint64_t>(std::count(flags.begin(), flags.end(), true));
    stats_.duplicates += known;
    stats_.events -= known;
  }
  auto waiting = std::move(closed->waiting);
  closed->waiting.clear();
  gather_ = committed ? waiting_.size() + waiting.size() : 0;
  if (!committed) {
    for (const auto& turn : std::exchange(turns_, {}))
      turn(Error{Code::full, "the journal has no room for what was counted so far; free space first"});
    // Whoever waits for the window behind it would wait as long as it is stuck.
    std::move(waiting_.begin(), waiting_.end(), std::back_inserter(waiting));
    waiting_.clear();
  }
  for (const auto& done : waiting) done(committed, closed->outcome);
  // What was received just before is in the window behind it, and as old: that one follows at once.
  const bool another_behind = was_stuck && !window_.empty();
  if (committed && another_behind) urgent_ = true;
  if (committed && !another_behind && stuck_since_ != BootTime{}) {
    deps_.log.info("journal_has_room_again");
    stuck_since_ = {};
  }
  if (committed) co_return;
  if (stuck_since_ == BootTime{}) {
    stuck_since_ = deps_.clock.boot();
    deps_.log.error(committed.error().code == Code::full ? "journal_full" : "journal_refuses",
                    {{"error", committed.error().message},
                     {"do", "free space, or raise journal.max_size; counts wait in memory"}});
  }
  stuck_ = std::move(closed);
}

// One line a minute and reason, never the input itself.
void Batcher::summarise_refusals() {
  if (deps_.clock.boot() - summarised_at_ < kSummaryInterval && !stopping_) return;
  for (std::size_t i = 0; i < stats_.refused.size(); ++i) {
    const auto fresh = stats_.refused[i] - summarised_.refused[i];
    if (fresh > 0)
      deps_.log.warning("events_refused", {{"reason", name_of(static_cast<meter::Refusal>(i))},
                                           {"count", fresh},
                                           {"do", advice_for(static_cast<meter::Refusal>(i))}});
  }
  if (const auto dropped = stats_.datagrams_dropped - summarised_.datagrams_dropped; dropped > 0)
    deps_.log.warning(
        "datagrams_dropped",
        {{"count", dropped}, {"do", "report slower, or over the unix socket, where senders wait"}});
  summarised_ = stats_;
  summarised_at_ = deps_.clock.boot();
}

void Batcher::refuse_reporter(const std::string& who) {
  stats_.refuse(meter::Refusal::not_allowed);
  ++tried_by(who).events;
}

void Batcher::note_beyond_share(const std::string& who) { ++tried_by(who).beyond_share; }

Batcher::NotAllowed& Batcher::tried_by(const std::string& who) {
  const bool is_one_too_many = not_allowed_.size() >= kNotAllowedMax && !not_allowed_.contains(who);
  return not_allowed_[is_one_too_many ? "others" : who];
}

// An entry an hour and reporter: who goes on trying must not fill the flash.
void Batcher::audit_not_allowed() {
  const auto now = deps_.clock.boot();
  for (auto& [who, tried] : not_allowed_) {
    if (tried.events + tried.beyond_share == 0 ||
        (tried.audited_at && now - *tried.audited_at < kAuditInterval))
      continue;
    std::string what;
    if (const auto events = std::exchange(tried.events, 0); events > 0)
      what = std::to_string(events) + " events that [access] does not allow";
    if (const auto beyond = std::exchange(tried.beyond_share, 0); beyond > 0)
      what += (what.empty() ? "" : ", ") + std::to_string(beyond) +
              " reports beyond its share of remembered ids and producers";
    const journal::WriteTransaction::Act act{who, "refused", what};
    tried.audited_at = now;
    const auto at = journal::moment_of(deps_.clock, deps_.journal.boot_number());
    journal::Operation operation = [act, at](journal::WriteTransaction& txn) {
      return txn.put_audit(act, at);
    };
    deps_.committer.submit(std::move(operation), [this](const Status& audited) {
      if (!audited) deps_.log.warning("refusals_not_audited", {{"error", audited.error().message}});
    });
  }
}

}  // namespace meterd::ingest
