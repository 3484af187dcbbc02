#include "tests/sim/chargebee_model.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "agent/base/text.hpp"
#include "tests/support/surroundings.hpp"

namespace meterd::sim {

namespace json = boost::json;
using testing::vendor_error;
using upstream::HttpResponse;

namespace {
constexpr Milliseconds kKeyWindow{30 * 60'000};
constexpr Milliseconds kMinute{60'000};
constexpr std::string_view kPrefix = "/api/v2/subscriptions/";
constexpr std::string_view kDelete = "/delete_usage";
}  // namespace

HttpResponse ChargebeeModel::internal_error() const { return vendor_error(500, "internal_error"); }

HttpResponse ChargebeeModel::answer(const upstream::HttpRequest& request, const Arrival& arrival) {
  const auto now = arrival.at;
  if (auto refused = admit(now)) return *refused;
  const std::string_view target = request.target;
  if (!target.starts_with(kPrefix)) {
    complaints_.push_back("a request for " + request.target);
    return vendor_error(404, "site_not_found");
  }
  const auto rest = target.substr(kPrefix.size());
  const auto subscription = percent_decode(rest.substr(0, rest.find('/')), false).value_or("");
  if (request.method == "POST") return change(request, subscription, now);
  const auto query = target.find("?id=");
  if (query == std::string_view::npos) return vendor_error(400, "param_wrong_value");
  return retrieve(percent_decode(target.substr(query + 4), true).value_or(""));
}

std::optional<HttpResponse> ChargebeeModel::admit(WallTime now) {
  if (!credentials_valid_) return vendor_error(401, "api_authentication_failed");
  while (!requests_.empty() && now - requests_.front() >= kMinute) requests_.pop_front();
  if (storm_ || requests_.size() >= rules_.requests_a_minute) {
    auto out = vendor_error(429, "api_request_limit_exceeded");
    if (retry_after_) out.headers.emplace_back("retry-after", "30");
    return out;
  }
  requests_.push_back(now);
  return std::nullopt;
}

HttpResponse ChargebeeModel::change(const upstream::HttpRequest& request, const std::string& subscription,
                                    WallTime now) {
  std::string key;
  std::string content = request.method + " " + request.target + "\n";
  for (const auto& [name, value] : request.headers) {
    content += name + ": " + value + "\n";
    if (name == "chargebee-idempotency-key") key = value;
  }
  content += "\n" + request.body;
  const auto kept = keys_.find(key);
  if (kept != keys_.end() && now - kept->second.at < kKeyWindow && !rules_.forgets_ids) {
    if (kept->second.content != content) {
      complaints_.push_back("the key " + key + " came again with another request");
      return vendor_error(422, "unable_to_process_request");
    }
    auto replay = kept->second.answer;
    replay.headers.emplace_back("chargebee-idempotency-replayed", "true");
    return replay;
  }
  if (key.empty()) complaints_.push_back(request.target + " without an idempotency key");
  const auto fields = testing::form_fields(request.body);
  auto out = std::string_view(request.target).ends_with(kDelete) ? remove(fields, subscription)
                                                                 : create(fields, subscription);
  if (out.status == 200 || rules_.replays_refusals) keys_[key] = {content, out, now};
  return out;
}

ChargebeeModel::Date ChargebeeModel::date_of(const BilledRecord& record) const {
  return {record.subscription, record.item_price,
          rules_.per_day ? record.usage_date / 86'400 : record.usage_date};
}

// Another gateway of the same subscription was there first.
void ChargebeeModel::let_another_in(const Fields& fields, const std::string& subscription, const Date& date) {
  if (!seen_.insert(fields.at("id")).second || taken_.contains(date) ||
      !draws_.percent(rules_.others_percent))
    return;
  const auto other = "other-" + std::to_string(records_.size() + deleted_.size());
  records_[other] = {
      {other, subscription, fields.at("item_price_id"), std::stoll(fields.at("usage_date")), 1'000},
      "1",
      true};
  taken_.insert(date);
}

HttpResponse ChargebeeModel::create(const Fields& fields, const std::string& subscription) {
  for (const auto* name : {"id", "item_price_id", "usage_date", "quantity"})
    if (!fields.contains(name)) {
      complaints_.push_back(std::string("a create without ") + name);
      return vendor_error(400, "param_wrong_value");
    }
  const auto quantity = thousandths(fields.at("quantity"));
  if (!quantity) {
    complaints_.push_back("a quantity of " + fields.at("quantity"));
    return vendor_error(400, "param_wrong_value");
  }
  const auto& id = fields.at("id");
  const Stored stored{
      {id, subscription, fields.at("item_price_id"), std::stoll(fields.at("usage_date")), *quantity},
      fields.at("quantity"),
      false};
  const auto date = date_of(stored.record);
  let_another_in(fields, subscription, date);
  std::string stored_as = id;
  if (rules_.forgets_ids) {
    if (records_.contains(id)) stored_as += "-again-" + std::to_string(++doubled_);
  } else {
    if (records_.contains(id) || (deleted_.contains(id) && !rules_.frees_ids))
      return vendor_error(400, "duplicate_entry");
    if (taken_.contains(date)) return vendor_error(400, "duplicate_entry");
  }
  if (++per_subscription_[subscription] > rules_.lifetime_limit)
    return vendor_error(400, "resource_limit_exhausted");
  taken_.insert(date);
  records_[stored_as] = stored;
  ++version_;
  return usage_answer(stored);
}

HttpResponse ChargebeeModel::remove(const Fields& fields, const std::string& subscription) {
  const auto id = fields.find("id");
  if (id == fields.end() || !seen_.contains(id->second)) {
    complaints_.push_back("a deletion of " + (id == fields.end() ? "nothing" : id->second) +
                          ", which never came");
    return vendor_error(404, "resource_not_found");
  }
  const auto found = records_.find(id->second);
  if (found == records_.end() || found->second.record.subscription != subscription)
    return vendor_error(404, "resource_not_found");
  auto& stored = found->second;
  stored.invoiced = stored.invoiced || draws_.percent(rules_.invoiced_percent);
  if (stored.invoiced) return vendor_error(409, "invalid_state_for_request");
  ++version_;
  auto out = usage_answer(stored);
  if (rules_.forgets_deletions) return out;
  taken_.erase(date_of(stored.record));
  deleted_.insert(id->second);
  records_.erase(found);
  return out;
}

HttpResponse ChargebeeModel::retrieve(const std::string& id) const {
  const auto found = records_.find(id);
  return found == records_.end() ? vendor_error(404, "resource_not_found") : usage_answer(found->second);
}

HttpResponse ChargebeeModel::usage_answer(const Stored& stored) const {
  return testing::json_answer(200,
                              json::serialize(json::object{{"usage",
                                                            {{"id", stored.record.id},
                                                             {"subscription_id", stored.record.subscription},
                                                             {"item_price_id", stored.record.item_price},
                                                             {"usage_date", stored.record.usage_date},
                                                             {"quantity", stored.quantity},
                                                             {"source", "api"},
                                                             {"resource_version", version_},
                                                             {"object", "usage"}}}}));
}

std::vector<BilledRecord> ChargebeeModel::billed() const {
  std::vector<BilledRecord> out;
  for (const auto& [id, stored] : records_)
    if (!stored.of_another) out.push_back(stored.record);
  return out;
}

std::size_t ChargebeeModel::of_others(const std::string& subscription, const std::string& item_price) const {
  const auto is_one = [&](const auto& entry) {
    const auto& record = entry.second.record;
    return entry.second.of_another && record.subscription == subscription && record.item_price == item_price;
  };
  return static_cast<std::size_t>(std::count_if(records_.begin(), records_.end(), is_one));
}

}  // namespace meterd::sim
