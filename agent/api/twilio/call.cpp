#include "agent/api/twilio/call.hpp"

#include <algorithm>

#include "agent/api/chargebee/form.hpp"
#include "agent/base/exact_json.hpp"
#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"
#include "agent/meter/catalog.hpp"

namespace meterd::api::twilio {
namespace {

using usages::ChargeOrder;
using Kind = ExactJson::Kind;

constexpr std::string_view kV1 = "/v1/InstalledAddOns/";
constexpr std::string_view kPreview = "/marketplace/InstalledAddOns/";
constexpr std::string_view kUsage = "/Usage";

CallError bad(std::string message) { return {400, std::move(message)}; }

std::string item_name(std::size_t index) { return "billable_items[" + std::to_string(index) + "]"; }

std::variant<CallError, ChargeOrder::Item> read_item(const ExactJson& value, std::size_t index) {
  const auto* sid = value.member("sid", Kind::string);
  if (sid == nullptr || !is_clean_text(sid->text, limits::kIdMax))
    return bad(item_name(index) + ".sid must be a billing sid of at most 100 bytes.");
  const auto* number = value.member("quantity", Kind::number);
  const auto quantity = number == nullptr ? std::nullopt : number->quantity();
  if (!quantity || quantity->is_zero() || quantity->is_negative() || !quantity->fits_usage())
    return bad(item_name(index) + ".quantity must be a number above zero of at most 40 characters.");
  return ChargeOrder::Item{ItemPriceId(sid->text), *quantity};
}

Call read_v1(const Request& request, ChargeOrder order) {
  if (!is_media_type(request.content_type, "application/json"))
    return CallError{415, "Send JSON: Content-Type: application/json."};
  if (!is_valid_utf8(request.body)) return bad("The body is not UTF-8.");
  const auto root = ExactJson::parse(request.body);
  if (!root || root->kind != Kind::object)
    return bad("The body is not one JSON object, each name in it once.");
  const auto* items = root->member("billable_items", Kind::array);
  if (items == nullptr && root->member("billableItems") != nullptr)
    return bad("billable_items is missing: the API knows no billableItems.");
  if (items == nullptr) return bad("billable_items must be an array of {\"sid\", \"quantity\"}.");
  if (items->items.size() > kItemsMax)
    return bad("At most " + std::to_string(kItemsMax) + " billable_items in a request.");
  for (std::size_t i = 0; i < items->items.size(); ++i) {
    auto item = read_item(items->items[i], i);
    if (auto* error = std::get_if<CallError>(&item)) return std::move(*error);
    order.items.push_back(std::get<ChargeOrder::Item>(std::move(item)));
  }
  return order;
}

Call read_preview(const Request& request, ChargeOrder order) {
  if (!is_media_type(request.content_type, "application/x-www-form-urlencoded"))
    return CallError{415, "Send a form: Content-Type: application/x-www-form-urlencoded."};
  chargebee::Parameters form;
  if (auto error = chargebee::read_form(request.body, form)) return bad(error->message);
  const auto found =
      std::find_if(form.begin(), form.end(), [](const auto& one) { return one.first == "Quantity"; });
  if (found == form.end() || form.size() != 1) return bad("Quantity is the one parameter, and is required.");
  const auto quantity = Quantity::parse(found->second);
  if (!quantity || quantity->is_zero())
    return bad("Quantity must be a decimal above zero, or below it for a credit, of at most 40 characters.");
  order.items.push_back({ItemPriceId(), *quantity});
  return order;
}

// Undocumented but for 20003, 20404 and 20429 (twilio.com/docs/api/errors): one for each status.
int code_of(unsigned status) {
  switch (status) {
    case 401:
      return 20003;
    case 405:
      return 20004;
    case 400:
    case 413:
    case 415:
    case 431:
      return 20001;
    default:
      return 20000 + static_cast<int>(status);
  }
}

}  // namespace

bool is_api_path(std::string_view path) { return path.starts_with(kV1) || path.starts_with(kPreview); }

Call parse_call(const Request& request) {
  const bool is_v1 = request.path.starts_with(kV1);
  std::string_view rest = request.path;
  rest.remove_prefix(is_v1 ? kV1.size() : kPreview.size());
  if (!rest.ends_with(kUsage) ||
      rest.substr(0, rest.size() - kUsage.size()).find('/') != std::string_view::npos)
    return CallError{404, "The requested resource " + request.path + " was not found."};
  const auto sid = rest.substr(0, rest.size() - kUsage.size());
  if (request.method != "POST") return CallError{405, "Use POST.", "POST"};
  if (!meter::is_installation_sid(sid))
    return bad("The path must name an installation: \"XE\" and 32 hexadecimal digits.");
  if (!request.query.empty()) return bad("The query is not read: send all in the body.");
  ChargeOrder order;
  order.api = is_v1 ? ChargeOrder::Api::v1 : ChargeOrder::Api::preview;
  order.installation = SubscriptionId(std::string(sid));
  return is_v1 ? read_v1(request, std::move(order)) : read_preview(request, std::move(order));
}

Response to_response(const CallError& error) {
  const auto code = std::to_string(code_of(error.status));
  Response out;
  out.status = error.status;
  out.body = "{\"code\":" + code + ",\"message\":";
  append_json_string(out.body, error.message);
  out.body += ",\"more_info\":\"https://www.twilio.com/docs/errors/" + code +
              "\",\"status\":" + std::to_string(error.status) + '}';
  if (!error.allow.empty()) out.headers.emplace_back("Allow", error.allow);
  return out;
}

Response reshape(const Response& answer) {
  if (answer.status < 400) return answer;
  const auto root = ExactJson::parse(answer.body);
  if (root && root->member("more_info") != nullptr) return answer;
  const auto* own = root ? root->member("error", Kind::object) : nullptr;
  const auto* message = own == nullptr ? nullptr : own->member("message", Kind::string);
  auto out = to_response({answer.status, message == nullptr ? "The request was not served." : message->text});
  out.headers = answer.headers;
  return out;
}

}  // namespace meterd::api::twilio
