#include "agent/api/routes.hpp"

#include <boost/json.hpp>

#include "agent/api/listings.hpp"
#include "agent/api/metrics.hpp"
#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"
#include "platform/run_on.hpp"

namespace meterd::api {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

Response not_allowed(std::string_view allow) {
  auto response = error_response(405, "method_not_allowed", "Use " + std::string(allow) + ".");
  response.headers.emplace_back("Allow", std::string(allow));
  return response;
}

bool is_loopback_host(std::string_view host) {
  const auto port = host.rfind(':');
  if (port != std::string_view::npos && host.find(']', port) == std::string_view::npos)
    host = host.substr(0, port);
  return host == "localhost" || host == "[::1]" ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos);
}

bool is_get(const Request& request) { return request.method == "GET" || request.method == "HEAD"; }

// The one method of a path; empty: there is nothing.
std::string_view method_of(std::string_view path) {
  if (path == "/events" || path == "/operator/flush" || path == "/operator/date" ||
      path == "/operator/reconcile" || path == "/operator/compare" || path == "/operator/invoice" ||
      path == "/operator/withdraw" || path == "/operator/resolve" || path == "/operator/retry" ||
      path == "/operator/credit")
    return "POST";
  for (const auto* known : {"/healthz", "/status", "/metrics", "/operator/buckets", "/operator/balances",
                            "/operator/outbox", "/operator/verify", "/operator/audit", "/operator/backup",
                            "/operator/usages", "/operator/statement", "/operator/doctor"})
    if (path == known) return "GET";
  if (path == chargebee::kDownloadPath) return "GET";
  return {};
}

Response unauthorised_locally() {
  return error_response(
      401, "unauthorised",
      "Use the unix socket as root, as meterd's own user or as a member of an [access] group.");
}

Response unauthorised_by_twilio(const BasicAuth& key) {
  auto response = error_response(
      401, "unauthorised",
      key.has_key()
          ? "Authenticate: HTTP Basic with [api] twilio_account and twilio_token."
          : "Over TCP nobody is let in until [api] twilio_account and twilio_token are set in meterd.toml; "
            "use the unix socket.");
  response.headers.emplace_back("WWW-Authenticate", "Basic realm=\"meterd\"");
  return response;
}

Response unauthorised_over_tcp(const BasicAuth& key) {
  auto response = error_response(
      401, "unauthorised",
      key.has_key()
          ? "Over TCP: HTTP Basic with the key of [api] chargebee_key as the user and an empty password."
          : "Over TCP nobody reports until [api] chargebee_key is set in meterd.toml; use the unix socket.");
  response.headers.emplace_back("WWW-Authenticate", "Basic realm=\"meterd\"");
  return response;
}

}  // namespace

// Events are allowed one by one; the vendors' APIs change and list usages of every subscription, and go to
// those alone who may do everything.
bool Routes::may_report(const Request& request) const {
  if (request.only != nullptr && request.path != "/events") return false;
  if (!request.over_tcp) return request.local || request.only != nullptr;
  const auto& key = twilio::is_api_path(request.path) ? deps_.twilio_key : deps_.tcp_key;
  return is_loopback_host(request.host) && key.allows(request.authorization);
}

// By the header alone.
std::optional<Response> Routes::refusal(const Request& request) const {
  // A web page whose name was pointed at this device must not read it (DNS rebinding).
  // A link is signed, and its name may be a proxy's.
  const bool for_link = request.path == chargebee::kDownloadPath;
  if (request.over_tcp && !for_link && !is_loopback_host(request.host))
    return error_response(421, "misdirected",
                          "Ask for 127.0.0.1, [::1] or localhost: meterd serves this device only.");
  const bool for_operators = request.path.starts_with("/operator/");
  const bool for_twilio = twilio::is_api_path(request.path);
  const bool for_usages = for_twilio || chargebee::is_api_path(request.path);
  const bool for_reporters = request.path == "/events" || for_usages;
  if (request.only != nullptr && (for_operators || for_usages))
    return error_response(403, "not_allowed",
                          "[access] allows events here and nothing else: POST /events, or ask the operator.");
  if (for_reporters && request.over_tcp && !may_report(request))
    return for_twilio ? unauthorised_by_twilio(deps_.twilio_key) : unauthorised_over_tcp(deps_.tcp_key);
  if ((for_operators && !request.local) || (for_reporters && !request.over_tcp && !may_report(request)))
    return unauthorised_locally();
  if (for_usages) return std::nullopt;  // it knows its own paths
  const auto method = method_of(request.path);
  if (method.empty())
    return error_response(404, "not_found",
                          for_operators ? "There is no such operator's verb in this version."
                                        : "There is nothing at this path; see the README.");
  if (method == "GET" ? !is_get(request) : request.method != method) return not_allowed(method);
  return std::nullopt;
}

