// The bytes of a Chargebee call, in the form that the vendor's own SDK sends. Chargebee compares path, body
// and headers of a repeated idempotency key, so nothing here may depend on anything but the usage.
#include "agent/base/text.hpp"
#include "agent/upstream/chargebee/chargebee.hpp"
#include "agent/upstream/chargebee/outcome.hpp"

namespace meterd::upstream::chargebee {
namespace {

// The vendor's documented limit of usages in the life of a subscription; its support may raise it.
constexpr std::uint32_t kLifetimeLimit = 5'000;

// application/x-www-form-urlencoded: percent-encoding with a space as "+". "%20" can only stem from a space.
std::string form_value(std::string_view text) {
  std::string out = percent_encode(text);
  for (auto at = out.find("%20"); at != std::string::npos; at = out.find("%20", at + 1))
    out.replace(at, 3, "+");
  return out;
}

class Chargebee final : public Upstream {
 public:
  explicit Chargebee(std::string base_path) : base_path_(std::move(base_path)) {}

  Traits traits() const override {
    return {.idempotent = true,
            .key_window = kKeyWindow,
            .read_back = true,
            .lifetime_limit = kLifetimeLimit,
            .lists = true,
            .statements = true};
  }

  bool made(const HttpRequest& request) const override {
    return request.target.find("/subscriptions/") != std::string::npos;
  }

  HttpRequest encode_create(const meter::Usage& usage) const override {
    HttpRequest request;
    request.method = "POST";
    request.target = path_of(usage);
    request.headers = {{"content-type", "application/x-www-form-urlencoded; charset=utf-8"},
                       {"accept", "application/json"},
                       {"chargebee-idempotency-key", usage.id.value()}};
    request.body = "id=" + form_value(usage.id.value()) +
                   "&item_price_id=" + form_value(usage.series.item_price.value()) +
                   "&usage_date=" + std::to_string(usage.usage_date) + "&quantity=" +
                   form_value(usage.given_quantity.empty() ? usage.billed().text() : usage.given_quantity);
    if (!usage.note.empty()) request.body += "&note=" + form_value(usage.note);
    for (const auto& [name, value] : usage.custom_fields)
      request.body += "&" + form_value(name) + "=" + form_value(value);
    return request;
  }

  HttpRequest encode_delete(const meter::Usage& usage, const std::string& key) const override {
    HttpRequest request;
    request.method = "POST";
    request.target = subscription_of(usage) + "/delete_usage";
    request.headers = {{"content-type", "application/x-www-form-urlencoded; charset=utf-8"},
                       {"accept", "application/json"},
                       {"chargebee-idempotency-key", key}};
    request.body = "id=" + form_value(usage.id.value());
    return request;
  }

  HttpRequest encode_retrieve(const meter::Usage& usage) const override {
    HttpRequest request;
    request.method = "GET";
    request.target = path_of(usage) + "?id=" + percent_encode(usage.id.value());
    request.headers = {{"accept", "application/json"}};
    return request;
  }

  HttpRequest encode_probe(const SubscriptionId& subscription) const override {
    HttpRequest request;
    request.method = "GET";
    request.target = base_path_ + "/usages?limit=1&subscription_id%5Bis%5D=" +
                     percent_encode(subscription.empty() ? "none" : subscription.value());
    request.headers = {{"accept", "application/json"}};
    return request;
  }

  HttpRequest encode_list(const SubscriptionId& subscription, const std::string& offset) const override {
    HttpRequest request;
    request.method = "GET";
    request.target =
        base_path_ + "/usages?limit=" + std::to_string(kListRows) +
        "&sort_by%5Basc%5D=usage_date&subscription_id%5Bis%5D=" + percent_encode(subscription.value());
    if (!offset.empty()) request.target += "&offset=" + percent_encode(offset);
    request.headers = {{"accept", "application/json"}};
    return request;
  }

  HttpRequest encode_statement(const std::string& invoice) const override {
    HttpRequest request;
    request.method = "POST";
    request.target = base_path_ + "/usages/pdf";
    request.headers = {{"content-type", "application/x-www-form-urlencoded; charset=utf-8"},
                       {"accept", "application/json"}};
    request.body = "disposition_type=attachment&invoice%5Bid%5D=" + form_value(invoice);
    return request;
  }

  Answered<ListPage> judge_list(const SubscriptionId& subscription, const Exchange& exchange) const override {
    return chargebee::judge_list(subscription, exchange);
  }

  Answered<std::string> judge_statement(const Exchange& exchange) const override {
    return chargebee::judge_statement(exchange);
  }

  Diagnosis judge_probe(const SubscriptionId&, const Exchange& exchange) const override {
    return chargebee::judge_probe(exchange);
  }

  Verdict judge_create(const meter::Usage& usage, const Exchange& exchange) const override {
    return chargebee::judge_create(usage, exchange);
  }

  ReadBack judge_retrieve(const meter::Usage& usage, const Exchange& exchange) const override {
    return chargebee::judge_retrieve(usage, exchange);
  }

  Verdict judge_delete(const meter::Usage& usage, const Exchange& exchange) const override {
    return chargebee::judge_delete(usage, exchange);
  }

 private:
  std::string subscription_of(const meter::Usage& usage) const {
    return base_path_ + "/subscriptions/" + percent_encode(usage.series.subscription.value());
  }
  std::string path_of(const meter::Usage& usage) const { return subscription_of(usage) + "/usages"; }

  std::string base_path_;
};

}  // namespace

std::unique_ptr<Upstream> make(std::string base_path) {
  return std::make_unique<Chargebee>(std::move(base_path));
}

}  // namespace meterd::upstream::chargebee
