// The operator's reconcile: each held upstream is asked what it has, by a connection of its own.
#include <algorithm>

#include "agent/app/core.hpp"
#include "agent/flush/reconcile.hpp"
#include "agent/upstream/ledger/ledger.hpp"
#include "platform/run_on.hpp"

namespace meterd::app {

namespace asio = boost::asio;

namespace {

api::ReconciledUpstream shown(const flush::Reconciled& one) {
  return {one.upstream.value(), one.held,   one.more,     one.looked_up, one.delivered,
          one.waiting,          one.parked, one.in_doubt, one.error,     one.retry_after};
}

}  // namespace

asio::awaitable<Result<std::vector<api::ReconciledUpstream>>> Core::reconcile(
    std::optional<UpstreamName> only, Milliseconds at_most) {
  const auto upstreams = upstreams_of(config_);
  const auto wanted = [&](const UpstreamConfig& upstream) { return !only || upstream.name == *only; };
  if (std::none_of(upstreams.begin(), upstreams.end(), wanted))
    co_return Error{Code::rejected, "there is no [[upstream]] " + only->value() + " in meterd.toml"};
  if (reconciler_ != nullptr) co_return Error{Code::retry, "reconciling is under way; wait for it"};
  std::vector<UpstreamName> configured;
  for (const auto& upstream : upstreams) configured.push_back(upstream.name);
  const auto until = around_.clock.boot() + at_most;
  std::vector<api::ReconciledUpstream> out;
  for (const auto& upstream : upstreams) {
    if (!wanted(upstream) || stopping_reconciling_) continue;
    const auto read = [this, name = upstream.name] { return journal::read_send_plan(journal_, name, 0); };
    auto plan = co_await platform::run_on(around_.reader, read);
    if (!plan) co_return plan.error();
    if (!plan->held) {
      out.push_back(shown({upstream.name}));
      continue;
    }
    const auto target = context_->targets.find(upstream.name);
    if (target == context_->targets.end() || reconciler_ != nullptr) continue;  // reloaded, or asked twice
    auto client = upstream.kind == UpstreamKind::ledger ? upstream::ledger::make_client()
                                                        : around_.make_client(upstream);
    flush::Reconciler reconciler({context_, target->second, std::move(client), journal_, committer_,
                                  around_.reader, around_.clock, around_.log, configured});
    reconciler_ = &reconciler;
    auto done = co_await reconciler.run(std::max(Milliseconds(0), until - around_.clock.boot()));
    reconciler_ = nullptr;
    if (!done) co_return done.error();
    out.push_back(shown(*done));
  }
  deliveries_.wake();
  co_return out;
}

void Core::stop_reconciling() {
  stopping_reconciling_ = true;
  if (reconciler_ != nullptr) reconciler_->stop();
}

}  // namespace meterd::app
