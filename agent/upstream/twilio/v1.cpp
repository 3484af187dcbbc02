// The bytes of a V1 call. Each usage's request is a whole one with a single item; a batch has their items.
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

#include "agent/base/text.hpp"
#include "agent/upstream/twilio/outcome.hpp"
#include "agent/upstream/twilio/twilio.hpp"

namespace meterd::upstream::twilio {
namespace {

constexpr std::string_view kHead = R"({"billable_items":[)";
constexpr std::string_view kTail = "]}";

std::string quoted(const std::string& text) { return boost::json::serialize(boost::json::string(text)); }

class V1 final : public NoReadBack {
 public:
  V1(std::string base_path, std::size_t batch) : base_path_(std::move(base_path)), batch_(batch) {}

  Traits traits() const override {
    return {.batch = batch_, .bills_money = true, .deletes = false, .keeps_dates = false};
  }

  bool made(const HttpRequest& request) const override {
    return request.body.starts_with(kHead) && request.body.ends_with(kTail);
  }

  HttpRequest encode_create(const meter::Usage& usage) const override {
    HttpRequest request;
    request.method = "POST";
    request.target = path_of(usage.series.subscription);
    request.headers = {{"content-type", "application/json"}, {"accept", "application/json"}};
    request.body = std::string(kHead) + "{\"sid\":" + quoted(usage.series.item_price.value()) +
                   ",\"quantity\":" + usage.billed().text() + "}" + std::string(kTail);
    return request;
  }

  HttpRequest encode_probe(const SubscriptionId& subscription) const override {
    HttpRequest request;
    request.method = "POST";
    request.target = path_of(subscription.empty() ? kNobody : subscription);
    request.headers = {{"content-type", "application/json"}, {"accept", "application/json"}};
    request.body = std::string(kHead) + std::string(kTail);
    return request;
  }

  HttpRequest join(const std::vector<HttpRequest>& creates) const override {
    HttpRequest request = creates.front();
    request.body = kHead;
    for (const auto& one : creates) {
      if (request.body.size() > kHead.size()) request.body += ',';
      request.body.append(one.body, kHead.size(), one.body.size() - kHead.size() - kTail.size());
    }
    request.body += kTail;
    return request;
  }

  std::vector<Verdict> judge_batch(const std::vector<meter::Usage>& usages,
                                   const Exchange& exchange) const override {
    return judge_items(usages, exchange);
  }

  Verdict judge_create(const meter::Usage& usage, const Exchange& exchange) const override {
    return judge_items({usage}, exchange).front();
  }

 private:
  std::string path_of(const SubscriptionId& installation) const {
    return base_path_ + "/v1/InstalledAddOns/" + percent_encode(installation.value()) + "/Usage";
  }

  std::string base_path_;
  std::size_t batch_;
};

}  // namespace

std::unique_ptr<Upstream> make_v1(std::string base_path, std::size_t batch) {
  return std::make_unique<V1>(std::move(base_path), batch);
}

}  // namespace meterd::upstream::twilio
