#include "agent/api/chargebee/change_answer.hpp"

#include <utility>

#include "agent/api/chargebee/error.hpp"

namespace meterd::api::chargebee {

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

}  // namespace

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

}  // namespace meterd::api::chargebee
