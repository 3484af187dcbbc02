// What Chargebee's answers mean (error codes: the vendor's public OpenAPI document). Two rules keep a device
// behind bad links honest: only a usage that equals ours is a receipt, and only a JSON object with the
// vendor's own error code is a refusal. Whatever a captive portal, a proxy or a broken gateway says teaches
// nothing and is tried again.
#include "agent/upstream/chargebee/outcome.hpp"

#include <array>

#include "agent/base/text.hpp"

namespace meterd::upstream::chargebee {
namespace {

struct Comparison {
  enum class Content : std::uint8_t { not_ours, same, different };
  Content content = Content::not_ours;
  std::string detail;
  std::string resource_version;
  std::optional<Quantity> quantity = {};  // theirs, of the same subscription and item price
  bool invoiced = false;
};

Comparison compare(const meter::Usage& ours, const Answer& answer) {
  using Content = Comparison::Content;
  const std::string* id = text_of(answer.usage(), "id");
  const std::string* subscription = text_of(answer.usage(), "subscription_id");
  const std::string* item_price = text_of(answer.usage(), "item_price_id");
  const std::string* usage_date = text_of(answer.usage(), "usage_date", Scalar::Kind::number);
  const std::string* quantity = text_of(answer.usage(), "quantity");
  if (quantity == nullptr) quantity = text_of(answer.usage(), "quantity", Scalar::Kind::number);
  if (!answer.has_usage() || !id || !subscription || !item_price || !usage_date || !quantity)
    return {Content::not_ours, "not a usage: captive portal or proxy?", {}};
  if (*id != ours.id.value())
    return {Content::not_ours, "a usage with another id: captive portal or proxy?", {}};

  std::string differs;
  const auto expect = [&differs](bool equal, std::string_view field) {
    if (!equal) differs.append(differs.empty() ? "" : ", ").append(field);
  };
  expect(*subscription == ours.series.subscription.value(), "subscription_id");
  expect(*item_price == ours.series.item_price.value(), "item_price_id");
  expect(*usage_date == std::to_string(ours.usage_date), "usage_date");
  const auto theirs = Quantity::parse(*quantity);  // numerically: "5", "5.0" and "5.00" are one quantity
  expect(theirs.ok() && *theirs == ours.billed(),
         "quantity (theirs " + one_line(*quantity, 40) + ", ours " + ours.billed().text() + ")");
  std::optional<Quantity> comparable;
  if (theirs.ok() && *subscription == ours.series.subscription.value() &&
      *item_price == ours.series.item_price.value())
    comparable = *theirs;
  const std::string* invoice = text_of(answer.usage(), "invoice_id");
  const bool invoiced = invoice != nullptr && !invoice->empty();
  if (!differs.empty())
    return {
        Content::different, "conflict: the upstream's usage differs in " + differs, {}, comparable, invoiced};
  const std::string* version = text_of(answer.usage(), "resource_version", Scalar::Kind::number);
  return {
      Content::same, {}, version == nullptr ? std::string() : one_line(*version, 40), comparable, invoiced};
}

struct CodeRule {
  std::string_view code;
  Outcome outcome;
};

// The idempotency key was used for another request (path, body or headers), and is known for 30 minutes
// (apidocs.chargebee.com, idempotency). A look by id tells whether ours arrived all the same.
constexpr std::string_view kKeyReused = "unable_to_process_request";
constexpr Milliseconds kKeyForgotten = kKeyWindow + Seconds(60);

// Codes that mean the same whatever the status. Chargebee does not document the code of a second usage on one
// date or of a used id; duplicate_entry fits, and a look by id settles what it was.
constexpr std::array<CodeRule, 7> kCodeRules{{
    {"duplicate_entry", Outcome::duplicate},
    {kKeyReused, Outcome::duplicate},
    {"configuration_incompatible", Outcome::unauthorised},
    {"site_not_found", Outcome::unauthorised},
    {"lock_timeout", Outcome::throttled},
    {"api_request_limit_exceeded", Outcome::throttled},
    {"third_party_api_request_limit_exceeded", Outcome::throttled},
}};

Outcome outcome_of(unsigned status, std::string_view code) {
  if (status >= 500) return Outcome::unavailable;
  for (const auto& rule : kCodeRules)
    if (code == rule.code) return rule.outcome;
  switch (status) {
    case 401:
    case 403:
    case 405:
      return Outcome::unauthorised;  // the key, its rights or the URL: nothing is wrong with the usage
    case 429:
      return Outcome::throttled;
    case 400:
    case 402:
    case 404:
    case 409:
    case 422:
      return Outcome::rejected;
    default:
      return Outcome::unavailable;  // undocumented: wait and show it, park nothing
  }
}

std::string receipt_of(const Comparison& comparison) {
  return comparison.resource_version.empty() ? "200" : "200 resource_version=" + comparison.resource_version;
}

}  // namespace

Verdict judge_error(const HttpResponse& response, const std::optional<Answer>& answer) {
  Verdict verdict;
  verdict.detail = std::to_string(response.status);
  const std::string* code = answer ? text_of(answer->root, "api_error_code") : nullptr;
  if (code == nullptr || response.status < 400) {
    verdict.outcome = response.status == 429 ? Outcome::throttled : Outcome::unavailable;
    verdict.detail += response.status == 429 || response.status >= 500
                          ? " without the vendor's error code"
                          : " without the vendor's error code: captive portal or proxy?";
  } else {
    verdict.outcome = outcome_of(response.status, *code);
    if (verdict.outcome == Outcome::duplicate && *code == kKeyReused) verdict.retry_after = kKeyForgotten;
    verdict.detail += " " + one_line(*code, 64);
    if (const std::string* param = text_of(answer->root, "param"); param != nullptr && !param->empty())
      verdict.detail += " param=" + one_line(*param, 64);
    if (const std::string* message = text_of(answer->root, "message");
        message != nullptr && !message->empty())
      verdict.detail += ": " + one_line(*message, 120);
  }
  if (verdict.outcome == Outcome::throttled || response.status == 503)
    verdict.retry_after = response.retry_after();
  return verdict;
}

Verdict judge_lost(const TransportError& lost) {
  // Unavailable even if the request may have arrived: the key and the id make the next try safe.
  return {Outcome::unavailable, std::nullopt, std::string(name_of(lost.stage)) + ": " + lost.detail, {}};
}

Verdict judge_create(const meter::Usage& usage, const Exchange& exchange) {
  if (const auto* lost = std::get_if<TransportError>(&exchange)) return judge_lost(*lost);
  const auto& response = std::get<HttpResponse>(exchange);
  const auto answer = read_answer(response.body);
  if (response.status != 200) return judge_error(response, answer);
  const Comparison comparison = compare(usage, answer.value_or(Answer{}));
  switch (comparison.content) {
    case Comparison::Content::not_ours:
      return {Outcome::unavailable, std::nullopt, "200, but " + comparison.detail, {}};
    case Comparison::Content::different:
      return {Outcome::rejected, std::nullopt, comparison.detail, {}};
    case Comparison::Content::same:
      break;
  }
  const std::string* replayed = response.header("chargebee-idempotency-replayed");
  const bool is_replay = replayed != nullptr && *replayed == "true";
  return {Outcome::accepted, std::nullopt, "200",
          receipt_of(comparison) + " replayed=" + (is_replay ? "true" : "false")};
}

// A receipt is the deleted usage itself, or the vendor's word that there is none: an earlier attempt, whose
// answer was lost, deleted it.
Verdict judge_delete(const meter::Usage& usage, const Exchange& exchange) {
  if (const auto* lost = std::get_if<TransportError>(&exchange)) return judge_lost(*lost);
  const auto& response = std::get<HttpResponse>(exchange);
  const auto answer = read_answer(response.body);
  if (response.status == 200) {
    const std::string* id = answer ? text_of(answer->usage(), "id") : nullptr;
    if (id != nullptr && *id == usage.id.value())
      return {Outcome::accepted, std::nullopt, "200", "200 deleted"};
    return {
        Outcome::unavailable, std::nullopt, "200, but not the deleted usage: captive portal or proxy?", {}};
  }
  auto verdict = judge_error(response, answer);
  const std::string* code = answer ? text_of(answer->root, "api_error_code") : nullptr;
  if (response.status == 404 && code != nullptr && *code == "resource_not_found")
    return {Outcome::accepted, std::nullopt, verdict.detail, "404 resource_not_found: it is not there"};
  // Of a usage, which is no answer to a deletion.
  if (verdict.outcome == Outcome::duplicate && !verdict.retry_after) verdict.outcome = Outcome::rejected;
  return verdict;
}

ReadBack judge_retrieve(const meter::Usage& usage, const Exchange& exchange) {
  using Found = ReadBack::Found;
  if (const auto* lost = std::get_if<TransportError>(&exchange)) return {Found::unknown, judge_lost(*lost)};
  const auto& response = std::get<HttpResponse>(exchange);
  const auto answer = read_answer(response.body);
  if (response.status != 200) {
    ReadBack look{Found::unknown, judge_error(response, answer)};
    const std::string* code = answer ? text_of(answer->root, "api_error_code") : nullptr;
    if (response.status == 404 && code != nullptr && *code == "resource_not_found")
      look.found = Found::absent;
    // A refused look says nothing about the usage: it must never read as a refusal of the usage.
    const bool about_usage =
        look.verdict.outcome == Outcome::rejected || look.verdict.outcome == Outcome::duplicate;
    if (look.found == Found::unknown && about_usage) {
      look.verdict.outcome = Outcome::unavailable;
      look.verdict.retry_after.reset();  // how long a key is known is nothing to wait for: a look has none
    }
    return look;
  }
  const Comparison comparison = compare(usage, answer.value_or(Answer{}));
  switch (comparison.content) {
    case Comparison::Content::not_ours:
      return {Found::unknown, {Outcome::unavailable, std::nullopt, "200, but " + comparison.detail, {}}};
    case Comparison::Content::different:
      return {Found::different,
              {Outcome::rejected, std::nullopt, comparison.detail, {}},
              comparison.quantity,
              comparison.invoiced};
    case Comparison::Content::same:
      break;
  }
  return {Found::same,
          {Outcome::accepted, std::nullopt, "200", receipt_of(comparison) + " read_back=true"},
          comparison.quantity,
          comparison.invoiced};
}

}  // namespace meterd::upstream::chargebee
