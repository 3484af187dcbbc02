#include "agent/flush/flusher.hpp"

#include <algorithm>
#include <iterator>

#include "agent/base/limits.hpp"
#include "platform/run_on.hpp"

namespace meterd::flush {

namespace asio = boost::asio;

namespace {

// A commit that changes the outbox wakes the flusher, and nothing else changes what it must know.
constexpr Milliseconds kLongestWait{24 * 3'600'000};
constexpr Milliseconds kUnreadableRetry{60'000};
constexpr const char* kLeftUnanswered = "sent; meterd ended before an answer was known";
constexpr std::size_t kDecidedAtOnce = 32;
constexpr Milliseconds kResendAfter{60'000};

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
  co_await decide_leftovers();
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
  const std::span<const journal::StoredUsage> all(*intents);
  const std::size_t at_once =
      deps_.target.vendor->traits().idempotent ? 1 : std::max<std::size_t>(1, all.size());
  for (std::size_t begun = 0; begun < all.size(); begun += at_once) {
    const auto group = all.subspan(begun, at_once);
    if (go_on && !stopping_) {
      auto some = co_await attempt(group, plan->state.failures());
      go_on = !some.front().decision.pause.has_value();
      std::move(some.begin(), some.end(), std::back_inserter(settled));
    } else {
      for (const auto& stored : group)
        settled.push_back({stored.sequence, stored.record, false, false, {}, {}, {}});
    }
  }
  report(settled);
  co_await commit_all(std::move(settled));
  sending_.clear();
  co_return Milliseconds(0);
}

std::size_t Flusher::usages_a_round() const {
  const auto traits = deps_.target.vendor->traits();
  return traits.idempotent ? limits::kUsagesPerRound : traits.batch;
}

// Commits the intents of what is due. A troubled upstream is asked with one usage, not with a round of them.
asio::awaitable<Result<std::vector<journal::StoredUsage>>> Flusher::begin(std::uint32_t failures) {
  const auto traits = deps_.target.vendor->traits();
  const std::size_t at_most = failures > 0 ? 1 : std::min(round_usages_, usages_a_round());
  auto intents = std::make_shared<std::vector<journal::StoredUsage>>();
  // While one at a time is asked, the lanes take turns: poisoned usages must not keep the others back.
  const auto first = failures % 2 == 1 ? journal::Lane::ready : journal::Lane::delayed;
  journal::Operation operation = [intents, at_most, first, name = deps_.target.name, at = now(),
                                  repeatable = traits.idempotent](journal::WriteTransaction& txn) -> Status {
    auto begun = repeatable ? txn.begin_attempts(name, at, at_most, first)
                            : txn.begin_unrepeatable(name, at, at_most, first);
    if (!begun) return begun.error();
    *intents = std::move(*begun);
    return {};
  };
  const Status intended = co_await deps_.committer.submit(std::move(operation));
  if (!intended) {
    round_usages_ = std::max<std::size_t>(1, at_most / 2);  // on a full map fewer may fit
    co_return intended.error();
  }
  if (!traits.idempotent)
    for (const auto& stored : *intents) sending_.insert(stored.sequence);
  co_return std::move(*intents);
}

// What an earlier run left without an answer: as the operator has declared by now. What is held then is the
// operator's, whatever is declared later.
asio::awaitable<void> Flusher::decide_leftovers() {
  std::uint64_t after = 0;
  std::uint64_t in_doubt = 0;
  std::size_t at_once = kDecidedAtOnce;
  for (bool more = !deps_.target.vendor->traits().idempotent; more && !stopping_;) {
    const auto last = std::make_shared<std::uint64_t>(0);
    const auto left = std::make_shared<std::uint64_t>(0);
    journal::Operation operation = [this, after, last, left, at_once,
                                    at = now()](journal::WriteTransaction& txn) -> Status {
      *last = 0;
      *left = 0;
      auto held = txn.is_held(name());
      if (!held) return held.error();
      if (*held) return {};  // what came with a copy is not ours to decide
      auto doubted = txn.in_doubt(name(), after, at_once);
      if (!doubted) return doubted.error();
      Decided decided;
      for (const auto& stored : *doubted) {
        *last = stored.sequence;
        if (stored.record.last_error() != journal::kNoAnswerKnown) continue;
        const journal::Due due{at.boot.boot_number, at.boot.since_boot_ms + kResendAfter.count()};
        if (auto s = hold(txn, stored.sequence, stored.record, kLeftUnanswered, due, at, decided); !s)
          return s;
        ++*left;
      }
      return note_decisions(txn, decided, at);
    };
    const Status committed = co_await deps_.committer.submit(std::move(operation));
    if (committed) {
      more = *last != 0;
      after = *last;
      in_doubt += *left;
      continue;
    }
    if (committed.error().code == Code::corrupt) break;  // they stay in doubt, where an operator sees them
    if (at_once > 1)
      at_once /= 2;
    else
      co_await journal_alarm_->wait_for(kJournalRetry);
  }
  if (in_doubt > 0)
    deps_.log.error("usages_in_doubt", {{"upstream", name().value()},
                                        {"usages", std::to_string(in_doubt)},
                                        {"outcome", "left by the run before"},
                                        {"do", "see meterctl outbox --in-doubt, or meterctl audit"}});
}

asio::awaitable<upstream::Exchange> Flusher::exchange(const upstream::HttpRequest& request, bool idempotent) {
  const auto began = deps_.clock.ticks();
  auto answer = co_await deps_.client->exchange(request, idempotent);
  stats_.exchange.observe(deps_.clock.ticks() - began);
  co_return answer;
}

// Made for an upstream of another kind, which had this name: what its answer would mean is not known.
std::vector<Flusher::Settled> Flusher::park_foreign(
    std::span<const journal::StoredUsage> group, const std::vector<upstream::HttpRequest>& requests) const {
  std::vector<Settled> out;
  for (std::size_t i = 0; i < group.size(); ++i) {
    auto& one = out.emplace_back(Settled{group[i].sequence, group[i].record, false, false, {}, {}, {}});
    if (deps_.target.vendor->made(requests[i])) continue;
    one.sent = true;
    one.decision.step = one.record.resent() ? Step::hold : Step::park;  // one of that kind may have billed it
    one.outcome = "foreign";
    one.detail =
        "its request is one of another kind of upstream: give the [[upstream]] its kind again, or withdraw "
        "it";
  }
  return out;
}

PolicyInput Flusher::input_for(const journal::UsageRecord& record, std::uint32_t failures,
                               std::size_t batch) {
  return {record.attempts(),   failures, record.absent_looks(), record.supersedes(),
          deps_.random.next(), batch,    record.resent()};
}

// One request, with all of them.
asio::awaitable<std::vector<Flusher::Settled>> Flusher::attempt(std::span<const journal::StoredUsage> group,
                                                                std::uint32_t failures) {
  const auto& vendor = *deps_.target.vendor;
  const auto traits = vendor.traits();
  std::vector<meter::Usage> usages;
  std::vector<upstream::HttpRequest> requests;
  bool all_ours = true;
  for (const auto& stored : group) {
    usages.push_back(journal::usage_of(stored.record));
    requests.push_back(request_of(stored.record.request()));
    all_ours = all_ours && vendor.made(requests.back());
  }
  if (!all_ours) co_return park_foreign(group, requests);
  stats_.attempts += group.size();
  const auto request = group.size() == 1 ? std::move(requests.front()) : vendor.join(requests);
  const auto answer = co_await exchange(request, traits.idempotent);
  std::vector<Settled> out;
  if (group.front().record.deletes() != 0) {
    out.push_back(judge_deletion(group.front(), answer, input_for(group.front().record, failures, 1)));
    co_return out;
  }
  const auto verdicts = vendor.judge_batch(usages, answer);
  for (std::size_t i = 0; i < group.size(); ++i) {
    const auto& stored = group[i];
    const auto input = input_for(stored.record, failures, group.size());
    auto& one = out.emplace_back(Settled{stored.sequence, stored.record, true, false,
                                         after_create(verdicts[i], traits, input), verdicts[i].detail,
                                         upstream::name_of(verdicts[i].outcome)});
    if (i > 0) one.decision.pause.reset();  // one request, one trouble
    if (one.decision.step == Step::settle) one.detail = verdicts[i].receipt;
    if (one.decision.step == Step::hold && verdicts[i].outcome == upstream::Outcome::rejected)
      one.detail = "refused when it was sent again, which says nothing of the first request: " + one.detail;
    if (one.decision.step == Step::look_up) co_await look_up(one, usages[i], verdicts[i], input);
  }
  co_return out;
}

asio::awaitable<void> Flusher::look_up(Settled& one, const meter::Usage& usage,
                                       const upstream::Verdict& refusal, const PolicyInput& input) {
  const auto& vendor = *deps_.target.vendor;
  ++stats_.read_backs;
  const auto looked = co_await exchange(vendor.encode_retrieve(usage), true);
  auto found = vendor.judge_retrieve(usage, looked);
  one.decision = after_look_up(found, refusal, input);
  one.detail = one.decision.step == Step::settle ? found.verdict.receipt
                                                 : refusal.detail + "; looked up: " + found.verdict.detail;
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
  std::uint64_t in_doubt = 0;
  for (const auto& one : settled) {
    if (!one.sent) continue;
    const auto& decision = one.decision;
    in_doubt += decision.step == Step::hold || decision.step == Step::look_up ? 1 : 0;
    stats_.delivered += decision.step == Step::settle && one.record.deletes() == 0 ? 1 : 0;
    stats_.retries += decision.step == Step::retry || decision.step == Step::look_again ? 1 : 0;
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
  stats_.held += in_doubt;
  if (in_doubt > 0)
    deps_.log.error("usages_in_doubt", {{"upstream", name().value()},
                                        {"usages", in_doubt},
                                        {"outcome", settled.front().outcome},
                                        {"do", "see meterctl outbox --in-doubt"}});
}

}  // namespace meterd::flush
