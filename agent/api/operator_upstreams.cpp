#include "agent/api/operator_upstreams.hpp"

#include <boost/json.hpp>

#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"

namespace meterd::api {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr Milliseconds kAskingTime{3'000};  // an answer comes soon, and the operator's program asks on
// And one exchange, of at most a minute: within the time that the operator's program gives upstreams.
constexpr Milliseconds kExaminingTime{100'000};
constexpr std::size_t kInvoiceBytesMax = 200;

std::optional<UpstreamName> upstream_in(const Request& request) {
  const auto name = request.parameter("upstream");
  return name ? std::optional(UpstreamName(*name)) : std::nullopt;
}

std::string reconciled_json(const std::vector<flush::Reconciled>& upstreams) {
  json::array out;
  for (const auto& one : upstreams)
    out.push_back(json::object{{"upstream", one.upstream.value()},
                               {"held", one.held},
                               {"more", one.more},
                               {"looked_up", one.looked_up},
                               {"delivered", one.delivered},
                               {"waiting", one.waiting},
                               {"parked", one.parked},
                               {"in_doubt", one.in_doubt},
                               {"error", one.error},
                               {"retry_after_ms", one.retry_after.count()}});
  return json::serialize(json::object{{"upstreams", std::move(out)}});
}

std::string compared_json(const flush::Compared& compared) {
  json::array differences;
  for (const auto& one : compared.differences)
    differences.push_back(json::object{{"kind", flush::name_of(one.kind)},
                                       {"subscription_id", one.subscription.value()},
                                       {"id", one.id.value()},
                                       {"detail", one.detail}});
  return json::serialize(json::object{{"upstream", compared.upstream.value()},
                                      {"run", compared.run},
                                      {"more", compared.more},
                                      {"comparable", compared.can_list},
                                      {"subscriptions", compared.subscriptions},
                                      {"usages", compared.usages},
                                      {"forgotten", compared.forgotten},
                                      {"invoices_noted", compared.invoiced},
                                      {"differences", std::move(differences)},
                                      {"error", compared.error},
                                      {"retry_after_ms", compared.retry_after.count()}});
}

}  // namespace

bool OperatorUpstreams::has(const Request& request) {
  return request.path == "/operator/reconcile" || request.path == "/operator/doctor" ||
         request.path == "/operator/compare" ||
         (request.path == "/operator/statement" && request.parameter("upstream"));
}

asio::awaitable<Response> OperatorUpstreams::answer(const Request& request) {
  if (request.path == "/operator/reconcile") co_return co_await reconcile(request);
  if (request.path == "/operator/compare") co_return co_await compare(request);
  if (request.path == "/operator/doctor") co_return co_await doctor();
  co_return co_await statement(request);
}

asio::awaitable<Response> OperatorUpstreams::reconcile(const Request& request) {
  auto only = upstream_in(request);
  auto done = co_await deps_.reconcile(std::move(only), request.peer, kAskingTime);
  if (!done && done.error().code == Code::rejected)
    co_return error_response(404, "not_found", done.error().message);
  co_return done ? json_response(reconciled_json(*done)) : error_response(done.error());
}

asio::awaitable<Response> OperatorUpstreams::compare(const Request& request) {
  auto upstream = upstream_in(request);
  const auto run = parse_unsigned(request.parameter("run").value_or("0"));
  if (!upstream || !run) co_return error_response(400, "malformed", "Say which upstream; run is a number.");
  auto done = co_await deps_.compare(std::move(*upstream), *run, kAskingTime);
  co_return done ? json_response(compared_json(*done)) : error_response(done.error());
}

asio::awaitable<Response> OperatorUpstreams::doctor() {
  auto examined = co_await deps_.examine(kExaminingTime);
  if (!examined) co_return error_response(examined.error());
  auto status = co_await deps_.status();
  co_return status ? json_response(doctor_json(*status, *examined)) : error_response(status.error());
}

asio::awaitable<Response> OperatorUpstreams::statement(const Request& request) {
  auto invoice = request.parameter("invoice").value_or("");
  if (!is_clean_text(invoice, kInvoiceBytesMax))
    co_return error_response(400, "malformed", "Say which invoice: an upstream prints nothing else.");
  auto upstream = *upstream_in(request);
  auto document = co_await deps_.statement(std::move(upstream), std::move(invoice));
  if (!document) co_return error_response(document.error());
  auto response = json_response(std::move(*document));
  response.content_type = "application/pdf";
  co_return response;
}

}  // namespace meterd::api
