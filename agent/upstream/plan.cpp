#include "agent/upstream/plan.hpp"

#include <algorithm>

namespace meterd::upstream {
namespace {

constexpr std::int64_t kDayS = 86'400;

std::int64_t parts_of(std::int64_t whole, std::int64_t part) { return (whole + part - 1) / part; }

}  // namespace

std::string_view meaning_of(Deadline::Kind kind) {
  switch (kind) {
    case Deadline::Kind::answer_lost:
      return "a usage whose answer is lost is in doubt: the upstream cannot be asked for it";
    case Deadline::Kind::key_forgotten:
      return "the upstream forgets a request's key: the usage is looked up by its id first";
    case Deadline::Kind::age_refused:
      return "the upstream refuses a usage of that age";
    case Deadline::Kind::lifetime_used:
      break;
  }
  return "a subscription has had all the usages that the upstream takes for it, ever";
}

std::int64_t Plan::usages_in(Seconds time) const {
  return parts_of(time.count(), seal_interval.count()) * item_prices;
}

Plan plan_of(const PlanInput& input) {
  const auto& traits = input.traits;
  Plan plan;
  plan.seal_interval = Seconds(std::max<std::int64_t>(1, input.seal.interval));
  plan.item_prices = input.item_prices;
  plan.seals_per_day = kDayS / plan.seal_interval.count();
  plan.usages_per_day = plan.seals_per_day * plan.item_prices;
  const auto batch = std::max<std::int64_t>(1, static_cast<std::int64_t>(traits.batch));
  plan.requests_per_day = plan.seals_per_day * parts_of(plan.item_prices, batch);
  plan.after_interval = Seconds(input.seal.delay) + input.phase;
  plan.lifetime_limit = traits.lifetime_limit;
  if (plan.lifetime_limit > 0 && plan.item_prices > 0)
    plan.lasts = plan.lifetime_limit / plan.item_prices * plan.seal_interval;

  using Kind = Deadline::Kind;
  if (!traits.idempotent && !traits.read_back) plan.deadlines.push_back({Kind::answer_lost, Seconds(0)});
  if (traits.key_window) plan.deadlines.push_back({Kind::key_forgotten, *traits.key_window});
  if (traits.latest_age) plan.deadlines.push_back({Kind::age_refused, *traits.latest_age});
  if (plan.lasts) plan.deadlines.push_back({Kind::lifetime_used, *plan.lasts});
  std::stable_sort(plan.deadlines.begin(), plan.deadlines.end(),
                   [](const Deadline& a, const Deadline& b) { return a.after < b.after; });
  return plan;
}

}  // namespace meterd::upstream
