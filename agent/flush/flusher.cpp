#include "agent/flush/flusher.hpp"

#include <algorithm>

#include "agent/base/limits.hpp"
#include "platform/run_on.hpp"

namespace meterd::flush {

namespace asio = boost::asio;

namespace {

// Every commit wakes the flusher, and nothing else changes what it must know.
constexpr Milliseconds kLongestWait{24 * 3'600'000};
constexpr Milliseconds kJournalRetry{1'000};

journal::Due due_in(Milliseconds wait, const journal::Moment& now) {
  if (wait <= Milliseconds(0)) return {};
  return {now.boot.boot_number, now.boot.since_boot_ms + wait.count()};
}

// How long the upstream's pause still lasts; zero when it is over. A pause of an earlier boot is over.
Milliseconds paused_for(const journal::UpstreamState& state, const journal::Moment& now) {
  if (state.paused_boot() != now.boot.boot_number) return Milliseconds(0);
  return Milliseconds(std::max<std::int64_t>(0, state.paused_until_ms() - now.boot.since_boot_ms));
}

}  // namespace

Flusher::Flusher(Dependencies dependencies, const FlushStats& so_far)
    : deps_(std::move(dependencies)),
      alarm_(deps_.clock.make_alarm()),
      journal_alarm_(deps_.clock.make_alarm()),
      stats_(so_far) {}

void Flusher::stop() {
  stopping_ = true;
  alarm_->notify();
}

journal::Moment Flusher::now() const {
  return {deps_.clock.wall().time, {deps_.journal.boot_number(), deps_.clock.boot().since_boot.count()}};
}

asio::awaitable<void> Flusher::run() {
  while (!stopping_) {
    const Milliseconds wait = co_await round();
    if (!stopping_ && wait > Milliseconds(0)) co_await alarm_->wait_for(std::min(wait, kLongestWait));
  }
  deps_.client->close();
}

// One round. Returns how long nothing can be done; zero: go on at once.
asio::awaitable<Milliseconds> Flusher::round() {
  const auto read = [&journal = deps_.journal, name = deps_.target.name, at = now().boot.since_boot_ms] {
    return journal::read_send_plan(journal, name, at);
  };
  auto plan = co_await platform::run_on(deps_.reader, read);
  if (!plan) {
    deps_.log.error("outbox_unreadable", {{"upstream", name().value()},
                                          {"error", plan.error().message},
                                          {"do", "run meterctl verify; the next commit tries again"}});
    co_return kLongestWait;
  }
  const auto pause = paused_for(plan->state, now());
  if (pause > Milliseconds(0)) co_return pause;
  if (!plan->ready) {
    if (plan->next_due_ms)
      co_return Milliseconds(std::max<std::int64_t>(1, *plan->next_due_ms - now().boot.since_boot_ms));
    co_return kLongestWait;
  }

  auto intents = co_await begin(plan->state.failures());
  if (!intents) {  // without an intent nothing leaves
    co_await journal_alarm_->wait_for(kJournalRetry);
    co_return Milliseconds(0);
  }
  std::vector<Settled> settled;
  bool go_on = true;
  for (const auto& stored : *intents) {
    if (go_on && !stopping_) {
      auto one = co_await attempt(stored, plan->state.failures());
      go_on = !one.decision.pause.has_value();
      settled.push_back(std::move(one));
    } else {
      settled.push_back({stored.sequence, stored.record, false, false, {}, {}, {}});
    }
  }
  report(settled);
  co_await commit_all(std::move(settled));
  co_return Milliseconds(0);
}

// Commits the intents of what is due. A troubled upstream is asked with one usage, not with a round of them.
asio::awaitable<Result<std::vector<journal::StoredUsage>>> Flusher::begin(std::uint32_t failures) {
  const std::size_t at_most = failures > 0 ? 1 : round_usages_;
  auto intents = std::make_shared<std::vector<journal::StoredUsage>>();
  // While one at a time is asked, the lanes take turns: poisoned usages must not keep the others back.
  const auto first = failures % 2 == 1 ? journal::Lane::ready : journal::Lane::delayed;
  journal::Operation operation = [intents, at_most, first, name = deps_.target.name,
                                  at = now()](journal::WriteTransaction& txn) -> Status {
    auto begun = txn.begin_attempts(name, at, at_most, first);
    if (!begun) return begun.error();
    *intents = std::move(*begun);
    return {};
  };
  const Status intended = co_await deps_.committer.submit(std::move(operation));
  if (!intended) {
    round_usages_ = std::max<std::size_t>(1, round_usages_ / 2);
    co_return intended.error();
  }
  co_return std::move(*intents);
}

// What the upstream said must not be forgotten: tried until it is in the journal or the daemon must end. On a
// full map one receipt fits where sixteen do not.
asio::awaitable<void> Flusher::commit_all(std::vector<Settled> settled) {
  std::size_t at_once = settled.size();
  bool complained = false;
  while (!settled.empty()) {
    at_once = std::min(at_once, settled.size());
    const auto end = settled.begin() + static_cast<std::ptrdiff_t>(at_once);
    std::vector<Settled> part(settled.begin(), end);
    const Status committed = co_await commit(std::move(part));
    if (committed) {
      settled.erase(settled.begin(), end);
      round_usages_ = limits::kUsagesPerRound;
      continue;
    }
    if (at_once > 1) {
      at_once /= 2;
      continue;
    }
    if (committed.error().code == Code::corrupt) {
      // Once repaired it may fit; what cannot be repaired is set aside and shown.
      if (settled.front().repaired)
        settled.erase(settled.begin());
      else
        co_await repair(settled.front());
      continue;
    }
    if (!complained)
      deps_.log.error("receipts_uncommitted",
                      {{"upstream", name().value()},
                       {"error", committed.error().message},
                       {"do", "free space on the journal's file system; the receipts wait in memory"}});
    complained = true;
    if (stopping_) co_return;  // a restart asks the upstream again, by key and id
    co_await journal_alarm_->wait_for(kJournalRetry);
  }
}

asio::awaitable<upstream::Exchange> Flusher::exchange(const upstream::HttpRequest& request, bool idempotent) {
  const auto began = deps_.clock.ticks();
  auto answer = co_await deps_.client->exchange(request, idempotent);
  stats_.exchange.observe(deps_.clock.ticks() - began);
  co_return answer;
}

asio::awaitable<Flusher::Settled> Flusher::attempt(const journal::StoredUsage& stored,
                                                   std::uint32_t failures) {
  const auto& vendor = *deps_.target.vendor;
  const auto traits = vendor.traits();
  const auto usage = journal::usage_of(stored.record);
  const PolicyInput input{stored.record.attempts(), failures, stored.record.absent_looks(),
                          stored.record.supersedes(), deps_.random.next()};
  ++stats_.attempts;

  const auto answer = co_await exchange(request_of(stored.record.request()), traits.idempotent);
  auto verdict = vendor.judge_create(usage, answer);
  Settled out{stored.sequence,
              stored.record,
              true,
              false,
              after_create(verdict, traits, input),
              verdict.detail,
              upstream::name_of(verdict.outcome)};
  if (out.decision.step == Step::settle) out.detail = verdict.receipt;
  if (out.decision.step != Step::look_up) co_return out;

  ++stats_.read_backs;
  const auto looked = co_await exchange(vendor.encode_retrieve(usage), true);
  auto found = vendor.judge_retrieve(usage, looked);
  out.decision = after_look_up(found, input);
  out.detail = out.decision.step == Step::settle ? found.verdict.receipt
                                                 : verdict.detail + "; looked up: " + found.verdict.detail;
  co_return out;
}

asio::awaitable<void> Flusher::repair(Settled& one) {
  one.repaired = true;
  deps_.log.error("outbox_record_unreadable",
                  {{"upstream", name().value()}, {"id", one.record.id()}, {"do", "run meterctl verify"}});
  journal::Operation operation = [name = deps_.target.name,
                                  sequence = one.sequence](journal::WriteTransaction& txn) {
    return txn.repair_usage(name, sequence);
  };
  const Status repaired = co_await deps_.committer.submit(std::move(operation));
  if (!repaired)
    deps_.log.error("repair_failed", {{"upstream", name().value()},
                                      {"error", repaired.error().message},
                                      {"do", "run meterctl verify; it is tried again"}});
}

asio::awaitable<Status> Flusher::commit(std::vector<Settled> settled) {
  auto shared = std::make_shared<std::vector<Settled>>(std::move(settled));
  journal::Operation operation = [this, shared, at = now()](journal::WriteTransaction& txn) -> Status {
    for (const auto& one : *shared)
      if (auto s = settle(txn, one, at); !s) return s;
    return note_upstream(txn, *shared, at);
  };
  co_return co_await deps_.committer.submit(std::move(operation));
}

// Journal thread: reads only what never changes after the constructor.
Status Flusher::settle(journal::WriteTransaction& txn, const Settled& one, const journal::Moment& now) const {
  if (!one.sent) return txn.unsend(one.sequence);
  switch (one.decision.step) {
    case Step::settle:
      return txn.deliver(one.sequence, one.detail, now);
    case Step::retry:
      return txn.retry(one.sequence, due_in(one.decision.usage_wait, now), one.detail);
    case Step::look_again:
      return txn.look_again(one.sequence, due_in(one.decision.usage_wait, now), one.detail);
    case Step::park:
      return txn.park(one.sequence, one.detail);
    case Step::look_up:
    case Step::hold:
      return txn.hold_in_doubt(one.sequence, one.detail);
    case Step::supersede:
      break;
  }
  const auto old = journal::usage_of(one.record);
  const meter::BucketKey bucket{old.day, old.series};
  auto balance = txn.balance(bucket);
  if (!balance) return balance.error();
  auto zone = meter::TimeZone::load(balance->zone);
  if (!zone) return txn.park(one.sequence, zone.error().message);
  const auto bounds = zone->bounds(old.day);
  const NextUsage next{bucket, old.quantity, old.events, balance->next_revision, {bounds.start, bounds.end}};
  auto successor = date_usage(txn, *deps_.context, next, now.wall);
  if (!successor) {
    if (successor.error().code != Code::rejected && successor.error().code != Code::invalid)
      return successor.error();
    return txn.park(one.sequence, successor.error().message);
  }
  return txn.supersede(one.sequence, *successor, record_of(deps_.target.vendor->encode_create(*successor)),
                       now);
}

Status Flusher::note_upstream(journal::WriteTransaction& txn, const std::vector<Settled>& settled,
                              const journal::Moment& now) const {
  auto state = txn.upstream(deps_.target.name);
  if (!state) return state.error();
  const auto before = state->SerializeAsString();
  for (const auto& one : settled) {
    if (!one.sent) continue;
    const auto& decision = one.decision;
    if (decision.success) {
      state->set_failures(0);
      state->set_unauthorised(false);
      state->set_retry_after(false);
      state->set_paused_boot(0);
      state->set_paused_until_ms(0);
    }
    if (decision.step == Step::park || decision.pause) {
      state->set_last_error(one.detail);
      state->set_last_error_ms(now.wall.since_epoch.count());
    }
    if (!decision.pause) continue;
    const auto until = due_in(*decision.pause, now);
    state->set_failures(state->failures() + 1);
    state->set_paused_boot(until.boot_number);
    state->set_paused_until_ms(until.since_boot_ms);
    state->set_retry_after(decision.retry_after);
    state->set_unauthorised(decision.unauthorised);
  }
  if (state->SerializeAsString() == before) return {};
  return txn.put_upstream(deps_.target.name, *state);
}

void Flusher::report(const std::vector<Settled>& settled) {
  for (const auto& one : settled) {
    if (!one.sent) continue;
    const auto& decision = one.decision;
    stats_.delivered += decision.step == Step::settle ? 1 : 0;
    stats_.retries += decision.step == Step::retry || decision.step == Step::look_again ? 1 : 0;
    stats_.held += decision.step == Step::hold || decision.step == Step::look_up ? 1 : 0;
    stats_.superseded += decision.step == Step::supersede ? 1 : 0;
    if (decision.step == Step::park) {
      ++stats_.parked;
      deps_.log.error("usage_parked", {{"upstream", name().value()},
                                       {"id", one.record.id()},
                                       {"outcome", one.outcome},
                                       {"do", "see meterctl outbox"}});
    }
    if (decision.unauthorised && !troubled_)
      deps_.log.error(
          "upstream_unauthorised",
          {{"upstream", name().value()},
           {"outcome", one.outcome},
           {"do",
            "correct the key or the site in meterd.toml and restart meterd; nothing is lost meanwhile"}});
    else if (decision.pause && !troubled_)
      deps_.log.warning("upstream_unavailable",
                        {{"upstream", name().value()}, {"outcome", one.outcome}, {"see", "meterctl status"}});
    if (decision.pause) troubled_ = true;
    if (decision.success && troubled_) {
      troubled_ = false;
      deps_.log.info("upstream_available", {{"upstream", name().value()}});
    }
  }
}

}  // namespace meterd::flush
