// Text for paper: cleaning, measuring and wrapping by the widths of a font's characters. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace meterd::statement {

// How wide a character is, in thousandths of the font's size.
using Ruler = std::function<std::int64_t(char32_t point)>;

// Valid UTF-8 that a font can be asked for: line ends and tabs become a space; controls, marks that would
// reorder what stands beside them, characters above U+FFFF and bytes that are not UTF-8 become U+FFFD.
std::string clean(std::string_view text);

// What follows takes clean texts. Widths are in thousandths of the font's size.

std::int64_t width_of(std::string_view text, const Ruler& ruler);

// Lines of at most `width`, broken between words; a word that is wider than a line is broken behind a mark
// such as "-" or "/" if there is one, else where it must.
// No character is lost but the spaces at a break. Each line has at least one character; none for no text.
std::vector<std::string> wrap(std::string_view text, std::int64_t width, const Ruler& ruler);

// At most `width`, with an ellipsis at its end where something was cut.
std::string clip(std::string_view text, std::int64_t width, const Ruler& ruler);

}  // namespace meterd::statement