std::optional<Response> Routes::admit(const Request& request) const {
  auto refused = refusal(request);
  const bool takes_body =
      request.path == "/events" || chargebee::is_api_path(request.path) || twilio::is_api_path(request.path);
  if (!refused && !takes_body) refused = error_response(413, "too_large", "No body is expected here.");
  if (refused) refused = shape(request, std::move(*refused));
  return refused;
}

Response Routes::shape(const Request& request, Response response) {
  if (twilio::is_api_path(request.path)) return twilio::reshape(response);
  return chargebee::is_api_path(request.path) ? chargebee::reshape(response) : response;
}

// Reports are the many: they get no coroutine around their own, and the key is not looked at twice.
asio::awaitable<Response> Routes::answer(const Request& request) {
  const bool is_report = request.path == "/events" && request.method == "POST";
  if (is_report && (request.admitted || may_report(request))) return events_.answer(request);
  const bool is_usages = chargebee::is_api_path(request.path);
  if (is_usages && (request.admitted || may_report(request))) return usages_.answer(request);
  if (twilio::is_api_path(request.path) && (request.admitted || may_report(request)))
    return charges_.answer(request);
  return dispatch(request);
}

asio::awaitable<Response> Routes::dispatch(const Request& request) {
  if (auto refused = refusal(request)) co_return shape(request, std::move(*refused));
  if (request.path == "/healthz") co_return json_response("{\"status\":\"ok\"}");
  if (request.path == "/status") co_return co_await status();
  if (request.path == "/metrics") co_return co_await metrics();
  if (request.path == chargebee::kDownloadPath) co_return co_await downloads_.answer(request);
  co_return co_await operators(request);
}

// In doubt in the journal as long as their answer has not come: until then they are only on their way.
void Routes::show_sending_as_waiting(std::vector<journal::StoredUsage>& rows, bool only_in_doubt) const {
  const auto is_sending = [this](const auto& row) {
    return journal::state_of(row.record) == journal::UsageState::in_doubt &&
           collection_.is_sending(row.sequence);
  };
  if (only_in_doubt) std::erase_if(rows, is_sending);
  for (auto& row : rows)
    if (is_sending(row)) row.record.set_state(journal::v0::WAITING);
}

asio::awaitable<Response> Routes::status() {
  auto gathered = co_await deps_.status();
  if (!gathered) co_return error_response(gathered.error());
  co_return json_response(to_json(*gathered));
}

asio::awaitable<Response> Routes::metrics() {
  auto gathered = co_await deps_.status();
  if (!gathered) co_return error_response(gathered.error());
  co_return Response{200, to_metrics(*gathered), kMetricsType, {}};
}

