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

// One that the upstream can know of, to ask with.
SubscriptionId known_subscription(const Config& config, const UpstreamName& upstream,
                                  const journal::Lifetimes& lifetimes) {
  for (const auto& meter : config.meters)
    if (meter.upstream == upstream && meter.subscription) return *meter.subscription;
  return lifetimes.most.empty() ? SubscriptionId() : lifetimes.most.front().subscription;
}

}  // namespace

asio::awaitable<Result<std::vector<api::ExaminedUpstream>>> Inquiries::examine(Milliseconds at_most) {
  if (is_examining_) co_return Error{Code::retry, "an examination is under way; wait for it"};
  is_examining_ = true;
  auto found = co_await examine_each(deps_.config, deps_.context, deps_.around.clock.boot() + at_most);
  is_examining_ = false;
  co_return found;
}

// By one configuration, whatever a reload puts in its place meanwhile.
asio::awaitable<Result<std::vector<api::ExaminedUpstream>>> Inquiries::examine_each(
    Config config, std::shared_ptr<const flush::SealContext> context, BootTime until) {
  std::vector<api::ExaminedUpstream> out;
  for (const auto& upstream : config.upstreams) {
    const auto target = context->targets.find(upstream.name);
    if (target == context->targets.end()) continue;
    auto& found = out.emplace_back();
    found.name = upstream.name.value();
    found.kind = std::string(name_of(upstream.kind));
    found.plan = plan_of(config, upstream);
    auto lifetimes = co_await read_all_lifetimes(upstream.name);
    if (!lifetimes) co_return lifetimes.error();
    found.lifetimes = std::move(*lifetimes);
    if (stopping_) co_return Error{Code::cancelled, "meterd is stopping"};
    if (deps_.around.clock.boot() >= until) {
      found.diagnosis = {upstream::Diagnosis::Finding::unavailable,
                         "it was not asked: the others took too long", "mend those first, and ask again",
                         false};
      continue;
    }
    const auto& vendor = *target->second.vendor;
    const auto subscription = known_subscription(config, upstream.name, found.lifetimes);
    const auto request = vendor.encode_probe(subscription);
    examining_ = client_for(upstream);
    const auto client = examining_;
    const auto answer = co_await client->exchange(request, false);
    examining_.reset();
    found.diagnosis = vendor.judge_probe(subscription, answer);
    // A captive portal's clock says nothing.
    if (found.diagnosis.is_vendor) found.clock_ahead = clock_ahead(answer, deps_.around.clock.wall().time);
  }
  co_return out;
}

asio::awaitable<Result<journal::Lifetimes>> Inquiries::read_all_lifetimes(UpstreamName upstream) {
  journal::Lifetimes lifetimes;
  SubscriptionId after;
  while (!stopping_) {
    const auto read = [&journal = deps_.journal, &upstream, &after, &lifetimes] {
      return journal::read_lifetimes(journal, upstream, after, kMostUsedShown, lifetimes);
    };
    auto last = co_await platform::run_on(deps_.around.reader, read);
    if (!last) co_return last.error();
    if (!*last) break;
    after = **last;
  }
  co_return lifetimes;
}

}  // namespace meterd::app
