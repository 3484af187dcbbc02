// Text for a terminal of 80 columns: cleaning, measuring, wrapping, tables. Pure. Widths are columns, not
// bytes: ids may be any UTF-8. Nothing here drops a part of an id or a quantity except clip(): what is too
// wide is folded onto the next line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace meterd::ctl {

inline constexpr std::size_t kScreenColumns = 80;

// Every character that could move the cursor, hide or reorder text (controls, escapes, bidirectional marks)
// becomes '?', a line end or tab a space: texts of an upstream reach the operator's terminal.
std::string clean(std::string_view text);

// Columns of a clean text.
std::size_t width_of(std::string_view text);

// At most `columns` columns; "..." at its end where something was cut.
std::string clip(std::string_view text, std::size_t columns);

// Lines of at most kScreenColumns: the pieces with `separator` between them where they share a line. A piece
// that is wider than a line is folded.
struct Indent {
  std::size_t first = 0;
  std::size_t rest = 0;
};
std::vector<std::string> wrap(const std::vector<std::string>& pieces, std::string_view separator,
                              Indent indent);
// The same for a sentence: its words are the pieces.
std::vector<std::string> wrap_words(std::string_view text, Indent indent);

struct Column {
  std::string title;
  bool number = false;  // to the right, and the last to be folded
};
using Row = std::vector<std::string>;

// A heading and the rows, as wide as needed, at most kScreenColumns. Each row has a cell per column.
std::vector<std::string> table(const std::vector<Column>& columns, const std::vector<Row>& rows,
                               std::size_t indent);

// The lines, each with its end.
std::string join(const std::vector<std::string>& lines);

// How long, in words: "59 s", "3 h 5 min", "3 d 4 h".
std::string span_text(std::int64_t seconds);

}  // namespace meterd::ctl
