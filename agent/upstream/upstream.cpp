#include "agent/upstream/upstream.hpp"

#include "agent/base/text.hpp"

// What an upstream that does not have a trait need not have either: nobody asks it. And what a question
// showed where the vendor had no part in it.
namespace meterd::upstream {

using Stage = TransportError::Stage;

HttpRequest Upstream::join(const std::vector<HttpRequest>& creates) const {
  check(creates.size() == 1, "this upstream takes one usage at a time");
  return creates.front();
}

std::vector<Verdict> Upstream::judge_batch(const std::vector<meter::Usage>& usages,
                                           const Exchange& exchange) const {
  check(usages.size() == 1, "this upstream takes one usage at a time");
  return {judge_create(usages.front(), exchange)};
}

HttpRequest Upstream::encode_list(const SubscriptionId&, const std::string&) const {
  check(false, "this upstream lists nothing");
  return {};
}

Answered<ListPage> Upstream::judge_list(const SubscriptionId&, const Exchange&) const {
  check(false, "this upstream lists nothing");
  return {};
}

HttpRequest Upstream::encode_statement(const std::string&) const {
  check(false, "this upstream prints nothing");
  return {};
}

Answered<std::string> Upstream::judge_statement(const Exchange&) const {
  check(false, "this upstream prints nothing");
  return {};
}

std::string_view name_of(Diagnosis::Finding finding) {
  using Finding = Diagnosis::Finding;
  switch (finding) {
    case Finding::fine:
      return "fine";
    case Finding::no_route:
      return "no_route";
    case Finding::no_tls:
      return "no_tls";
    case Finding::tls_time:
      return "tls_time";
    case Finding::foreign:
      return "foreign";
    case Finding::bad_key:
      return "bad_key";
    case Finding::not_allowed:
      return "not_allowed";
    case Finding::not_enabled:
      return "not_enabled";
    case Finding::wrong_address:
      return "wrong_address";
    case Finding::unavailable:
      break;
  }
  return "unavailable";
}

Diagnosis diagnose_lost(const TransportError& lost) {
  using Finding = Diagnosis::Finding;
  const auto seen = std::string(name_of(lost.stage)) + ": " + lost.detail;
  switch (lost.stage) {
    case Stage::resolve:
      return {Finding::no_route, seen, "let the device reach a name server, or correct the host in `url`",
              false};
    case Stage::connect:
      return {Finding::no_route, seen,
              "check the device's network, its firewall, and the host and port in `url`", false};
    case Stage::tls:
      if (lost.is_of_certificate_time)
        return {Finding::tls_time, seen,
                "compare the device's clock with the right time; if it is right, the certificate is not",
                false};
      return {
          Finding::no_tls, seen,
          "check the host in `url` and the package ca-certificates; a proxy in between may answer instead",
          false};
    case Stage::send:
    case Stage::receive:
      break;
  }
  return {Finding::unavailable, seen, "ask again later; if it stays, check what is between: proxy, MTU",
          false};
}

Diagnosis diagnose_foreign(const HttpResponse& response) {
  const auto status = std::to_string(response.status);
  const bool is_portal = response.status == 511;  // Network Authentication Required
  if (response.status == 429 || (response.status >= 500 && !is_portal))
    return {Diagnosis::Finding::unavailable, status + " without the vendor's error",
            "ask again later; if it stays, see who answers: a proxy in between, or the vendor", false};
  const auto* type = response.header("content-type");
  return {Diagnosis::Finding::foreign,
          status + " without the vendor's form" + (type == nullptr ? "" : " (" + one_line(*type, 60) + ")"),
          "something else answers: a captive portal or a proxy in between, or a wrong `url`", false};
}

}  // namespace meterd::upstream
