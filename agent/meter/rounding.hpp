// How what is counted in bytes is billed in blocks: by a rule with a name and a version, which stands with
// each usage that was sealed by it. What a name means never changes; what is to be billed otherwise gets
// another version.
//
// Version 1: whole blocks of the usage's quantity and what the usage before it left, rounded down; the rest
// is left to the next usage of the series. So over its days a series is billed what it counted, but for less
// than a block.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/meter/price.hpp"

namespace meterd::meter {

inline constexpr const char* kNoRounding = "none";

// "1kB-v1", "10kB-v1", "1MB-v1" (of 1,000), "1KiB-v1", "10KiB-v1", "1MiB-v1" (of 1,024). nullopt: no such
// rule.
std::optional<Price> price_of_rounding(std::string_view name);
std::string rounding_names();  // for a message

// What is left as the next price counts it: another rule gets the same bytes. nullopt: it cannot be, since
// money is no part of a block, or the other rule's part would have more than 38 places.
std::optional<Quantity> carry_over(const Carried& left, const Price& next);

// For operators: "0.5 of a block (1kB-v1): 500 units", "0.0025 in money".
std::string describe(const Carried& left);

}  // namespace meterd::meter
