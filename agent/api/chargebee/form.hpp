// Parameters as they come, in a form (application/x-www-form-urlencoded) or in a query, and what holds for
// all of them whatever they mean: nothing malformed is guessed at, and no name comes twice.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/api/chargebee/error.hpp"

namespace meterd::api::chargebee {

inline constexpr std::size_t kFormParametersMax = 100;

using Parameters = std::vector<std::pair<std::string, std::string>>;  // decoded, in order

// Appends the form's parameters to `out`, which is worth nothing after an error. An empty body has none.
[[nodiscard]] std::optional<ApiError> read_form(std::string_view body, Parameters& out);

// For those of a query, which were decoded before: UTF-8 without control characters (a value may have tabs
// and line ends), no name empty, no name twice.
[[nodiscard]] std::optional<ApiError> check_parameters(const Parameters& parameters);

// Unicode code points: what the vendor counts as characters. `text` is valid UTF-8.
std::size_t characters(std::string_view text);

}  // namespace meterd::api::chargebee
