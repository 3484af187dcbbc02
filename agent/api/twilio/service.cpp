#include "agent/api/twilio/service.hpp"

namespace meterd::api::twilio {

namespace asio = boost::asio;
using usages::ChargeOrder;

namespace {

// 202, as the vendor answers. `submitted`: it is committed here.
Response accepted(const ChargeOrder& order, const std::vector<bool>& taken) {
  Response response;
  response.status = 202;
  if (order.api == ChargeOrder::Api::preview) {
    response.content_type = "text/plain";
    response.body = "202 Accepted";  // the seed's sample
    return response;
  }
  Quantity total;
  std::string items;
  for (std::size_t i = 0; i < order.items.size(); ++i) {
    const auto& item = order.items[i];
    if (taken[i]) total += item.quantity;
    items += i == 0 ? "{\"sid\":" : ",{\"sid\":";
    append_json_string(items, item.item_price.value());
    items += ",\"quantity\":" + item.quantity.text() + ",\"submitted\":" + (taken[i] ? "true}" : "false}");
  }
  response.body = "{\"total_submitted\":" + total.text() + ",\"billable_items\":[" + items + "]}";
  return response;
}

Response not_now(const Error& error) {
  if (error.code == Code::rejected || error.code == Code::invalid) return to_response({400, error.message});
  const bool later = error.code == Code::retry || error.code == Code::full || error.code == Code::cancelled;
  auto response = to_response({later ? 503U : 500U, error.message});
  if (later) response.headers.emplace_back("Retry-After", "5");
  return response;
}

}  // namespace

asio::awaitable<Response> Service::answer(const Request& request) {
  auto call = parse_call(request);
  if (const auto* error = std::get_if<CallError>(&call)) co_return to_response(*error);
  const auto order = std::get<ChargeOrder>(std::move(call));
  auto taken = co_await collection_.charge(order);
  if (!taken) co_return not_now(taken.error());
  const bool is_preview = order.api == ChargeOrder::Api::preview;
  if (is_preview && !taken->front())
    co_return to_response({404, "meterd.toml lists subscriptions, and not this installation."});
  co_return accepted(order, *taken);
}

}  // namespace meterd::api::twilio
