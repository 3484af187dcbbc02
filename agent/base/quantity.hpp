// Quantity: an exact decimal. Fixed point, 38 places, 320-bit two's complement: every quantity of up to 40
// characters (the vendor's limit for a usage) is exact, and totals hold 57 digits before the point and 38
// after. Addition is exact and never rounds; overflow is impossible below 10^17 usages of the largest size
// and aborts the process rather than wrapping. No double touches a quantity.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/result.hpp"

namespace meterd {

class Quantity {
 public:
  static constexpr int kPlaces = 38;

  constexpr Quantity() = default;
  static Quantity of(std::uint64_t units);

  // Grammar: ["-"] digits ["." digits], at most 40 characters, ASCII. No sign "+", no exponent, no spaces.
  static Result<Quantity> parse(std::string_view text);
  // The same without the 40-character limit: for totals that meterd itself wrote (at most 96 characters).
  static Result<Quantity> parse_total(std::string_view text);

  // The shortest exact text: "5", "0.1", "-12.355". parse_total(text()) == *this.
  std::string text() const;
  // Whether it fits a usage's quantity: text() has at most 40 characters.
  bool fits_usage() const { return text().size() <= 40; }

  // The exact product; nullopt if it has more than 38 places or does not fit.
  std::optional<Quantity> times(const Quantity& other) const;
  // Without the digits behind the first `places` (0 to 38) after the point: towards zero.
  Quantity cut_to(int places) const;

  bool is_zero() const;
  bool is_negative() const { return (limbs_[kLimbs - 1] >> 63U) != 0; }

  Quantity& operator+=(const Quantity& other);
  Quantity& operator-=(const Quantity& other);
  Quantity operator-() const;
  friend Quantity operator+(Quantity a, const Quantity& b) { return a += b; }
  friend Quantity operator-(Quantity a, const Quantity& b) { return a -= b; }

  friend bool operator==(const Quantity&, const Quantity&) = default;
  friend std::strong_ordering operator<=>(const Quantity& a, const Quantity& b);

 private:
  static constexpr std::size_t kLimbs = 5;  // little-endian 64-bit limbs

  static Result<Quantity> parse_at_most(std::string_view text, std::size_t length_max);
  void multiply_add(std::uint32_t factor, std::uint32_t addend);
  std::uint32_t divide(std::uint32_t divisor);
  std::optional<std::uint64_t> whole() const;

  std::array<std::uint64_t, kLimbs> limbs_{};
};

}  // namespace meterd
