#include "agent/flush/flusher.hpp"

#include <algorithm>

#include "agent/base/limits.hpp"
#include "platform/run_on.hpp"

namespace meterd::flush {

namespace asio = boost::asio;

namespace {

// A commit that changes the outbox wakes the flusher, and nothing else changes what it must know.
constexpr Milliseconds kLongestWait{24 * 3'600'000};
constexpr Milliseconds kUnreadableRetry{60'000};
constexpr Milliseconds kJournalRetry{1'000};

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

journal::Moment Flusher::now() const { return journal::moment_of(deps_.clock, deps_.journal.boot_number()); }

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
                                          {"do", "run meterctl verify; it is tried again each minute"}});
    co_return kUnreadableRetry;
  }
  if (plan->held) co_return kLongestWait;
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
  if (stored.record.deletes() != 0) co_return judge_deletion(stored, answer, input);
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
  out.decision = after_look_up(found, verdict, input);
  out.detail = out.decision.step == Step::settle ? found.verdict.receipt
                                                 : verdict.detail + "; looked up: " + found.verdict.detail;
  co_return out;
}

Flusher::Settled Flusher::judge_deletion(const journal::StoredUsage& stored, const upstream::Exchange& answer,
                                         const PolicyInput& input) const {
  auto verdict = deps_.target.vendor->judge_delete(journal::usage_of(stored.record), answer);
  Settled out{stored.sequence,
              stored.record,
              true,
              false,
              after_delete(verdict, input),
              verdict.detail,
              upstream::name_of(verdict.outcome)};
  if (out.decision.step == Step::settle) out.detail = verdict.receipt;
  return out;
}

void Flusher::report(const std::vector<Settled>& settled) {
  for (const auto& one : settled) {
    if (!one.sent) continue;
    const auto& decision = one.decision;
    stats_.delivered += decision.step == Step::settle && one.record.deletes() == 0 ? 1 : 0;
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
            "correct the key or the site in meterd.toml and reload meterd; nothing is lost meanwhile"}});
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
