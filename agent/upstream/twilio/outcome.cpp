// Where a charge cannot be taken back by asking again, three answers teach something: the vendor's 202, a
// refusal in the vendor's own shape, and 429, which it says is never processed (twilio.com/docs/api/errors/
// 20429). A 5xx may have been applied; whatever a captive portal or a proxy says proves nothing.
#include "agent/upstream/twilio/outcome.hpp"

#include "agent/base/exact_json.hpp"
#include "agent/base/text.hpp"

namespace meterd::upstream::twilio {
namespace {

using Kind = ExactJson::Kind;

constexpr std::size_t kTextMax = 120;

Verdict doubt(std::string why) { return {Outcome::in_doubt, std::nullopt, std::move(why), {}}; }

Outcome outcome_of(unsigned status) {
  switch (status) {
    case 401:
    case 403:
    case 405:
      return Outcome::unauthorised;  // the account, its rights or the URL: nothing is wrong with the usage
    case 400:
    case 404:
    case 409:
    case 413:
    case 415:
    case 422:
      return Outcome::rejected;
    default:
      return Outcome::in_doubt;
  }
}

// The vendor speaks in floating numbers.
bool is_close(const Quantity& a, const Quantity& b) {
  const Quantity difference = a < b ? b - a : a - b;
  const auto scaled = difference.times(Quantity::of(1'000'000'000));
  return scaled && *scaled <= (b.is_negative() ? -b : b);
}

// Why the item is not an answer to that usage; empty: it is.
std::string mismatch(const ExactJson& item, const meter::Usage& usage) {
  const auto* sid = item.member("sid", Kind::string);
  if (sid == nullptr || sid->text != usage.series.item_price.value()) return "another sid";
  const auto* number = item.member("quantity", Kind::number);
  const auto quantity = number == nullptr ? std::nullopt : number->quantity();
  if (!quantity || !is_close(*quantity, usage.billed())) return "another quantity";
  if (item.member("submitted", Kind::boolean) == nullptr) return "no word whether it was submitted";
  return {};
}

std::vector<Verdict> all(std::size_t count, const Verdict& verdict) {
  return std::vector<Verdict>(count, verdict);
}

// An answer that does not fit the request as a whole says nothing certain about any part of it.
std::vector<Verdict> judge_accepted(const std::vector<meter::Usage>& usages, const std::string& body) {
  const auto root = ExactJson::parse(body);
  const auto* items = root ? root->member("billable_items", Kind::array) : nullptr;
  if (items == nullptr) return all(usages.size(), doubt("202 without billable_items"));
  if (items->items.size() != usages.size())
    return all(usages.size(), doubt("202 with " + std::to_string(items->items.size()) + " of " +
                                    std::to_string(usages.size()) + " items"));
  Quantity submitted;
  std::vector<Verdict> out;
  for (std::size_t i = 0; i < usages.size(); ++i) {
    const auto& item = items->items[i];
    if (const auto why = mismatch(item, usages[i]); !why.empty())
      return all(usages.size(), doubt("202, but item " + std::to_string(i + 1) + " has " + why));
    if (item.member("submitted")->truth) {
      submitted += usages[i].billed();
      out.push_back({Outcome::accepted, std::nullopt, "202", "202 submitted=true"});
    } else {
      Verdict left_out{Outcome::unavailable, std::nullopt, "202 submitted=false", {}};
      left_out.left_out = true;
      out.push_back(std::move(left_out));
    }
  }
  const auto* number = root->member("total_submitted");
  if (number == nullptr) return out;  // not required by the seed
  const auto total = number->quantity();
  if (!total || !is_close(*total, submitted))
    return all(usages.size(), doubt("202, but total_submitted is " + one_line(number->text, 40) +
                                    " and not " + submitted.text()));
  return out;
}

}  // namespace

// {"code", "message", "more_info", "status"}, or RFC 9457's {"type", "title", "status", "code"}.
std::optional<std::string> vendor_error_in(const HttpResponse& response) {
  const auto root = ExactJson::parse(response.body);
  if (!root) return std::nullopt;
  const auto* code = root->member("code", Kind::number);
  const auto* message = root->member("message", Kind::string);
  if (message == nullptr) message = root->member("title", Kind::string);
  if (code == nullptr || message == nullptr) return std::nullopt;
  return std::to_string(response.status) + " " + one_line(code->text, 16) + ": " +
         one_line(message->text, kTextMax);
}

Verdict judge_refusal(const Exchange& exchange) {
  if (const auto* lost = std::get_if<TransportError>(&exchange)) {
    const auto seen = std::string(name_of(lost->stage)) + ": " + lost->detail;
    return lost->may_have_arrived() ? doubt(seen) : Verdict{Outcome::unavailable, std::nullopt, seen, {}};
  }
  const auto& response = std::get<HttpResponse>(exchange);
  const auto status = std::to_string(response.status);
  if (response.status == 429) return {Outcome::throttled, response.retry_after(), status, {}};
  const auto error = vendor_error_in(response);
  if (!error) return doubt(status + " without the vendor's error: captive portal or proxy?");
  return {outcome_of(response.status), std::nullopt, *error, {}};
}

std::vector<Verdict> judge_items(const std::vector<meter::Usage>& usages, const Exchange& exchange) {
  const auto* response = std::get_if<HttpResponse>(&exchange);
  if (response != nullptr && response->status == kAccepted) return judge_accepted(usages, response->body);
  return all(usages.size(), judge_refusal(exchange));
}

Verdict judge_quantity(const Exchange& exchange) {
  const auto* response = std::get_if<HttpResponse>(&exchange);
  if (response != nullptr && response->status == kAccepted) {
    if (!may_be_previews(*response))
      return doubt("202 with a body that is not Twilio's: captive portal or proxy?");
    return {Outcome::accepted, std::nullopt, "202", "202"};
  }
  return judge_refusal(exchange);
}

// The body of Preview's 202 is not documented: anything but a page, and what calls itself JSON and is none.
bool may_be_previews(const HttpResponse& response) {
  const auto* type = response.header("content-type");
  const auto first = response.body.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return true;
  if (response.body[first] == '<' || (type != nullptr && type->find("html") != std::string::npos))
    return false;
  const bool is_json =
      response.body[first] == '{' || (type != nullptr && type->find("json") != std::string::npos);
  return !is_json || ExactJson::parse(response.body).has_value();
}

HttpRequest NoReadBack::encode_retrieve(const meter::Usage&) const {
  check(false, "this upstream looks nothing up");
  return {};
}

HttpRequest NoReadBack::encode_delete(const meter::Usage&, const std::string&) const {
  check(false, "this upstream deletes nothing");
  return {};
}

ReadBack NoReadBack::judge_retrieve(const meter::Usage&, const Exchange&) const {
  check(false, "this upstream looks nothing up");
  return {};
}

Diagnosis NoReadBack::judge_probe(const SubscriptionId& installation, const Exchange& exchange) const {
  return twilio::judge_probe(installation, exchange);
}

Verdict NoReadBack::judge_delete(const meter::Usage&, const Exchange&) const {
  check(false, "this upstream deletes nothing");
  return {};
}

}  // namespace meterd::upstream::twilio
