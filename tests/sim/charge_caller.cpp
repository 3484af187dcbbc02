#include "tests/sim/charge_caller.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace meterd::sim {

namespace asio = boost::asio;
using Api = usages::ChargeOrder::Api;

namespace {

using Answer = std::function<void(const Result<std::vector<bool>>&)>;

asio::awaitable<void> ask(usages::Collection& collection, usages::ChargeOrder order, Answer answer) {
  const auto taken = co_await collection.charge(std::move(order));
  answer(taken);
}

Quantity quantity_of(std::int64_t milli) {
  const auto thousandth = *Quantity::parse("0.001");
  const auto size = *Quantity::of(static_cast<std::uint64_t>(std::abs(milli))).times(thousandth);
  return milli < 0 ? -size : size;
}

}  // namespace

void ChargeCaller::begin() {
  deps_.world.in(draws_.span(Milliseconds(1'000), 2 * habits_.interval), [this] {
    if (!making_) return;
    call();
    begin();
  });
}

void ChargeCaller::call() {
  if (!deps_.machine.running()) return;
  usages::ChargeOrder order;
  order.api = habits_.api;
  order.installation = SubscriptionId(habits_.installation);
  std::vector<Oracle::Id> claims;
  const auto count = habits_.api == Api::preview ? 1 : draws_.between(1, habits_.burst);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& [sid, series] = draws_.pick(habits_.items);
    auto milli = draws_.percent(50) ? 1'000 * draws_.between(1, 20) : draws_.between(1, 5'000);
    if (draws_.percent(habits_.credit_percent)) milli = -milli;
    order.items.push_back({ItemPriceId(sid), quantity_of(milli)});
    claims.push_back(deps_.oracle.claim({series}, milli));
    deps_.oracle.attempt(claims.back(), deps_.here());
  }
  deps_.world.note(habits_.name + " charges " + std::to_string(count) + " items");
  deps_.on_send();
  Answer answer = [this, claims](const Taken& taken) { take_answer(claims, taken); };
  auto asked = ask(deps_.machine.core().collection(), std::move(order), std::move(answer));
  asio::co_spawn(deps_.machine.loop(), std::move(asked), asio::detached);
}

void ChargeCaller::take_answer(const std::vector<Oracle::Id>& claims, const Taken& taken) {
  deps_.world.note(habits_.name + " is answered: " + (taken ? "taken" : taken.error().message));
  for (const auto claim : claims)
    if (taken)
      deps_.oracle.confirm(claim, Oracle::When::now);
    else
      deps_.oracle.refuse_attempt(claim);
  accepted_ += taken ? claims.size() : 0;
}

}  // namespace meterd::sim
