// The bytes of a Preview call: a form with one quantity.
#include "agent/base/text.hpp"
#include "agent/upstream/twilio/outcome.hpp"
#include "agent/upstream/twilio/twilio.hpp"

namespace meterd::upstream::twilio {
namespace {

constexpr std::string_view kQuantity = "Quantity=";

class Preview final : public NoReadBack {
 public:
  explicit Preview(std::string base_path) : base_path_(std::move(base_path)) {}

  Traits traits() const override { return {.takes_credits = true, .deletes = false, .keeps_dates = false}; }

  bool made(const HttpRequest& request) const override { return request.body.starts_with(kQuantity); }

  HttpRequest encode_create(const meter::Usage& usage) const override {
    HttpRequest request;
    request.method = "POST";
    request.target = path_of(usage.series.subscription);
    request.headers = {{"content-type", "application/x-www-form-urlencoded"}, {"accept", "application/json"}};
    request.body = std::string(kQuantity) + usage.billed().text();
    return request;
  }

  HttpRequest encode_probe(const SubscriptionId& subscription) const override {
    HttpRequest request;
    request.method = "POST";
    request.target = path_of(subscription.empty() ? kNobody : subscription);
    request.headers = {{"content-type", "application/x-www-form-urlencoded"}, {"accept", "application/json"}};
    return request;
  }

  Verdict judge_create(const meter::Usage&, const Exchange& exchange) const override {
    return judge_quantity(exchange);
  }

 private:
  std::string path_of(const SubscriptionId& installation) const {
    return base_path_ + "/marketplace/InstalledAddOns/" + percent_encode(installation.value()) + "/Usage";
  }

  std::string base_path_;
};

}  // namespace

std::unique_ptr<Upstream> make_preview(std::string base_path) {
  return std::make_unique<Preview>(std::move(base_path));
}

}  // namespace meterd::upstream::twilio
