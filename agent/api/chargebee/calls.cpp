#include "agent/api/chargebee/calls.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "agent/api/chargebee/attributes.hpp"
#include "agent/api/chargebee/filters.hpp"
#include "agent/api/chargebee/form.hpp"
#include "agent/api/chargebee/idempotency.hpp"

namespace meterd::api::chargebee {
namespace {

constexpr std::string_view kSubscriptions = "/api/v2/subscriptions/";
constexpr std::string_view kUsages = "/usages";
constexpr std::string_view kDeleteUsage = "/delete_usage";
constexpr std::string_view kList = "/api/v2/usages";
constexpr std::string_view kPdf = "/api/v2/usages/pdf";
constexpr std::string_view kFormType = "application/x-www-form-urlencoded";

constexpr std::size_t kCustomFieldsMax = 20;
constexpr std::string_view kBlank = "cannot be blank";

enum class Kind : std::uint8_t { none, usages, delete_usage, list, pdf };
struct Target {
  Kind kind = Kind::none;
  std::string_view subscription = {};
};

// What stands between prefix and suffix is the subscription's id, "/" included: the vendor's SDK sends it
// raw.
std::optional<std::string_view> subscription_in(std::string_view path, std::string_view suffix) {
  if (path.size() <= kSubscriptions.size() + suffix.size() || !path.starts_with(kSubscriptions) ||
      !path.ends_with(suffix))
    return std::nullopt;
  path.remove_prefix(kSubscriptions.size());
  path.remove_suffix(suffix.size());
  return path;
}

Target target_of(std::string_view path) {
  if (path == kList) return {Kind::list};
  if (path == kPdf) return {Kind::pdf};
  if (const auto id = subscription_in(path, kUsages)) return {Kind::usages, *id};
  if (const auto id = subscription_in(path, kDeleteUsage)) return {Kind::delete_usage, *id};
  return {};
}

std::string_view methods_of(Kind kind) {
  switch (kind) {
    case Kind::none:
      return {};
    case Kind::usages:
      return "GET, HEAD, POST";
    case Kind::list:
      return "GET, HEAD";
    case Kind::delete_usage:
    case Kind::pdf:
      return "POST";
  }
  return {};
}

// A GET has its parameters in the query and a POST in the form. What stands in the other place is refused: an
// id that was not seen there would make a second usage.
std::optional<ApiError> parameters_of(const Request& request, bool is_get, Parameters& out) {
  const bool no_query = request.query.empty() || (request.query.size() == 1 &&  // "?" and nothing behind it
                                                  request.query.front() == Parameters::value_type{});
  if (is_get) {
    if (!request.body.empty())
      return invalid_request("A GET has its parameters in the query, not in a body.");
    if (no_query) return std::nullopt;
    out = request.query;
    return check_parameters(out);
  }
  if (!no_query) return invalid_request("A POST has its parameters in the form, not in the query.");
  if (request.body.empty()) return std::nullopt;
  if (!is_media_type(request.content_type, kFormType))
    return invalid_request("Send the parameters as Content-Type: application/x-www-form-urlencoded.");
  return read_form(request.body, out);
}

std::optional<ApiError> read_custom_field(const std::string& name, const std::string& value,
                                          usages::Draft& draft) {
  if (!is_custom_field(name))
    return wrong_value(name, "is no custom field: \"cf_\" and 1 to 50 of a-z, 0-9 and _");
  if (characters(value) > kCustomFieldCharactersMax)
    return wrong_value(name, at_most(kCustomFieldCharactersMax));
  if (value.empty()) return std::nullopt;  // an absent one, as the vendor has it
  if (draft.custom_fields.size() == kCustomFieldsMax)
    return wrong_value(name, "is one too many: at most 20 custom fields");
  draft.custom_fields.emplace_back(name, value);
  return std::nullopt;
}

struct Given {
  bool item_price = false, quantity = false, usage_date = false;
};

std::optional<ApiError> read_create(const std::string& name, const std::string& value, usages::Draft& draft,
                                    Given& given) {
  if (name == "id") {
    draft.id = UsageId(value);
    return check_id(name, value, kIdCharactersMax);
  }
  if (name == "item_price_id") {
    given.item_price = true;
    draft.item_price = ItemPriceId(value);
    return check_id(name, value, kIdCharactersMax);
  }
  if (name == "quantity") {
    given.quantity = true;
    return read_quantity(value, draft);
  }
  if (name == "usage_date") {
    given.usage_date = true;
    const auto seconds = seconds_of(value);
    if (!seconds || *seconds == 0)
      return wrong_value(name, value.empty() ? kBlank : "must be whole seconds since 1970, 1 to 9999999999");
    draft.usage_date = *seconds;
    return std::nullopt;
  }
  if (name == "note") {
    if (characters(value) > kNoteCharactersMax) return wrong_value(name, at_most(kNoteCharactersMax));
    draft.note = value;
    return std::nullopt;
  }
  if (name.starts_with("cf_")) return read_custom_field(name, value, draft);
  return wrong_value(name, "is not a parameter of this call");
}

std::optional<ApiError> missing_of(const Parameters& parameters, const Given& given) {
  // The seed's sample of a retrieve, read literally, is a POST of an id.
  if (parameters.size() == 1 && parameters.front().first == "id")
    return wrong_value("item_price_id",
                       "cannot be blank; to retrieve a usage, use GET with its id in the query");
  if (!given.item_price) return wrong_value("item_price_id", kBlank);
  if (!given.quantity) return wrong_value("quantity", kBlank);
  if (!given.usage_date) return wrong_value("usage_date", kBlank);
  return std::nullopt;
}

Call create(const Request& request, SubscriptionId subscription, const Parameters& parameters) {
  Create out;
  out.draft.subscription = std::move(subscription);
  Given given;
  auto wrong = read_idempotency_key(request, out.key);
  for (auto at = parameters.begin(); !wrong && at != parameters.end(); ++at)
    wrong = read_create(at->first, at->second, out.draft, given);
  if (!wrong) wrong = missing_of(parameters, given);
  if (wrong) return std::move(*wrong);
  return out;
}

// Of a call whose one parameter is the usage's id.
std::optional<ApiError> read_id(const Parameters& parameters, UsageId& out) {
  for (const auto& [name, value] : parameters) {
    if (name != "id") return wrong_value(name, "is not a parameter of this call");
    if (auto wrong = check_id(name, value, kIdCharactersMax)) return wrong;
    out = UsageId(value);
  }
  if (parameters.empty()) return wrong_value("id", kBlank);
  return std::nullopt;
}

Call retrieve(SubscriptionId subscription, const Parameters& parameters) {
  Retrieve out{std::move(subscription), {}};
  if (auto wrong = read_id(parameters, out.id)) return std::move(*wrong);
  return out;
}

Call delete_usage(const Request& request, SubscriptionId subscription, const Parameters& parameters) {
  Delete out{std::move(subscription), {}, {}};
  if (auto wrong = read_idempotency_key(request, out.key)) return std::move(*wrong);
  if (auto wrong = read_id(parameters, out.id)) return std::move(*wrong);
  return out;
}

Call list(const Parameters& parameters) {
  List out;
  if (auto wrong = read_filters(parameters, out.query)) return std::move(*wrong);
  return out;
}

// In any letter case: the seed documents "inline" and sends "INLINE".
bool is_word(std::string_view text, std::string_view lower_case) {
  return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

Call pdf(const Request& request, const Parameters& parameters) {
  Pdf out;
  if (auto wrong = read_idempotency_key(request, out.key)) return std::move(*wrong);
  for (const auto& [name, value] : parameters) {
    if (name == "invoice[id]") {
      if (auto wrong = check_id(name, value, kPdfInvoiceCharactersMax)) return std::move(*wrong);
      out.invoice = value;
    } else if (name == "disposition_type") {
      out.as_attachment = is_word(value, "attachment");
      if (!out.as_attachment && !is_word(value, "inline"))
        return wrong_value(name, "must be attachment or inline");
    } else {
      return wrong_value(name, "is not a parameter of this call");
    }
  }
  if (out.invoice.empty()) return wrong_value("invoice[id]", kBlank);
  return out;
}

}  // namespace

std::string_view methods_of(std::string_view path) { return methods_of(target_of(path).kind); }

Call parse_call(const Request& request) {
  const auto target = target_of(request.path);
  if (target.kind == Kind::none) return not_found("path");
  const bool is_get = request.method == "GET" || request.method == "HEAD";
  const auto methods = methods_of(target.kind);
  if (methods.find(request.method) == std::string_view::npos || (!is_get && request.method != "POST"))
    return ApiError{
        405, "http_method_not_supported", "Use " + std::string(methods) + ".", {}, std::string(methods)};

  Parameters parameters;
  if (auto wrong = parameters_of(request, is_get, parameters)) return std::move(*wrong);
  if (target.kind == Kind::list) return list(parameters);
  if (target.kind == Kind::pdf) return pdf(request, parameters);
  if (auto wrong = check_id("subscription_id", target.subscription, kIdCharactersMax))
    return std::move(*wrong);
  SubscriptionId subscription(target.subscription);
  if (target.kind == Kind::delete_usage) return delete_usage(request, std::move(subscription), parameters);
  if (is_get) return retrieve(std::move(subscription), parameters);
  return create(request, std::move(subscription), parameters);
}

}  // namespace meterd::api::chargebee
