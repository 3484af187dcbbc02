// Small, strict text helpers: whole-string integers, percent-encoding, UTF-8 checks.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace meterd {

// The whole of `text` as an unsigned decimal number: no sign, no space, no overflow.
inline std::optional<std::uint64_t> parse_unsigned(std::string_view text) {
  std::uint64_t value = 0;
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// RFC 3986: everything but unreserved characters becomes %XX. Right for a form value and for a path segment.
std::string percent_encode(std::string_view text);

// nullopt for a malformed escape. `plus_is_space` for form bodies and queries.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

// An id or name from outside: 1 to `length_max` bytes of valid UTF-8 without control characters.
bool is_clean_text(std::string_view text, std::size_t length_max);

bool is_valid_utf8(std::string_view text);

// Somebody's free text for an operator's screen: printable, one line, never cut inside a UTF-8 sequence.
std::string one_line(std::string_view text, std::size_t length_max);

}  // namespace meterd
