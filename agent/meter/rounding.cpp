#include "agent/meter/rounding.hpp"

#include <algorithm>
#include <iterator>

#include "agent/base/result.hpp"

namespace meterd::meter {
namespace {

struct Rule {
  const char* name;
  std::uint64_t block;
  const char* part;  // one unit, in blocks: exactly
};
constexpr Rule kRules[] = {
    {"1kB-v1", 1'000, "0.001"},
    {"10kB-v1", 10'000, "0.0001"},
    {"1MB-v1", 1'000'000, "0.000001"},
    {"1KiB-v1", 1'024, "0.0009765625"},
    {"10KiB-v1", 10'240, "0.00009765625"},
    {"1MiB-v1", 1'048'576, "0.00000095367431640625"},
};

const Rule* find_rule(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kRules), std::end(kRules), [&](const Rule& rule) { return name == rule.name; });
  return found == std::end(kRules) ? nullptr : found;
}

}  // namespace

std::optional<Price> price_of_rounding(std::string_view name) {
  const auto* rule = find_rule(name);
  if (rule == nullptr) return std::nullopt;
  const auto part = Quantity::parse(rule->part);
  check(part.ok(), "the rules' numbers are numbers");
  return Price{*part, 0, rule->name};
}

std::string rounding_names() {
  std::string out = std::string("\"") + kNoRounding + "\"";
  for (const auto& rule : kRules) out += std::string(", \"") + rule.name + "\"";
  return out;
}

namespace {

std::optional<Quantity> units_of(const Carried& left) {
  const auto* rule = find_rule(left.rounding);
  return rule == nullptr ? std::nullopt : left.amount.times(Quantity::of(rule->block));
}

}  // namespace

std::optional<Quantity> carry_over(const Carried& left, const Price& next) {
  if (left.amount.is_zero() || left.rounding == next.rounding) return left.amount;
  const auto units = units_of(left);
  if (!units || next.rounding.empty()) return std::nullopt;
  return units->times(next.unit);
}

std::string describe(const Carried& left) {
  if (left.rounding.empty()) return left.amount.text() + " in money";
  const auto units = units_of(left);
  return left.amount.text() + " of a block (" + left.rounding + ")" +
         (units ? ": " + units->text() + " units" : std::string());
}

}  // namespace meterd::meter
