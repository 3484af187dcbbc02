// Whether a site knows our key and has what metered billing needs: a list of one usage bills nothing and is
// refused where a create would be. The vendor's page does not say which code a site gives whose Usages API is
// off ("not enabled for live sites by default"); configuration_incompatible and request_blocked are its two
// codes for what a site is not set up for (its OpenAPI document).
#include "agent/base/text.hpp"
#include "agent/upstream/chargebee/outcome.hpp"

namespace meterd::upstream::chargebee {
namespace {

using Finding = Diagnosis::Finding;

constexpr const char* kEnable =
    "turn on Metered Billing in the site's settings, and have Chargebee's support enable the Usages API: it "
    "is off on live sites until they do";

Diagnosis judge_refusal(unsigned status, const std::string& code, const std::string& detail) {
  if (code == "configuration_incompatible" || code == "request_blocked")
    return {Finding::not_enabled, detail, kEnable};
  if (code == "site_not_found")
    return {Finding::wrong_address, detail, "correct the site in `url`: https://SITE.chargebee.com/api/v2"};
  if (status == 401)
    return {Finding::bad_key, detail, "give `key` an API key of this site (test and live sites differ)"};
  if (status == 403)
    return {Finding::not_allowed, detail, "give `key` an API key with full access: this one may not do it"};
  if (status == 404 || status == 405)
    return {Finding::wrong_address, detail, "correct the path in `url`: https://SITE.chargebee.com/api/v2"};
  if (status == 429 || status >= 500)
    return {Finding::unavailable, detail, "nothing to do: it goes on trying"};
  return {Finding::unavailable, detail, "show this answer to Chargebee's support"};
}

}  // namespace

Diagnosis judge_probe(const Exchange& exchange) {
  if (const auto* lost = std::get_if<TransportError>(&exchange)) return diagnose_lost(*lost);
  const auto& response = std::get<HttpResponse>(exchange);
  const auto answer = read_answer(response.body);
  if (response.status == 200 && answer && answer->is_list)
    return {Finding::fine, "the key is known and usages can be listed", {}};
  const auto* code = answer ? text_of(answer->root, "api_error_code") : nullptr;
  if (code == nullptr || response.status < 400) return diagnose_foreign(response);
  return judge_refusal(response.status, *code, judge_error(response, answer).detail);
}

}  // namespace meterd::upstream::chargebee
