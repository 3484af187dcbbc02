#include "agent/api/chargebee/service.hpp"

#include <utility>

#include "agent/api/chargebee/answers.hpp"
#include "agent/api/chargebee/change_answer.hpp"
#include "agent/api/chargebee/filters.hpp"

namespace meterd::api::chargebee {

namespace asio = boost::asio;

asio::awaitable<Response> Service::answer(const Request& request) {
  auto call = parse_call(request);
  if (auto* one = std::get_if<Create>(&call)) co_return co_await create(std::move(*one));
  if (auto* one = std::get_if<Retrieve>(&call)) co_return co_await retrieve(std::move(*one));
  if (auto* one = std::get_if<Delete>(&call)) co_return co_await remove(std::move(*one));
  if (auto* one = std::get_if<List>(&call)) co_return co_await list(std::move(*one));
  if (auto* one = std::get_if<Pdf>(&call)) co_return co_await downloads_.link(std::move(*one));
  co_return to_response(std::get<ApiError>(call));
}

asio::awaitable<Response> Service::create(Create call) {
  auto done = co_await collection_.create(std::move(call.draft), std::move(call.key), usage_answer);
  co_return changed(std::move(done));
}

asio::awaitable<Response> Service::remove(Delete call) {
  usages::Deletion deletion{std::move(call.subscription), std::move(call.id)};
  auto done = co_await collection_.remove(std::move(deletion), std::move(call.key), usage_answer);
  co_return changed(std::move(done));
}

asio::awaitable<Response> Service::retrieve(Retrieve call) {
  auto found = co_await collection_.find(std::move(call.subscription), std::move(call.id));
  if (!found) co_return not_now(found.error());
  if (!found->has_value()) co_return to_response(not_found("usage"));
  Response response;
  response.body = usage_answer((*found)->record);
  co_return response;
}

asio::awaitable<Response> Service::list(List call) {
  usages::Collection::Print print = [order = call.query.order](const journal::UsagePage& page) {
    return list_answer(page.usages, page.next ? offset_of(order, *page.next) : "");
  };
  auto text = co_await collection_.list(std::move(call.query), std::move(print));
  if (!text) co_return not_now(text.error());
  Response response;
  response.body = std::move(*text);
  co_return response;
}

}  // namespace meterd::api::chargebee
