#include "agent/api/chargebee/answers.hpp"

#include <array>
#include <charconv>

#include "agent/api/http.hpp"

namespace meterd::api::chargebee {
namespace {

constexpr std::size_t kUsageBytes = 400;  // of one without a note
constexpr std::int64_t kMillisecondsPerSecond = 1000;

void append_number(std::string& out, std::int64_t number) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

// `name` with its quotes, its colon and the comma before it, if there is one.
void member(std::string& out, std::string_view name, std::int64_t number) {
  out.append(name);
  append_number(out, number);
}
void member(std::string& out, std::string_view name, std::string_view text) {
  out.append(name);
  append_json_string(out, text);
}
void member_if_any(std::string& out, std::string_view name, std::string_view text) {
  if (!text.empty()) member(out, name, text);
}

std::string_view name_of(journal::v0::UsageSource source) {
  switch (source) {
    case journal::v0::API:
      return "api";
    case journal::v0::ADMIN_CONSOLE:
      return "admin_console";
    default:
      return "bulk_operation";
  }
}

std::string_view quantity_of(const journal::UsageRecord& record) {
  if (!record.given_quantity().empty()) return record.given_quantity();
  if (!record.rounding().empty()) return record.amount();
  return record.quantity().empty() ? std::string_view("0") : std::string_view(record.quantity());
}

void append_usage(std::string& out, const journal::UsageRecord& record) {
  member(out, R"({"usage":{"created_at":)", record.created_at_ms() / kMillisecondsPerSecond);
  for (const auto& field : record.custom_fields()) {
    out.push_back(',');
    append_json_string(out, field.name());
    out.push_back(':');
    append_json_string(out, field.value());
  }
  member(out, R"(,"id":)", record.id());
  member_if_any(out, R"(,"invoice_id":)", record.invoice_id());
  member(out, R"(,"item_price_id":)", record.item_price_id());
  member_if_any(out, R"(,"line_item_id":)", record.line_item_id());
  member_if_any(out, R"(,"note":)", record.note());
  member(out, R"(,"object":"usage","quantity":)", quantity_of(record));
  // Usages of before there were versions have none.
  if (record.resource_version() > 0) member(out, R"(,"resource_version":)", record.resource_version());
  member(out, R"(,"source":)", name_of(record.source()));
  member(out, R"(,"subscription_id":)", record.subscription_id());
  if (record.resource_version() > 0)
    member(out, R"(,"updated_at":)", record.resource_version() / kMillisecondsPerSecond);
  member(out, R"(,"usage_date":)", record.usage_date());
  out += "}}";
}

}  // namespace

std::string usage_answer(const journal::UsageRecord& record) {
  std::string out;
  out.reserve(kUsageBytes + record.note().size());
  append_usage(out, record);
  return out;
}

std::string list_answer(std::span<const journal::StoredUsage> page, std::string_view next_offset) {
  std::string out;
  out.reserve((page.size() + 1) * kUsageBytes);
  out += R"({"list":[)";
  for (const auto& usage : page) {
    if (&usage != page.data()) out.push_back(',');
    append_usage(out, usage.record);
  }
  out.push_back(']');
  member_if_any(out, R"(,"next_offset":)", next_offset);
  out.push_back('}');
  return out;
}

std::string download_answer(std::string_view url, std::int64_t valid_till) {
  std::string out;
  member(out, R"({"download":{"download_url":)", url);
  member(out, R"(,"object":"download","valid_till":)", valid_till);
  out += "}}";
  return out;
}

}  // namespace meterd::api::chargebee
