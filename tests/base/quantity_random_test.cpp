// Quantity against arbitrary-precision integers: another implementation of the same arithmetic.
#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_int.hpp>
#include <random>

#include "agent/base/quantity.hpp"
#include "tests/base/seed.hpp"
#include "tests/support/rounds.hpp"

namespace meterd {
namespace {

using boost::multiprecision::cpp_int;
using Generator = std::mt19937_64;

std::size_t below(Generator& random, std::size_t limit) { return static_cast<std::size_t>(random() % limit); }

// A decimal of at most `length_max` characters, in the grammar; lengths and zero runs of every kind.
std::string decimal(Generator& random, std::size_t length_max) {
  std::string out = below(random, 3) == 0 ? "-" : "";
  const std::size_t places = below(random, 39);
  const std::size_t fraction = places == 0 ? 0 : places + 1;
  const std::size_t room = length_max - out.size() > fraction ? length_max - out.size() - fraction : 0;
  if (room == 0) return "1";
  const std::size_t whole = 1 + below(random, std::min<std::size_t>(room, 57));
  const char favoured = static_cast<char>('0' + below(random, 10));
  const auto digit = [&] {
    return below(random, 2) == 0 ? favoured : static_cast<char>('0' + below(random, 10));
  };
  for (std::size_t i = 0; i < whole; ++i) out.push_back(digit());
  if (places > 0) out.push_back('.');
  for (std::size_t i = 0; i < places; ++i) out.push_back(digit());
  return out;
}

cpp_int scaled(std::string text) {  // in units of 10^-38
  const bool negative = text.front() == '-';
  if (negative) text.erase(0, 1);
  const auto point = text.find('.');
  std::size_t places = 0;
  if (point != std::string::npos) {
    places = text.size() - point - 1;
    text.erase(point, 1);
  }
  text.append(Quantity::kPlaces - places, '0');
  const auto first = text.find_first_not_of('0');
  cpp_int value(first == std::string::npos ? "0" : text.substr(first));  // a leading 0 would mean octal
  return negative ? cpp_int(-value) : value;
}

std::string text_of(const cpp_int& value) {
  const bool negative = value < 0;
  std::string digits = cpp_int(negative ? -value : value).str();
  if (digits.size() <= Quantity::kPlaces) digits.insert(0, Quantity::kPlaces + 1 - digits.size(), '0');
  digits.insert(digits.size() - Quantity::kPlaces, 1, '.');
  digits.erase(digits.find_last_not_of('0') + 1);
  if (digits.back() == '.') digits.pop_back();
  return negative ? "-" + digits : digits;
}

TEST(QuantityRandom, AgreesWithArbitraryPrecisionInTextSumDifferenceAndOrder) {
  Generator random(testing::announced_seed("base_test", 20'261'122));
  for (int i = 0; i < testing::rounds(20'000); ++i) {
    const std::string x = decimal(random, 40);
    const std::string y = below(random, 10) == 0 ? x : decimal(random, below(random, 2) == 0 ? 40 : 95);
    const auto a = Quantity::parse(x);
    const auto b = Quantity::parse_total(y);
    ASSERT_TRUE(a.ok()) << x;
    ASSERT_TRUE(b.ok()) << y;
    const cpp_int m = scaled(x);
    const cpp_int n = scaled(y);
    ASSERT_EQ(a->text(), text_of(m)) << x;
    ASSERT_EQ(b->text(), text_of(n)) << y;
    ASSERT_EQ((*a + *b).text(), text_of(m + n)) << x << " + " << y;
    ASSERT_EQ((*a - *b).text(), text_of(m - n)) << x << " - " << y;
    ASSERT_EQ((-*a).text(), text_of(-m)) << x;
    ASSERT_EQ(*a < *b, m < n) << x << " < " << y;
    ASSERT_EQ(*a == *b, m == n) << x << " == " << y;
    ASSERT_EQ(a->is_zero(), m == 0) << x;
    ASSERT_EQ(a->is_negative(), m < 0) << x;
  }
}

TEST(QuantityRandom, AddsUpLongSeriesInAnyOrderToTheSameTotal) {
  Generator random(testing::announced_seed("base_test", 7));
  std::vector<std::string> texts(2'000);
  cpp_int reference = 0;
  Quantity total;
  for (auto& text : texts) {
    text = decimal(random, 40);
    reference += scaled(text);
    total += *Quantity::parse(text);
  }
  EXPECT_EQ(total.text(), text_of(reference));
  std::shuffle(texts.begin(), texts.end(), random);
  Quantity shuffled;
  for (const auto& text : texts) shuffled += *Quantity::parse(text);
  EXPECT_EQ(shuffled, total);
  for (const auto& text : texts) shuffled -= *Quantity::parse(text);
  EXPECT_TRUE(shuffled.is_zero());
}

TEST(QuantityRandom, NeverTakesWhatItsGrammarDoesNotHold) {
  Generator random(testing::announced_seed("base_test", 99));
  constexpr std::string_view kAlphabet = "0019.-+e x";
  for (int i = 0; i < testing::rounds(50'000); ++i) {
    std::string text(below(random, 8), ' ');
    for (auto& c : text) c = kAlphabet[below(random, kAlphabet.size())];
    // ["-"] digits ["." digits], written here as a small automaton of its own
    std::size_t at = text.starts_with('-') ? 1 : 0;
    const auto digits = [&] {
      const auto start = at;
      while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
      return at > start;
    };
    bool good = digits();
    if (good && at < text.size() && text[at] == '.') {
      ++at;
      good = digits();
    }
    good = good && at == text.size();
    ASSERT_EQ(Quantity::parse(text).ok(), good) << "\"" << text << "\"";
  }
}

}  // namespace
}  // namespace meterd
