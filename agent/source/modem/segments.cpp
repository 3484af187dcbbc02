#include "agent/source/modem/segments.hpp"

#include <algorithm>
#include <iterator>

namespace meterd::source {
namespace {

struct Sizes {
  std::uint32_t alone, part;
};
constexpr Sizes kSeptets{160, 153};
constexpr Sizes kUtf16Units{70, 67};
constexpr Sizes kOctets{140, 134};
constexpr char32_t kReplacement = 0xFFFD;

// TS 23.038 6.2.1, without what ASCII has at its own place; rising.
constexpr char32_t kNotAscii[] = {
    0x00A1, 0x00A3, 0x00A4, 0x00A5, 0x00A7, 0x00BF, 0x00C4, 0x00C5, 0x00C6, 0x00C7, 0x00C9, 0x00D1, 0x00D6,
    0x00D8, 0x00DC, 0x00DF, 0x00E0, 0x00E4, 0x00E5, 0x00E6, 0x00E8, 0x00E9, 0x00EC, 0x00F1, 0x00F2, 0x00F6,
    0x00F8, 0x00F9, 0x00FC, 0x0393, 0x0394, 0x0398, 0x039B, 0x039E, 0x03A0, 0x03A3, 0x03A6, 0x03A8, 0x03A9};
// TS 23.038 6.2.1.1: an escape and one more.
constexpr std::u32string_view kExtension = U"\f^{}\\[~]|\u20AC";
constexpr std::string_view kNoSeptet = "`";  // printable ASCII that neither table has

// 0: not in the alphabet. The escape character itself is in it: one septet, shown as a space.
std::uint32_t septets(char32_t c) {
  if (kExtension.find(c) != std::u32string_view::npos) return 2;
  if (c == '\n' || c == '\r' || c == 0x1B) return 1;
  if (c >= 0x20 && c < 0x7F) return kNoSeptet.find(static_cast<char>(c)) == std::string_view::npos ? 1 : 0;
  return std::binary_search(std::begin(kNotAscii), std::end(kNotAscii), c) ? 1 : 0;
}

std::uint32_t utf16_units(char32_t c) { return c > 0xFFFF ? 2 : 1; }

// Takes one character from the front.
char32_t next_character(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80                   ? 1
                             : lead >= 0xC2 && lead < 0xE0 ? 2
                             : lead >= 0xE0 && lead < 0xF0 ? 3
                             : lead >= 0xF0 && lead < 0xF5 ? 4
                                                           : 0;
  char32_t c = length == 1 ? lead : lead & (0xFFU >> (length + 1));
  bool sound = length > 0 && length <= text.size();
  for (std::size_t i = 1; sound && i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    sound = (byte & 0xC0) == 0x80;
    c = (c << 6) | (byte & 0x3FU);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  sound = sound && c >= kSmallest[length] && c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
  text.remove_prefix(sound ? length : 1);
  return sound ? c : kReplacement;
}

template <class Cost>
std::uint32_t parts(std::string_view text, Sizes sizes, Cost cost) {
  std::uint64_t total = 0;
  std::uint32_t used = 0, count = 1;
  while (!text.empty()) {
    const std::uint32_t units = cost(next_character(text));
    total += units;
    if (used + units > sizes.part) {
      ++count;
      used = 0;
    }
    used += units;
  }
  return total <= sizes.alone ? 1 : count;
}

}  // namespace

std::uint32_t segments_of_text(std::string_view utf8) {
  for (auto rest = utf8; !rest.empty();)
    if (septets(next_character(rest)) == 0) return parts(utf8, kUtf16Units, utf16_units);
  return parts(utf8, kSeptets, septets);
}

std::uint32_t segments_of_data(std::size_t octets) {
  if (octets <= kOctets.alone) return 1;
  return static_cast<std::uint32_t>((octets + kOctets.part - 1) / kOctets.part);
}

}  // namespace meterd::source
