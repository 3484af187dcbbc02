// What the attributes of a usage may be, whichever call brings them: the seed's lengths in characters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/api/chargebee/error.hpp"
#include "agent/usages/draft.hpp"

namespace meterd::api::chargebee {

inline constexpr std::size_t kIdCharactersMax = 100;  // id, item_price_id, subscription_id, invoice_id
inline constexpr std::size_t kIdBytesMax = 200;       // several stand in one key of the journal
inline constexpr std::size_t kPdfInvoiceCharactersMax = 50;
inline constexpr std::size_t kNoteCharactersMax = 500;
inline constexpr std::size_t kCustomFieldCharactersMax = 250;

// "is longer than 500 characters".
std::string at_most(std::size_t characters);

[[nodiscard]] std::optional<ApiError> check_id(std::string_view param, std::string_view value,
                                               std::size_t characters_max);

// Above zero, exact; the draft keeps the text too.
[[nodiscard]] std::optional<ApiError> read_quantity(const std::string& text, usages::Draft& draft);

// A timestamp: one to ten digits.
std::optional<std::int64_t> seconds_of(std::string_view text);

bool is_custom_field(std::string_view name);

}  // namespace meterd::api::chargebee
