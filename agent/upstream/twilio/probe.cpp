// Whether an account knows us and has what usage reporting needs: a create without anything to charge. It is
// refused for what is missing, or accepted as nothing; what is checked before that is what is asked for here.
#include "agent/base/exact_json.hpp"
#include "agent/upstream/twilio/outcome.hpp"

namespace meterd::upstream::twilio {
namespace {

using Finding = Diagnosis::Finding;

Diagnosis judge_refusal(unsigned status, const std::string& detail) {
  switch (status) {
    case 400:
    case 422:
      return {Finding::fine, "the account is known and may report usage", {}};
    case 401:
      return {Finding::bad_key, detail, "correct `account` and `token`: an API key needs its own secret"};
    case 403:
      return {Finding::not_enabled, detail,
              "have Twilio turn on manual usage reporting for this Add-on; if it is on, give `account` and "
              "`token` a key that may report"};
    case 404:
      return {Finding::wrong_address, detail,
              "the account is known; correct the installation's sid (XE...), or have the Add-on installed"};
    case 405:
    case 415:
      return {Finding::wrong_address, detail, "correct `url` or `kind`: V1 and Preview are two addresses"};
    default:
      if (status == 429) return {Finding::unavailable, detail, "nothing to do: it goes on trying"};
      if (status >= 500)
        return {Finding::unavailable, detail,
                "ask again later; what is sent meanwhile may be in doubt: see meterctl outbox --in-doubt"};
      return {Finding::unavailable, detail, "show this answer to Twilio's support"};
  }
}

}  // namespace

Diagnosis judge_probe(const SubscriptionId& installation, const Exchange& exchange) {
  if (const auto* lost = std::get_if<TransportError>(&exchange)) return diagnose_lost(*lost);
  const auto& response = std::get<HttpResponse>(exchange);
  if (response.status == kAccepted) {
    if (!may_be_previews(response)) return diagnose_foreign(response);
    auto taken = judge_refusal(400, {});
    const auto root = ExactJson::parse(response.body);
    taken.is_vendor = root && root->member("billable_items") != nullptr;  // Preview's body is not documented
    return taken;
  }
  const auto detail = vendor_error_in(response);
  if (detail && response.status == 404 && installation.empty())
    return {
        Finding::fine, "the account is known; whether it may report shows with the first installation", {}};
  return detail ? judge_refusal(response.status, *detail) : diagnose_foreign(response);
}

}  // namespace meterd::upstream::twilio
