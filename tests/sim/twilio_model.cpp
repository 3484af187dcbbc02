#include "tests/sim/twilio_model.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "tests/support/surroundings.hpp"

namespace meterd::sim {

using upstream::HttpResponse;

namespace {

constexpr Milliseconds kMinute{60'000};
constexpr std::string_view kV1 = "/v1/InstalledAddOns/";
constexpr std::string_view kPreview = "/marketplace/InstalledAddOns/";
constexpr std::string_view kUsage = "/Usage";
constexpr std::size_t kSidLength = 34;

HttpResponse error(unsigned status, unsigned code, const std::string& message) {
  return testing::json_answer(status, R"({"code":)" + std::to_string(code) + R"(,"message":")" + message +
                                          R"(","more_info":"https://www.twilio.com/docs/errors/)" +
                                          std::to_string(code) + R"(","status":)" + std::to_string(status) +
                                          "}");
}

bool is_sid(std::string_view text, std::string_view kind) {
  const auto is_hex = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  return text.size() == kSidLength && text.starts_with(kind) &&
         std::all_of(text.begin() + 2, text.end(), is_hex);
}

// Takes `what` off the front of `text`; false: it begins otherwise.
bool take(std::string_view& text, std::string_view what) {
  if (!text.starts_with(what)) return false;
  text.remove_prefix(what.size());
  return true;
}

std::string_view take_until(std::string_view& text, std::string_view ends) {
  const auto out = text.substr(0, text.find_first_of(ends));
  text.remove_prefix(out.size());
  return out;
}

// As the vendor writes a number: it has been a double meanwhile.
std::string as_double(double number) {
  char text[40];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}
double number_of(const std::string& text) { return std::strtod(text.c_str(), nullptr); }

}  // namespace

HttpResponse TwilioModel::internal_error() const { return error(500, 20500, "Internal Server Error"); }

HttpResponse TwilioModel::refuse(const std::string& complaint) {
  complaints_.push_back(complaint);
  return error(400, 20001, "no correct client sends this");
}

HttpResponse TwilioModel::answer(const upstream::HttpRequest& request, const Arrival& arrival) {
  if (auto refused = admit(arrival.at)) return *refused;
  std::string_view target = request.target;
  const bool v1 = rules_.api == Api::v1;
  const bool known = take(target, v1 ? kV1 : kPreview);
  const std::string installation(take_until(target, "/"));
  if (!known || target != kUsage || !is_sid(installation, "XE") || request.method != "POST") {
    complaints_.push_back("a request for " + request.target);
    return error(404, 20404, "The requested resource was not found");
  }
  const std::string type = v1 ? "application/json" : "application/x-www-form-urlencoded";
  const auto& headers = request.headers;
  const bool typed = std::any_of(headers.begin(), headers.end(), [&](const auto& one) {
    return one.first == "content-type" && one.second == type;
  });
  if (!typed) return refuse("a request that is not " + type);
  if (draws_.percent(rules_.refused_percent)) return error(400, 20001, "Not at this time");
  return v1 ? take_items(installation, request.body, arrival.exchange)
            : take_quantity(installation, request.body, arrival.exchange);
}

std::optional<HttpResponse> TwilioModel::admit(WallTime now) {
  if (!credentials_valid_) return error(401, 20003, "Authenticate");
  while (!requests_.empty() && now - requests_.front() >= kMinute) requests_.pop_front();
  if (storm_ || requests_.size() >= rules_.requests_a_minute) {
    auto out = error(429, 20429, "Too Many Requests");
    if (retry_after_) out.headers.emplace_back("retry-after", "30");
    return out;
  }
  requests_.push_back(now);
  return std::nullopt;
}

// Reads the one form that meterd writes: {"billable_items":[{"sid":"BI...","quantity":12.355}]}.
HttpResponse TwilioModel::take_items(const std::string& installation, const std::string& body,
                                     std::uint64_t exchange) {
  std::vector<Item> items;
  std::string_view rest = body;
  if (!take(rest, R"({"billable_items":[)")) return refuse("no billable_items: " + body);
  do {
    Item item;
    if (!take(rest, R"({"sid":")")) return refuse("an item without a sid: " + body);
    item.sid = take_until(rest, "\"");
    if (!take(rest, R"(","quantity":)")) return refuse("an item without a quantity: " + body);
    item.number = take_until(rest, "}");
    const auto amount = Quantity::parse(item.number);
    if (!amount || amount->is_zero() || amount->is_negative()) return refuse("an amount of " + item.number);
    if (!is_sid(item.sid, "BI")) return refuse("an item of " + item.sid);
    item.amount = *amount;
    if (!take(rest, "}")) return refuse("an item without an end: " + body);
    items.push_back(std::move(item));
  } while (take(rest, ","));
  if (rest != "]}") return refuse("items without an end: " + body);
  double total = 0;
  std::string answered;
  for (std::size_t at = 0; at < items.size(); ++at) {
    const auto& item = items[at];
    const bool submitted = !draws_.percent(rules_.left_out_percent);
    if (submitted && !rules_.forgets_items)
      bill_.push_back({exchange, at, installation, item.sid, item.amount});
    if (submitted) total += number_of(item.number);
    left_out_ += submitted ? 0 : 1;
    answered += (at == 0 ? R"({"sid":")" : R"(,{"sid":")") + item.sid + R"(","quantity":)" +
                as_double(number_of(item.number)) + R"(,"submitted":)" + (submitted ? "true}" : "false}");
  }
  return testing::json_answer(
      202, R"({"total_submitted":)" + as_double(total) + R"(,"billable_items":[)" + answered + "]}");
}

HttpResponse TwilioModel::take_quantity(const std::string& installation, const std::string& body,
                                        std::uint64_t exchange) {
  std::string_view rest = body;
  if (!take(rest, "Quantity=")) return refuse("no Quantity: " + body);
  const auto amount = Quantity::parse(rest);
  if (!amount || amount->is_zero()) return refuse("a quantity of " + std::string(rest));
  if (!rules_.forgets_items) bill_.push_back({exchange, 0, installation, "", *amount});
  return {202, {{"content-type", "text/plain"}}, "202 Accepted"};
}

}  // namespace meterd::sim
