#include "agent/base/quantity.hpp"

#include <algorithm>
#include <optional>

namespace meterd {
namespace {

constexpr std::uint32_t kChunk = 1'000'000'000;  // nine digits at a time
constexpr int kChunkDigits = 9;
constexpr std::array<std::uint32_t, 10> kPowers{1,       10,        100,        1'000,       10'000,
                                                100'000, 1'000'000, 10'000'000, 100'000'000, kChunk};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A whole number that fits 64 bits whatever its digits; nullopt: read it the long way.
std::optional<std::uint64_t> plain_units(std::string_view text) {
  constexpr std::size_t kDigitsMax = 19;
  if (text.empty() || text.size() > kDigitsMax) return std::nullopt;
  std::uint64_t units = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    units = units * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return units;
}

}  // namespace

// Works on 32-bit halves, because 32-bit ARM has no 128-bit integer. 10^38 has four of them.
Quantity Quantity::of(std::uint64_t units) {
  constexpr std::array<std::uint64_t, 4> kOne{0x00000000, 0x098a2240, 0x5a86c47a, 0x4b3b4ca8};  // 10^38
  const std::array<std::uint64_t, 2> factor{units & 0xFFFFFFFFU, units >> 32U};
  std::array<std::uint64_t, 6> halves{};
  for (std::size_t i = 0; i < factor.size(); ++i) {
    std::uint64_t carry = 0;
    for (std::size_t k = 0; k < kOne.size(); ++k) {
      const std::uint64_t sum = halves[i + k] + factor[i] * kOne[k] + carry;
      halves[i + k] = sum & 0xFFFFFFFFU;
      carry = sum >> 32U;
    }
    halves[i + kOne.size()] = carry;
  }
  Quantity q;
  for (std::size_t i = 0; i < halves.size() / 2; ++i) q.limbs_[i] = halves[2 * i] | halves[2 * i + 1] << 32U;
  return q;
}

Result<Quantity> Quantity::parse(std::string_view text) { return parse_at_most(text, 40); }
Result<Quantity> Quantity::parse_total(std::string_view text) { return parse_at_most(text, 97); }

Result<Quantity> Quantity::parse_at_most(std::string_view text, std::size_t length_max) {
  if (text.size() > length_max)
    return Error{Code::invalid, "quantity is longer than " + std::to_string(length_max) + " characters"};
  if (const auto units = plain_units(text)) return of(*units);  // what nearly all events carry
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative) rest.remove_prefix(1);

  Quantity q;
  bool point = false;
  int places = 0;
  std::size_t whole_digits = 0;
  std::uint32_t chunk = 0;
  int chunk_digits = 0;
  const auto flush = [&] {
    q.multiply_add(kPowers[static_cast<std::size_t>(chunk_digits)], chunk);
    chunk = 0;
    chunk_digits = 0;
  };
  for (const char c : rest) {
    if (c == '.' && !point && whole_digits > 0) {
      point = true;
      continue;
    }
    if (!is_digit(c)) return Error{Code::invalid, "quantity is not a decimal number such as 12 or 0.5"};
    if (point) {
      ++places;
    } else if (c != '0' || whole_digits > 0) {
      ++whole_digits;
    } else if (whole_digits == 0) {
      whole_digits = 1;  // a leading zero counts as the one whole digit that the grammar needs
    }
    chunk = chunk * 10 + static_cast<std::uint32_t>(c - '0');
    if (++chunk_digits == kChunkDigits) flush();
  }
  if (whole_digits == 0 || (point && places == 0))
    return Error{Code::invalid, "quantity is not a decimal number such as 12 or 0.5"};
  if (places > kPlaces || whole_digits > 57) return Error{Code::invalid, "quantity has too many digits"};
  if (chunk_digits > 0) flush();
  for (int missing = kPlaces - places; missing > 0;) {
    const int step = std::min(missing, kChunkDigits);
    q.multiply_add(kPowers[static_cast<std::size_t>(step)], 0);
    missing -= step;
  }
  return negative ? -q : q;
}

// The value divided by 10^38, if that is a whole number of 64 bits: what nearly all quantities are. 10^38 is
// 2^38 times 5^13 twice and 5^12.
std::optional<std::uint64_t> Quantity::whole() const {
  constexpr unsigned kShift = 38;
  constexpr std::array<std::uint32_t, 3> kFives{1'220'703'125, 1'220'703'125, 244'140'625};
  constexpr std::uint64_t kLowBits = (std::uint64_t{1} << kShift) - 1;
  if (limbs_[3] != 0 || limbs_[4] != 0 || (limbs_[0] & kLowBits) != 0) return std::nullopt;
  Quantity rest;
  for (std::size_t i = 0; i < 3; ++i)
    rest.limbs_[i] = limbs_[i] >> kShift | (i < 2 ? limbs_[i + 1] << (64 - kShift) : 0);
  for (const auto five : kFives)
    if (rest.divide(five) != 0) return std::nullopt;
  if (rest.limbs_[1] != 0 || rest.limbs_[2] != 0) return std::nullopt;
  return rest.limbs_[0];
}

std::string Quantity::text() const {
  if (const auto units = whole()) return std::to_string(*units);
  constexpr std::size_t kDigitsMax = 12 * kChunkDigits;  // 320 bits have 97
  std::array<char, kDigitsMax> digits{};                 // filled from its end
  char* const end = digits.data() + digits.size();
  char* const point = end - kPlaces;
  char* first = end;
  const bool negative = is_negative();
  Quantity rest = negative ? -*this : *this;
  while (!rest.is_zero() || first >= point) {
    std::uint32_t chunk = rest.divide(kChunk);
    for (int i = 0; i < kChunkDigits; ++i) {
      *--first = static_cast<char>('0' + chunk % 10);
      chunk /= 10;
    }
  }
  while (first + 1 < point && *first == '0') ++first;
  char* last = end;
  while (last > point && last[-1] == '0') --last;
  std::string out(negative ? "-" : "");
  out.append(first, point);
  if (last > point) out.append(1, '.').append(point, last);
  return out;
}

bool Quantity::is_zero() const {
  return std::all_of(limbs_.begin(), limbs_.end(), [](std::uint64_t limb) { return limb == 0; });
}

Quantity& Quantity::operator+=(const Quantity& other) {
  const bool was_negative = is_negative();
  const bool same_sign = was_negative == other.is_negative();
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < kLimbs; ++i) {
    std::uint64_t sum = 0;
    const bool first = __builtin_add_overflow(limbs_[i], other.limbs_[i], &sum);
    const bool second = __builtin_add_overflow(sum, carry, &limbs_[i]);
    carry = static_cast<std::uint64_t>(first || second);
  }
  check(!same_sign || is_negative() == was_negative, "a quantity total stays below 10^57");
  return *this;
}

