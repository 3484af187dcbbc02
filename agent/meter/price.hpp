// Units to money: what a usage costs where the upstream bills amounts. Pure.
#pragma once

#include <optional>
#include <string>

#include "agent/base/quantity.hpp"

namespace meterd::meter {

inline constexpr int kPricePlacesMax = 12;  // of a unit price; what is counted may have 26 places then
inline constexpr int kAmountDigitsMax =
    15;  // significant ones: as many as a double, which a vendor may use, keeps

// Of one item price at one upstream.
struct Price {
  Quantity unit;     // money for one unit, in the upstream's local currency; more than zero
  int decimals = 2;  // places of an amount, 0 to 9
  // Empty: money. Otherwise the name of the rounding by which blocks are billed instead of units
  // (rounding.hpp): the price of a unit is then its part of a block, the amount is blocks.
  std::string rounding = {};
  bool operator==(const Price&) const = default;
};

// What the charges of a series have left: money, or a part of a block of that rounding.
struct Carried {
  Quantity amount;
  std::string rounding;
};

// amount + carry_out == quantity * unit_price + carry_in, exactly.
struct Charge {
  Quantity amount;  // what is billed: rounded down to the price's decimals
  Quantity unit_price;
  Quantity carry_in;          // the usage before it left this
  Quantity carry_out;         // and the one behind it gets this
  std::string rounding = {};  // the price's
  bool operator==(const Charge&) const = default;
};

// Of a quantity that is not negative; nullopt: it has so many places that the product would have more
// than 38.
std::optional<Charge> charge_for(const Quantity& quantity, const Price& price, const Quantity& carry_in);

bool adds_up(const Quantity& quantity, const Charge& charge);

// Whether an upstream that reads numbers as doubles gets the amount to the last digit.
bool fits_a_double(const Quantity& amount);

}  // namespace meterd::meter
