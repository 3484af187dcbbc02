#include "agent/ctl/layout.hpp"

#include <algorithm>
#include <array>

namespace meterd::ctl {
namespace {

constexpr std::string_view kGap = "  ";
constexpr std::size_t kTextColumnMin = 10;  // number columns are folded only when all others are this narrow

struct Range {
  std::uint32_t first, last;
};

// Characters that a terminal acts on: C0, DEL, C1, zero-width and bidirectional marks, line separators, the
// BOM.
constexpr std::array<Range, 7> kUnsafe{{{0, 0x1f},
                                        {0x7f, 0x9f},
                                        {0x200b, 0x200f},
                                        {0x2028, 0x202e},
                                        {0x2060, 0x206f},
                                        {0xfeff, 0xfeff},
                                        {0xe0000, 0xe007f}}};
constexpr std::array<Range, 4> kCombining{
    {{0x300, 0x36f}, {0x1ab0, 0x1aff}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}}};
// East Asian wide characters and emoji, coarsely: too wide is a shorter line, never a longer one.
constexpr std::array<Range, 8> kWide{{{0x1100, 0x115f},
                                      {0x2600, 0x27bf},
                                      {0x2e80, 0xa4cf},
                                      {0xac00, 0xd7a3},
                                      {0xf900, 0xfaff},
                                      {0xfe30, 0xfe6f},
                                      {0xff00, 0xffe6},
                                      {0x1f000, 0x3fffd}}};

template <std::size_t N>
bool is_in(const std::array<Range, N>& ranges, std::uint32_t point) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [point](const Range& range) { return point >= range.first && point <= range.last; });
}

struct Glyph {
  std::size_t bytes = 1;
  std::uint32_t point = 0xfffd;
};

// The first character of `text`, which is not empty. A byte that is not UTF-8 is one character.
Glyph glyph_at(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {1, lead};
  const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  if (bytes == 1 || text.size() < bytes) return {};
  std::uint32_t point = lead & (0xffU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0U) != 0x80) return {};
    point = (point << 6U) | (next & 0x3fU);
  }
  return {bytes, point};
}

std::size_t columns_of(std::uint32_t point) {
  return is_in(kCombining, point) ? 0 : is_in(kWide, point) ? 2 : 1;
}

// Cuts the part that fits `columns` off the front of `text`; at least one character.
std::string_view take(std::string_view& text, std::size_t columns) {
  std::size_t bytes = 0;
  std::size_t used = 0;
  while (bytes < text.size()) {
    const auto glyph = glyph_at(text.substr(bytes));
    used += columns_of(glyph.point);
    if (bytes > 0 && used > columns) break;
    bytes += glyph.bytes;
  }
  const auto front = text.substr(0, bytes);
  text.remove_prefix(bytes);
  return front;
}

std::string padded(std::string_view text, std::size_t columns, bool right) {
  const std::string fill(columns - std::min(columns, width_of(text)), ' ');
  return right ? fill + std::string(text) : std::string(text) + fill;
}

std::vector<std::size_t> column_widths(const std::vector<Column>& columns, const std::vector<Row>& rows,
                                       std::size_t indent) {
  std::vector<std::size_t> widths;
  for (const auto& column : columns) widths.push_back(width_of(column.title));
  for (const auto& row : rows)
    for (std::size_t i = 0; i < columns.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  std::size_t total = indent + kGap.size() * (columns.size() - 1);
  for (const auto width : widths) total += width;
  for (; total > kScreenColumns; --total) {
    std::size_t widest_text = 0;
    std::size_t widest = 0;
    bool found_text = false;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (widths[i] > widths[widest]) widest = i;
      if (columns[i].number || widths[i] <= kTextColumnMin) continue;
      if (!found_text || widths[i] > widths[widest_text]) widest_text = i;
      found_text = true;
    }
    auto& chosen = widths[found_text ? widest_text : widest];
    if (chosen <= 1) break;
    --chosen;
  }
  return widths;
}

void append_row(std::vector<std::string>& lines, const std::vector<Column>& columns, const Row& row,
                const std::vector<std::size_t>& widths, std::size_t indent) {
  std::vector<std::string_view> left(row.begin(), row.end());
  for (bool more = true; more;) {
    std::string line(indent, ' ');
    more = false;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (i > 0) line += kGap;
      line += padded(left[i].empty() ? std::string_view{} : take(left[i], widths[i]), widths[i],
                     columns[i].number);
      more = more || !left[i].empty();
    }
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(std::move(line));
  }
}

}  // namespace

std::string clean(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto glyph = glyph_at(text);
    const bool is_space = glyph.point == '\n' || glyph.point == '\r' || glyph.point == '\t';
    if (is_space)
      out.push_back(' ');
    else if (is_in(kUnsafe, glyph.point) || glyph.point == 0xfffd)
      out.push_back('?');
    else
      out.append(text.substr(0, glyph.bytes));
    text.remove_prefix(glyph.bytes);
  }
  return out;
}

std::size_t width_of(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const auto glyph = glyph_at(text);
    columns += columns_of(glyph.point);
    text.remove_prefix(glyph.bytes);
  }
  return columns;
}

std::string clip(std::string_view text, std::size_t columns) {
  constexpr std::string_view kCut = "...";
  if (width_of(text) <= columns) return std::string(text);
  return std::string(take(text, columns - std::min(columns, kCut.size()))).append(kCut.substr(0, columns));
}

std::vector<std::string> wrap(const std::vector<std::string>& pieces, std::string_view separator,
                              Indent indent) {
  std::vector<std::string> lines;
  std::string line(indent.first, ' ');
  bool is_fresh = true;
  const auto next_line = [&] {
    lines.push_back(std::move(line));
    line.assign(indent.rest, ' ');
    is_fresh = true;
  };
  for (const auto& piece : pieces) {
    if (!is_fresh && width_of(line) + separator.size() + width_of(piece) > kScreenColumns) next_line();
    if (!is_fresh) line += separator;
    for (std::string_view left = piece; !left.empty();) {
      if (!is_fresh && width_of(line) >= kScreenColumns) next_line();
      line += take(left, kScreenColumns - std::min(kScreenColumns - 1, width_of(line)));
      is_fresh = false;
    }
  }
  if (!is_fresh) lines.push_back(std::move(line));
  return lines;
}

std::vector<std::string> wrap_words(std::string_view text, Indent indent) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (end > 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return wrap(words, " ", indent);
}

std::vector<std::string> table(const std::vector<Column>& columns, const std::vector<Row>& rows,
                               std::size_t indent) {
  const auto widths = column_widths(columns, rows, indent);
  Row titles;
  for (const auto& column : columns) titles.push_back(column.title);
  std::vector<std::string> lines;
  append_row(lines, columns, titles, widths, indent);
  for (const auto& row : rows) append_row(lines, columns, row, widths, indent);
  return lines;
}

std::string join(const std::vector<std::string>& lines) {
  std::string out;
  for (const auto& line : lines) out.append(line).push_back('\n');
  return out;
}

std::string span_text(std::int64_t seconds) {
  const auto in = [](std::int64_t n, const char* unit) { return std::to_string(n) + " " + unit; };
  if (seconds < 120) return in(std::max<std::int64_t>(0, seconds), "s");
  if (seconds < 7200) return in(seconds / 60, "min");
  if (seconds < 172'800) return in(seconds / 3600, "h") + " " + in(seconds / 60 % 60, "min");
  return in(seconds / 86'400, "d") + " " + in(seconds / 3600 % 24, "h");
}

}  // namespace meterd::ctl