Quantity& Quantity::operator-=(const Quantity& other) { return *this += -other; }

Quantity Quantity::operator-() const {
  Quantity out;
  std::uint64_t carry = 1;
  for (std::size_t i = 0; i < kLimbs; ++i)
    carry = static_cast<std::uint64_t>(__builtin_add_overflow(~limbs_[i], carry, &out.limbs_[i]));
  return out;
}

// Works on 32-bit halves, because 32-bit ARM has no 128-bit integer.
std::optional<Quantity> Quantity::times(const Quantity& other) const {
  constexpr std::size_t kHalves = 2 * kLimbs;
  const auto halves_of = [](const Quantity& q) {
    const Quantity plain = q.is_negative() ? -q : q;
    std::array<std::uint64_t, kHalves> out{};
    for (std::size_t i = 0; i < kHalves; ++i) out[i] = (plain.limbs_[i / 2] >> (i % 2 * 32)) & 0xFFFFFFFFU;
    return out;
  };
  const auto a = halves_of(*this);
  const auto b = halves_of(other);
  std::array<std::uint64_t, 2 * kHalves> product{};  // of the scaled numbers: 10^38 times too large
  for (std::size_t i = 0; i < kHalves; ++i) {
    std::uint64_t carry = 0;
    for (std::size_t k = 0; k < kHalves; ++k) {
      const std::uint64_t sum = product[i + k] + a[i] * b[k] + carry;
      product[i + k] = sum & 0xFFFFFFFFU;
      carry = sum >> 32U;
    }
    product[i + kHalves] = carry;
  }
  for (int digits = kPlaces; digits > 0; digits -= kChunkDigits) {
    const std::uint64_t divisor = kPowers[static_cast<std::size_t>(std::min(digits, kChunkDigits))];
    std::uint64_t remainder = 0;
    for (std::size_t i = product.size(); i-- > 0;) {
      const std::uint64_t part = remainder << 32U | product[i];
      product[i] = part / divisor;
      remainder = part % divisor;
    }
    if (remainder != 0) return std::nullopt;
  }
  Quantity out;
  for (std::size_t i = 0; i < kHalves; ++i) out.limbs_[i / 2] |= product[i] << (i % 2 * 32);
  const bool fits =
      std::all_of(product.begin() + kHalves, product.end(), [](auto half) { return half == 0; });
  if (!fits || out.is_negative()) return std::nullopt;
  return is_negative() != other.is_negative() ? -out : out;
}

Quantity Quantity::cut_to(int places) const {
  Quantity out = is_negative() ? -*this : *this;
  for (int digits = kPlaces - places; digits > 0; digits -= kChunkDigits)
    out.divide(kPowers[static_cast<std::size_t>(std::min(digits, kChunkDigits))]);
  for (int digits = kPlaces - places; digits > 0; digits -= kChunkDigits)
    out.multiply_add(kPowers[static_cast<std::size_t>(std::min(digits, kChunkDigits))], 0);
  return is_negative() ? -out : out;
}

std::strong_ordering operator<=>(const Quantity& a, const Quantity& b) {
  if (a.is_negative() != b.is_negative())
    return a.is_negative() ? std::strong_ordering::less : std::strong_ordering::greater;
  for (std::size_t i = Quantity::kLimbs; i-- > 0;)
    if (a.limbs_[i] != b.limbs_[i]) return a.limbs_[i] <=> b.limbs_[i];
  return std::strong_ordering::equal;
}

// Works on 32-bit halves, because 32-bit ARM has no 128-bit integer.
void Quantity::multiply_add(std::uint32_t factor, std::uint32_t addend) {
  std::uint64_t carry = addend;
  for (auto& limb : limbs_) {
    const std::uint64_t low = (limb & 0xFFFFFFFFU) * factor + carry;
    const std::uint64_t high = (limb >> 32U) * factor + (low >> 32U);
    limb = (high << 32U) | (low & 0xFFFFFFFFU);
    carry = high >> 32U;
  }
}

std::uint32_t Quantity::divide(std::uint32_t divisor) {
  std::uint64_t remainder = 0;
  std::size_t used = kLimbs;
  while (used > 0 && limbs_[used - 1] == 0) --used;
  for (std::size_t i = used; i-- > 0;) {
    const std::uint64_t high = (remainder << 32U) | (limbs_[i] >> 32U);
    const std::uint64_t low = ((high % divisor) << 32U) | (limbs_[i] & 0xFFFFFFFFU);
    limbs_[i] = ((high / divisor) << 32U) | (low / divisor);
    remainder = low % divisor;
  }
  return static_cast<std::uint32_t>(remainder);
}

}  // namespace meterd
