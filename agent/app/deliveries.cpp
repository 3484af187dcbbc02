#include "agent/app/deliveries.hpp"

#include <algorithm>
#include <map>

#include "agent/app/config_reload.hpp"
#include "agent/upstream/ledger/ledger.hpp"

namespace meterd::app {

namespace asio = boost::asio;

namespace {
constexpr Milliseconds kPoliteEnd{2'000};  // of an exchange whose upstream is to be replaced
constexpr Milliseconds kCutEnd{5'000};
}  // namespace

void Deliveries::add(const UpstreamConfig& upstream, const std::shared_ptr<const flush::SealContext>& context,
                     const flush::FlushStats& so_far) {
  auto client =
      upstream.kind == UpstreamKind::ledger ? upstream::ledger::make_client() : around_.make_client(upstream);
  auto delivery = std::make_unique<Delivery>();
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
  const auto stays = [&](const std::unique_ptr<Delivery>& delivery) {
    return std::any_of(upstreams.begin(), upstreams.end(),
                       [&](const UpstreamConfig& next) { return same_endpoint(delivery->config, next); });
  };
  const auto first_gone = std::stable_partition(deliveries_.begin(), deliveries_.end(), stays);
  std::vector<std::unique_ptr<Delivery>> gone(std::make_move_iterator(first_gone),
                                              std::make_move_iterator(deliveries_.end()));
  deliveries_.erase(first_gone, deliveries_.end());
  for (auto& delivery : gone) delivery->flusher->stop();
  std::map<UpstreamName, flush::FlushStats> so_far;
  for (auto& delivery : gone) {
    auto patience = kPoliteEnd;
    while (!co_await delivery->task->join(patience)) {
      delivery->flusher->abandon();
      patience = kCutEnd;
    }
    so_far[delivery->config.name] = delivery->flusher->stats();
  }
  std::vector<UpstreamName> started;
  for (const auto& upstream : upstreams) {
    const auto same_name = [&](const std::unique_ptr<Delivery>& delivery) {
      return delivery->config.name == upstream.name;
    };
    if (stopping_ || std::any_of(deliveries_.begin(), deliveries_.end(), same_name)) continue;
    add(upstream, context, so_far[upstream.name]);
    started.push_back(upstream.name);
  }
  co_return started;
}

void Deliveries::wake() {
  for (auto& delivery : deliveries_) delivery->flusher->wake();
}

void Deliveries::stop() {
  stopping_ = true;
  for (auto& delivery : deliveries_) delivery->flusher->stop();
}

asio::awaitable<bool> Deliveries::join(Milliseconds at_most) {
  bool all = true;
  const auto end = around_.clock.boot() + at_most;
  for (auto& delivery : deliveries_)
    all &= co_await delivery->task->join(std::max(Milliseconds(0), end - around_.clock.boot()));
  co_return all;
}

void Deliveries::abandon() {
  for (auto& delivery : deliveries_) delivery->flusher->abandon();
}

std::vector<const flush::Flusher*> Deliveries::flushers() const {
  std::vector<const flush::Flusher*> out;
  for (const auto& delivery : deliveries_) out.push_back(delivery->flusher.get());
  return out;
}

}  // namespace meterd::app
