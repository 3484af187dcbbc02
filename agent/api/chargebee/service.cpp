#include "agent/api/chargebee/service.hpp"

#include <utility>

#include "agent/api/chargebee/answers.hpp"
#include "agent/api/chargebee/filters.hpp"

namespace meterd::api::chargebee {

namespace asio = boost::asio;

namespace {

constexpr const char* kRetryAfterFull = "5";  // seconds: room comes with a commit or a flush

// Chargebee documents no code for several of these (facts of its public documents): the fitting ones.
ApiError error_of(const usages::Refusal& refusal) {
  using usages::Why;
  const auto error = [&](unsigned status, const char* code) {
    return ApiError{status, code, refusal.message, refusal.param};
  };
  switch (refusal.why) {
    case Why::key_reused:
      return error(422, "unable_to_process_request");
    case Why::unknown_subscription:
    case Why::not_found:
      return error(404, "resource_not_found");
    case Why::unknown_item_price:
    case Why::not_metered:
      return error(400, "param_wrong_value");
    case Why::duplicate_id:
    case Why::date_taken:
      return error(400, "duplicate_entry");
    case Why::lifetime_limit:
      return error(400, "resource_limit_exhausted");
    case Why::invoiced:
    case Why::in_doubt:
    case Why::not_changeable:
      break;
  }
  return error(409, "invalid_state_for_request");
}

// Nothing was changed, or it is not known to be on the disk: the same request again is safe with its key or
// its id.
Response not_now(const Error& error) {
  const bool later = error.code == Code::retry || error.code == Code::full || error.code == Code::cancelled;
  auto response = to_response({later ? 503U : 500U, later ? "internal_temporary_error" : "internal_error",
                               error.message + "; send it again with the same id and key"});
  if (later) response.headers.emplace_back("Retry-After", kRetryAfterFull);
  return response;
}

Response changed(Result<usages::Change> done) {
  if (!done) return not_now(done.error());
  if (done->refusal) return to_response(error_of(*done->refusal));
  Response response;
  response.body = std::move(done->answer);
  if (done->replayed) response.headers.emplace_back("chargebee-idempotency-replayed", "true");
  return response;
}

}  // namespace

asio::awaitable<Response> Service::answer(const Request& request) {
  auto call = parse_call(request);
  if (auto* one = std::get_if<Create>(&call)) co_return co_await create(std::move(*one));
  if (auto* one = std::get_if<Retrieve>(&call)) co_return co_await retrieve(std::move(*one));
  if (auto* one = std::get_if<Delete>(&call)) co_return co_await remove(std::move(*one));
  if (auto* one = std::get_if<List>(&call)) co_return co_await list(std::move(*one));
  if (const auto* error = std::get_if<ApiError>(&call)) co_return to_response(*error);
  co_return to_response(not_found("invoice"));
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
  const auto order = call.query.order;
  auto page = co_await collection_.list(std::move(call.query));
  if (!page) co_return not_now(page.error());
  Response response;
  response.body = list_answer(page->usages, page->next ? offset_of(order, *page->next) : "");
  co_return response;
}

}  // namespace meterd::api::chargebee
