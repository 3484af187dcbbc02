#include "agent/api/chargebee/attributes.hpp"

#include <algorithm>

#include "agent/api/chargebee/form.hpp"
#include "agent/base/text.hpp"

namespace meterd::api::chargebee {

std::string at_most(std::size_t characters) {
  return "is longer than " + std::to_string(characters) + " characters";
}

std::optional<ApiError> check_id(std::string_view param, std::string_view value, std::size_t characters_max) {
  if (value.empty()) return wrong_value(param, "cannot be blank");
  if (!is_clean_text(value, value.size()))
    return wrong_value(param, "must be UTF-8 without control characters");
  if (characters(value) > characters_max) return wrong_value(param, at_most(characters_max));
  if (value.size() > kIdBytesMax)
    return wrong_value(param, "is longer than " + std::to_string(kIdBytesMax) + " bytes of UTF-8");
  return std::nullopt;
}

std::optional<ApiError> read_quantity(const std::string& text, usages::Draft& draft) {
  if (text.empty()) return wrong_value("quantity", "cannot be blank");
  auto quantity = Quantity::parse(text);
  if (!quantity)
    return wrong_value("quantity", "must be a decimal number of at most 40 characters, such as 12 or 0.5");
  if (quantity->is_zero() || quantity->is_negative())
    return wrong_value("quantity", "must be greater than zero");
  draft.quantity = *quantity;
  draft.given_quantity = text;
  return std::nullopt;
}

std::optional<std::int64_t> seconds_of(std::string_view text) {
  constexpr std::size_t kDigitsMax = 10;
  const auto seconds = text.size() <= kDigitsMax ? parse_unsigned(text) : std::nullopt;
  if (!seconds) return std::nullopt;
  return static_cast<std::int64_t>(*seconds);
}

bool is_custom_field(std::string_view name) {
  constexpr std::string_view kPrefix = "cf_";
  constexpr std::size_t kNameMax = 50;
  if (!name.starts_with(kPrefix)) return false;
  name.remove_prefix(kPrefix.size());
  return !name.empty() && name.size() <= kNameMax && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace meterd::api::chargebee
