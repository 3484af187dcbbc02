#include "agent/meter/price.hpp"

#include <algorithm>
#include <string>

namespace meterd::meter {

std::optional<Charge> charge_for(const Quantity& quantity, const Price& price, const Quantity& carry_in) {
  const auto exact = quantity.times(price.unit);
  if (!exact) return std::nullopt;
  const Quantity due = *exact + carry_in;
  const Quantity amount = due.cut_to(price.decimals);
  return Charge{amount, price.unit, carry_in, due - amount, price.rounding};
}

bool adds_up(const Quantity& quantity, const Charge& charge) {
  const auto exact = quantity.times(charge.unit_price);
  return exact && charge.amount + charge.carry_out == *exact + charge.carry_in;
}

bool fits_a_double(const Quantity& amount) {
  std::string digits = amount.text();
  digits.erase(std::remove_if(digits.begin(), digits.end(), [](char c) { return c == '.' || c == '-'; }),
               digits.end());
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.find_last_not_of('0') == std::string::npos) return true;
  return digits.find_last_not_of('0') < static_cast<std::size_t>(kAmountDigitsMax);
}

}  // namespace meterd::meter
