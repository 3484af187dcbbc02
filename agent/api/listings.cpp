#include "agent/api/listings.hpp"

#include <boost/json.hpp>

#include "agent/base/limits.hpp"

namespace meterd::api {
namespace {

namespace json = boost::json;

json::object coordinates(const meter::BucketKey& key) {
  return {{"upstream", key.series.upstream.value()},
          {"subscription_id", key.series.subscription.value()},
          {"item_price_id", key.series.item_price.value()},
          {"usage_day", key.day.iso()}};
}

json::value instant(std::int64_t ms) {
  if (ms == 0) return nullptr;
  return json::string(rfc3339(WallTime{Milliseconds(ms)}));
}

json::value next_attempt(const journal::UsageRecord& record, const journal::Moment& now) {
  if (journal::state_of(record) != journal::UsageState::waiting || record.due_boot() != now.boot.boot_number)
    return nullptr;
  const auto wait = Milliseconds(record.due_ms() - now.boot.since_boot_ms);
  if (wait <= Milliseconds(0)) return nullptr;
  return json::string(rfc3339(now.wall + wait));
}

}  // namespace

std::string buckets_json(const std::vector<journal::BucketRow>& rows,
                         const std::vector<journal::UndatedRow>& undated) {
  json::array without_day;
  for (const auto& row : undated)
    without_day.push_back(json::object{{"boot", row.boot_number},
                                       {"upstream", row.series.upstream.value()},
                                       {"subscription_id", row.series.subscription.value()},
                                       {"item_price_id", row.series.item_price.value()},
                                       {"quantity", row.tally.quantity.text()},
                                       {"events", row.tally.events},
                                       {"seconds", row.seconds}});
  json::array out;
  for (const auto& row : rows) {
    auto object = coordinates(row.key);
    object["quantity"] = row.quantity.text();
    object["events"] = row.events;
    object["seal_due"] = rfc3339(WallTime::from_seconds(row.seal_due_s));
    out.push_back(std::move(object));
  }
  return json::serialize(json::object{{"buckets", std::move(out)},
                                      {"undated", std::move(without_day)},
                                      {"truncated", rows.size() >= limits::kListRowsMax}});
}

std::string audit_json(const std::vector<journal::AuditRecord>& rows) {
  json::array out;
  for (const auto& row : rows)
    out.push_back(json::object{{"at", rfc3339(WallTime{Milliseconds(row.at_ms())})},
                               {"clock_trusted", row.trusted()},
                               {"by", row.by()},
                               {"act", row.act()},
                               {"detail", row.detail()}});
  return json::serialize(
      json::object{{"audit", std::move(out)}, {"truncated", rows.size() >= limits::kListRowsMax}});
}

std::string balances_json(const std::vector<journal::BalanceRow>& rows) {
  json::array out;
  for (const auto& row : rows) {
    const auto& b = row.balance;
    auto object = coordinates(row.key);
    object["accepted"] = b.accepted.text();
    object["open"] = b.open.text();
    object["waiting"] = b.waiting.text();
    object["in_doubt"] = b.in_doubt.text();
    object["parked"] = b.parked.text();
    object["delivered"] = b.delivered.text();
    object["withdrawn"] = b.withdrawn.text();
    object["set_aside"] = b.set_aside.text();
    out.push_back(std::move(object));
  }
  return json::serialize(
      json::object{{"balances", std::move(out)}, {"truncated", rows.size() >= limits::kListRowsMax}});
}

std::string outbox_json(const std::vector<journal::StoredUsage>& rows, const std::vector<UpstreamName>& held,
                        const journal::Moment& now) {
  json::array out;
  for (const auto& row : rows) {
    const auto& record = row.record;
    out.push_back(json::object{
        {"id", record.id()},
        {"upstream", record.upstream()},
        {"subscription_id", record.subscription_id()},
        {"item_price_id", record.item_price_id()},
        {"usage_date", record.usage_date()},
        {"quantity", record.quantity()},
        {"amount", record.amount().empty() ? json::value(nullptr) : json::value(record.amount())},
        {"state", name_of(journal::state_of(record))},
        {"attempts", record.attempts()},
        {"last_attempt", instant(record.last_attempt_ms())},
        {"next_attempt", next_attempt(record, now)},
        {"last_error", record.last_error()},
        {"deletes", record.deletes() != 0}});
  }
  json::array names;
  for (const auto& name : held) names.emplace_back(name.value());
  return json::serialize(json::object{{"outbox", std::move(out)},
                                      {"held", std::move(names)},
                                      {"truncated", rows.size() >= limits::kListRowsMax}});
}

std::string verify_json(const journal::CheckReport& report) {
  return json::serialize(json::object{
      {"balances", report.balances},
      {"usages", report.usages},
      {"accepted", report.accepted.text()},
      {"open", report.open.text()},
      {"waiting", report.waiting.text()},
      {"in_doubt", report.in_doubt.text()},
      {"parked", report.parked.text()},
      {"delivered", report.delivered.text()},
      {"withdrawn", report.withdrawn.text()},
      {"set_aside", report.set_aside.text()},
      {"set_aside_records", json::array(report.set_aside_records.begin(), report.set_aside_records.end())},
      {"problems", json::array(report.problems.begin(), report.problems.end())}});
}

}  // namespace meterd::api
