#include "agent/app/deliveries.hpp"

#include <algorithm>

#include "agent/app/config_reload.hpp"
#include "agent/upstream/ledger/ledger.hpp"

namespace meterd::app {

namespace asio = boost::asio;

namespace {
constexpr Milliseconds kPoliteEnd{2'000};  // of an exchange whose upstream is to be replaced
constexpr Milliseconds kCutEnd{5'000};

const auto has_ended = [](const auto& delivery) { return delivery->task->running() == 0; };
}  // namespace

void Deliveries::add(const UpstreamConfig& upstream, const std::shared_ptr<const flush::SealContext>& context,
                     const flush::FlushStats& so_far) {
  auto client =
      upstream.kind == UpstreamKind::ledger ? upstream::ledger::make_client() : around_.make_client(upstream);
  auto delivery = std::make_shared<Delivery>();
  delivery->config = upstream;
  delivery->flusher = std::make_unique<flush::Flusher>(
      flush::Flusher::Dependencies{context, context->targets.at(upstream.name), std::move(client), journal_,
                                   committer_, around_.reader, around_.clock, around_.random, around_.log},
      so_far);
  delivery->task = std::make_unique<platform::TaskGroup>(around_.loop, around_.clock);
  delivery->task->spawn(delivery->flusher->run());
  deliveries_.push_back(std::move(delivery));
}

void Deliveries::start(const std::vector<UpstreamConfig>& upstreams,
                       const std::shared_ptr<const flush::SealContext>& context) {
  for (const auto& upstream : upstreams) add(upstream, context, {});
}

asio::awaitable<std::vector<UpstreamName>> Deliveries::replace(
    const std::vector<UpstreamConfig>& upstreams, const std::shared_ptr<const flush::SealContext>& context) {
  const auto stays = [&](const std::shared_ptr<Delivery>& delivery) {
    return std::any_of(upstreams.begin(), upstreams.end(),
                       [&](const UpstreamConfig& next) { return same_endpoint(delivery->config, next); });
  };
  const auto first_gone = std::stable_partition(deliveries_.begin(), deliveries_.end(), stays);
  ending_.assign(first_gone, deliveries_.end());
  deliveries_.erase(first_gone, deliveries_.end());
  const auto gone = ending_;  // what a stop may look at meanwhile stays as it is
  for (const auto& delivery : gone) delivery->flusher->stop();
  for (const auto& delivery : gone) {
    if (!co_await delivery->task->join(kPoliteEnd)) delivery->flusher->abandon();
    while (!stopping_ && !co_await delivery->task->join(kCutEnd)) delivery->flusher->abandon();
  }
  std::vector<UpstreamName> started;
  for (const auto& upstream : upstreams) {
    const auto same_name = [&](const std::shared_ptr<Delivery>& delivery) {
      return delivery->config.name == upstream.name;
    };
    if (stopping_ || std::any_of(deliveries_.begin(), deliveries_.end(), same_name)) continue;
    const auto before = std::find_if(gone.begin(), gone.end(), same_name);
    add(upstream, context, before == gone.end() ? flush::FlushStats{} : (*before)->flusher->stats());
    started.push_back(upstream.name);
  }
  if (std::all_of(gone.begin(), gone.end(), has_ended)) ending_.clear();
  replaced_->notify();
  co_return started;
}

std::vector<std::shared_ptr<Deliveries::Delivery>> Deliveries::all() const {
  auto out = deliveries_;
  out.insert(out.end(), ending_.begin(), ending_.end());
  return out;
}

void Deliveries::wake() {
  for (const auto& delivery : deliveries_) delivery->flusher->wake();
}

void Deliveries::stop() {
  stopping_ = true;
  for (const auto& delivery : all()) delivery->flusher->stop();
}

asio::awaitable<bool> Deliveries::join(Milliseconds at_most) {
  const auto end = around_.clock.boot() + at_most;
  const auto left = [&] { return std::max(Milliseconds(0), end - around_.clock.boot()); };
  bool ended = true;
  const auto deliveries = deliveries_;
  for (const auto& delivery : deliveries) ended &= co_await delivery->task->join(left());
  while (!ending_.empty() && left() > Milliseconds(0)) co_await replaced_->wait_for(left());
  co_return ended&& ending_.empty();
}

void Deliveries::abandon() {
  for (const auto& delivery : all()) delivery->flusher->abandon();
}

std::vector<const flush::Flusher*> Deliveries::flushers() const {
  std::vector<const flush::Flusher*> out;
  for (const auto& delivery : all()) out.push_back(delivery->flusher.get());
  return out;
}

bool Deliveries::is_sending(std::uint64_t sequence) const {
  const auto all = flushers();
  return std::any_of(all.begin(), all.end(),
                     [sequence](const auto* flusher) { return flusher->sending().contains(sequence); });
}

}  // namespace meterd::app