asio::awaitable<Response> Routes::operators(const Request& request) {
  if (request.path == "/operator/flush") co_return co_await flush(request);
  if (request.path == "/operator/date") co_return co_await date(request);
  if (request.path == "/operator/backup") co_return co_await backup(request);
  if (OperatorUpstreams::has(request)) co_return co_await operator_upstreams_.answer(request);
  if (OperatorUsages::has(request.path)) co_return co_await operator_usages_.answer(request);
  const auto& journal = deps_.journal;
  if (request.path == "/operator/audit") {
    const auto read = [&journal] { return read_audit(journal, limits::kListRowsMax); };
    auto rows = co_await platform::run_on(deps_.reader, read);
    co_return rows ? json_response(audit_json(*rows)) : error_response(rows.error());
  }
  if (request.path == "/operator/buckets") {
    const auto read = [&journal] { return read_buckets(journal, limits::kListRowsMax); };
    auto rows = co_await platform::run_on(deps_.reader, read);
    if (!rows) co_return error_response(rows.error());
    const auto read_slices = [&journal] { return read_undated(journal, limits::kListRowsMax); };
    auto undated = co_await platform::run_on(deps_.reader, read_slices);
    co_return undated ? json_response(buckets_json(*rows, *undated)) : error_response(undated.error());
  }
  if (request.path == "/operator/balances") {
    const auto read = [&journal] { return read_balances(journal, limits::kListRowsMax); };
    auto rows = co_await platform::run_on(deps_.reader, read);
    co_return rows ? json_response(balances_json(*rows)) : error_response(rows.error());
  }
  if (request.path == "/operator/outbox") {
    const auto state = request.parameter("state");
    if (state && *state != "in_doubt")
      co_return error_response(400, "malformed", "state is in_doubt, or none.");
    const auto only = state ? std::optional(journal::Lane::in_doubt) : std::nullopt;
    const auto read = [&journal, only] { return read_outbox(journal, limits::kListRowsMax, only); };
    auto rows = co_await platform::run_on(deps_.reader, read);
    const auto read_held = [&journal] { return journal::read_held(journal); };
    auto held = co_await platform::run_on(deps_.reader, read_held);
    if (!held) co_return error_response(held.error());
    const auto now = journal::moment_of(deps_.clock, journal.boot_number());
    if (rows) show_sending_as_waiting(*rows, only.has_value());
    co_return rows ? json_response(outbox_json(*rows, *held, now)) : error_response(rows.error());
  }
  const auto read = [&journal] { return check_journal(journal); };  // /operator/verify
  auto report = co_await platform::run_on(deps_.reader, read);
  co_return report ? json_response(verify_json(*report)) : error_response(report.error());
}

asio::awaitable<Response> Routes::backup(const Request& request) {
  const auto form = request.parameter("form");
  if (form && *form != "portable") co_return error_response(400, "malformed", "form is portable, or none.");
  // What is counted in memory belongs to it.
  const auto window = co_await committed(deps_.batcher, {});
  if (!window.status) co_return error_response(window.status.error());
  auto stream = deps_.backup(form ? journal::CopyForm::portable : journal::CopyForm::file);
  if (!stream) co_return error_response(stream.error());
  Response out;
  out.content_type = "application/octet-stream";
  out.stream = std::move(*stream);
  co_return out;
}

asio::awaitable<Response> Routes::flush(const Request& request) {
  const auto seal = request.parameter("seal");
  if (seal && *seal != "now") co_return error_response(400, "malformed", "seal is \"now\" or absent.");
  // What is counted in memory is part of what the caller sees: commit it first.
  const auto window = co_await committed(deps_.batcher, {});
  if (!window.status) co_return error_response(window.status.error());
  auto flushed = co_await deps_.flush(seal.has_value());
  if (!flushed) co_return error_response(flushed.error());
  json::array cleared(flushed->cleared.begin(), flushed->cleared.end());
  json::object out{{"sealed", flushed->sealed}, {"cleared", std::move(cleared)}};
  if (!flushed->refused.empty()) out["refused"] = flushed->refused;
  co_return json_response(json::serialize(out));
}

asio::awaitable<Response> Routes::date(const Request& request) {
  const auto boot = parse_unsigned(request.parameter("boot").value_or(""));
  const auto day = UsageDay::parse(request.parameter("day").value_or(""));
  if (!boot || *boot > UINT32_MAX || !day)
    co_return error_response(400, "malformed",
                             "boot is a number of meterctl buckets, day is like 2026-11-22.");
  auto dated = co_await deps_.batcher.date_boot(static_cast<std::uint32_t>(*boot), *day, request.peer);
  if (!dated && dated.error().code == Code::invalid)
    co_return error_response(400, "invalid", dated.error().message + ".");
  if (!dated) co_return error_response(dated.error());
  if (dated->slices == 0)
    co_return error_response(
        404, "not_found",
        "Boot " + std::to_string(*boot) + " has nothing without a day; see meterctl buckets.");
  co_return json_response(json::serialize(json::object{
      {"boot", *boot}, {"usage_day", day->iso()}, {"slices", dated->slices}, {"events", dated->events}}));
}

}  // namespace meterd::api
