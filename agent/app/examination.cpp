// What `meterctl doctor` asks the upstreams.
#include "agent/app/config_plan.hpp"
#include "agent/app/inquiries.hpp"
#include "agent/app/wiring.hpp"
#include "platform/run_on.hpp"

namespace meterd::app {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kMostUsedShown = 10;

// By how much our clock is ahead of the one that answered.
std::optional<Milliseconds> clock_ahead(const upstream::Exchange& exchange, WallTime now) {
  const auto* response = std::get_if<upstream::HttpResponse>(&exchange);
  const auto theirs = response == nullptr ? std::nullopt : response->date();
  if (!theirs) return std::nullopt;
  return now.since_epoch - theirs->since_epoch;
}

}  // namespace

// One that the upstream can know of, to ask with.
SubscriptionId Inquiries::known_subscription(const UpstreamName& upstream,
                                             const journal::Lifetimes& lifetimes) const {
  for (const auto& meter : deps_.config.meters)
    if (meter.upstream == upstream && meter.subscription) return *meter.subscription;
  return lifetimes.most.empty() ? SubscriptionId() : lifetimes.most.front().subscription;
}

asio::awaitable<Result<std::vector<api::ExaminedUpstream>>> Inquiries::examine() {
  if (is_examining_) co_return Error{Code::retry, "an examination is under way; wait for it"};
  is_examining_ = true;
  auto found = co_await examine_each();
  is_examining_ = false;
  co_return found;
}

asio::awaitable<Result<std::vector<api::ExaminedUpstream>>> Inquiries::examine_each() {
  using Finding = upstream::Diagnosis::Finding;
  std::vector<api::ExaminedUpstream> out;
  const auto upstreams = deps_.config.upstreams;  // a reload may take them away
  for (const auto& upstream : upstreams) {
    if (stopping_) co_return Error{Code::cancelled, "meterd is stopping"};
    const auto target = deps_.context->targets.find(upstream.name);
    if (target == deps_.context->targets.end()) continue;
    const auto vendor = target->second.vendor;
    const auto read = [&journal = deps_.journal, name = upstream.name] {
      return journal::read_lifetimes(journal, name, kMostUsedShown);
    };
    auto lifetimes = co_await platform::run_on(deps_.around.reader, read);
    if (!lifetimes) co_return lifetimes.error();
    const auto subscription = known_subscription(upstream.name, *lifetimes);
    const auto request = vendor->encode_probe(subscription);
    examining_ = client_for(upstream);
    const auto client = examining_;
    const auto answer = co_await client->exchange(request, false);
    examining_.reset();
    auto& found = out.emplace_back();
    found.name = upstream.name.value();
    found.kind = std::string(name_of(upstream.kind));
    found.diagnosis = vendor->judge_probe(subscription, answer);
    // A captive portal's clock says nothing.
    const bool is_vendor = found.diagnosis.finding != Finding::foreign;
    if (is_vendor) found.clock_ahead = clock_ahead(answer, deps_.around.clock.wall().time);
    found.plan = plan_of(deps_.config, upstream);
    found.lifetimes = std::move(*lifetimes);
  }
  co_return out;
}

}  // namespace meterd::app
