#include "agent/statement/text_flow.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "agent/base/text.hpp"

namespace meterd::statement {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD
constexpr std::string_view kEllipsis = "\xe2\x80\xa6";     // U+2026

struct Range {
  char32_t first, last;
};

// C0, DEL, C1, soft hyphen, zero-width and bidirectional marks, line separators, noncharacters and the BOM.
constexpr std::array<Range, 8> kUnprintable{{{0x00, 0x1f},
                                             {0x7f, 0x9f},
                                             {0xad, 0xad},
                                             {0x61c, 0x61c},
                                             {0x200b, 0x200f},
                                             {0x2028, 0x202e},
                                             {0x2060, 0x206f},
                                             {0xfeff, 0xfeff}}};

// Of valid UTF-8; a byte that no character begins with counts as one.
std::size_t length_at(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  return std::min(length, text.size());
}

char32_t point_of(std::string_view glyph) {
  const auto lead = static_cast<unsigned char>(glyph[0]);
  if (glyph.size() == 1) return lead;
  char32_t point = lead & (0xffU >> (glyph.size() + 1));
  for (const char c : glyph.substr(1)) point = (point << 6U) | (static_cast<unsigned char>(c) & 0x3fU);
  return point;
}

bool is_printable(char32_t point) {
  if (point > 0xfffd) return false;
  return std::none_of(kUnprintable.begin(), kUnprintable.end(),
                      [point](const Range& range) { return point >= range.first && point <= range.last; });
}

// How many bytes of `text` fit `width`; at least one character's.
std::size_t fitting(std::string_view text, std::int64_t width, const Ruler& ruler) {
  std::size_t bytes = 0;
  std::int64_t used = 0;
  while (bytes < text.size()) {
    const auto length = length_at(text.substr(bytes));
    used += ruler(point_of(text.substr(bytes, length)));
    if (bytes > 0 && used > width) break;
    bytes += length;
  }
  return bytes;
}

// Where to break the first `end` bytes of `text` from the rest: at a space; else, in a word too wide for a
// line, behind a mark that joins parts of ids and addresses, unless that leaves half of the line empty.
std::size_t break_before(std::string_view text, std::size_t end) {
  if (end == text.size() || text[end] == ' ') return end;
  const auto line = text.substr(0, end);
  if (const auto space = line.rfind(' '); space != std::string_view::npos) return space;
  const auto joint = line.find_last_of("-_/.:,;=&@");
  return joint != std::string_view::npos && joint >= end / 2 ? joint + 1 : end;
}

}  // namespace

std::string clean(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto glyph = text.substr(0, length_at(text));
    if (glyph == "\n" || glyph == "\r" || glyph == "\t") {
      out.push_back(' ');
    } else if (!is_valid_utf8(glyph)) {
      out += kReplacement;
      text.remove_prefix(1);
      continue;
    } else {
      out += is_printable(point_of(glyph)) ? glyph : kReplacement;
    }
    text.remove_prefix(glyph.size());
  }
  return out;
}

std::int64_t width_of(std::string_view text, const Ruler& ruler) {
  std::int64_t width = 0;
  while (!text.empty()) {
    const auto length = length_at(text);
    width += ruler(point_of(text.substr(0, length)));
    text.remove_prefix(length);
  }
  return width;
}

std::vector<std::string> wrap(std::string_view text, std::int64_t width, const Ruler& ruler) {
  std::vector<std::string> lines;
  const auto skip_spaces = [&text] {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  };
  for (skip_spaces(); !text.empty(); skip_spaces()) {
    const auto end = break_before(text, fitting(text, width, ruler));
    auto line = text.substr(0, end);
    text.remove_prefix(end);
    line = line.substr(0, line.find_last_not_of(' ') + 1);
    lines.emplace_back(line);
  }
  return lines;
}

std::string clip(std::string_view text, std::int64_t width, const Ruler& ruler) {
  if (width_of(text, ruler) <= width) return std::string(text);
  const auto end = fitting(text, width - width_of(kEllipsis, ruler), ruler);
  return std::string(text.substr(0, end)).append(kEllipsis);
}

}  // namespace meterd::statement
