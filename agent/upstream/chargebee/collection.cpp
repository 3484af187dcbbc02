// What Chargebee has of a subscription, and what it prints: lists and documents.
#include "agent/base/text.hpp"
#include "agent/upstream/chargebee/outcome.hpp"

namespace meterd::upstream::chargebee {
namespace {

constexpr std::size_t kIdBytesMax = 400;        // 100 characters of UTF-8
constexpr std::size_t kInvoiceBytesMax = 200;   // 50
constexpr std::size_t kUrlBytesMax = 3'500;     // seed 002, download_url
constexpr std::size_t kOffsetBytesMax = 1'000;  // seed 002, offset

using Kind = Scalar::Kind;

// An upstream's own text that meterd will keep or show; absent is empty.
std::optional<std::string> kept_text(const Members& members, std::string_view name, std::size_t length_max) {
  const auto* text = text_of(members, name);
  if (text == nullptr || text->empty()) return std::string();
  if (!is_clean_text(*text, length_max)) return std::nullopt;
  return *text;
}

std::optional<ListedUsage> read_usage(const SubscriptionId& subscription, const Members& members) {
  const auto* of = text_of(members, "subscription_id");
  const auto* date = text_of(members, "usage_date", Kind::number);
  const auto* quantity = text_of(members, "quantity");
  if (quantity == nullptr) quantity = text_of(members, "quantity", Kind::number);
  auto id = kept_text(members, "id", kIdBytesMax);
  auto item_price = kept_text(members, "item_price_id", kIdBytesMax);
  auto invoice = kept_text(members, "invoice_id", kInvoiceBytesMax);
  auto line_item = kept_text(members, "line_item_id", kInvoiceBytesMax);
  if (of == nullptr || *of != subscription.value() || date == nullptr || quantity == nullptr)
    return std::nullopt;
  if (!id || id->empty() || !item_price || item_price->empty() || !invoice || !line_item) return std::nullopt;
  const auto seconds = parse_unsigned(*date);
  if (!seconds || *seconds > INT32_MAX * std::uint64_t{1'000} || quantity->size() > kIdBytesMax)
    return std::nullopt;
  ListedUsage out;
  out.id = UsageId(std::move(*id));
  out.item_price = ItemPriceId(std::move(*item_price));
  out.usage_date = static_cast<std::int64_t>(*seconds);
  out.quantity = *quantity;
  out.invoice = std::move(*invoice);
  out.line_item = std::move(*line_item);
  return out;
}

Verdict unreadable(const std::string& what) {
  return {Outcome::unavailable, std::nullopt, "200, but " + what + ": captive portal or proxy?", {}};
}

}  // namespace

Answered<ListPage> judge_list(const SubscriptionId& subscription, const Exchange& exchange) {
  if (const auto* lost = std::get_if<TransportError>(&exchange)) return {std::nullopt, judge_lost(*lost)};
  const auto& response = std::get<HttpResponse>(exchange);
  const auto answer = read_answer(response.body);
  if (response.status != 200) return {std::nullopt, judge_error(response, answer)};
  if (!answer || !answer->is_list) return {std::nullopt, unreadable("not a list of usages")};
  const auto refuse = [](const std::string& what) {
    return Answered<ListPage>{std::nullopt, {Outcome::rejected, std::nullopt, "200, but " + what, {}}};
  };
  if (answer->usages.size() > kListRows) return refuse("more usages than were asked for");
  ListPage page;
  for (const auto& members : answer->usages) {
    auto usage = read_usage(subscription, members);
    if (!usage)
      return refuse("a usage in the list cannot be read, or is not of the subscription that was asked for");
    page.usages.push_back(std::move(*usage));
  }
  if (const auto* next = text_of(answer->root, "next_offset")) page.next_offset = *next;
  if (page.next_offset.size() > kOffsetBytesMax || (page.usages.empty() && !page.next_offset.empty()))
    return refuse("it cannot be told where the list goes on");
  return {std::move(page), {}};
}

Answered<std::string> judge_statement(const Exchange& exchange) {
  if (const auto* lost = std::get_if<TransportError>(&exchange)) return {std::nullopt, judge_lost(*lost)};
  const auto& response = std::get<HttpResponse>(exchange);
  const auto answer = read_answer(response.body);
  if (response.status != 200) return {std::nullopt, judge_error(response, answer)};
  const auto* url = answer ? text_of(answer->download, "download_url") : nullptr;
  if (url == nullptr || !is_clean_text(*url, kUrlBytesMax))
    return {std::nullopt, unreadable("no download_url")};
  return {*url, {}};
}

}  // namespace meterd::upstream::chargebee
