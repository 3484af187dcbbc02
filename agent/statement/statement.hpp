// A statement of usages for a billing owner: a paged A4 document (PDF) with every usage, a total for each
// subscription and item price, and all totals again at its end. Made in memory: what it returns can be sent
// or stored. Sums are exact. The same statement gives the same bytes: it holds no time of its making.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/quantity.hpp"
#include "agent/base/result.hpp"
#include "agent/statement/font_files.hpp"

namespace meterd::statement {

inline constexpr std::size_t kLinesMax = 20'000;

// One usage. Texts may be any UTF-8; what is malformed or cannot be printed is shown as U+FFFD.
struct Line {
  std::string subscription_id;
  std::string item_price_id;
  std::string date;  // as it shall be printed: "2026-11-22 13:45:09 UTC"
  Quantity quantity;
  std::string quantity_text;  // as it was given; empty: quantity.text()
  std::string note;
};

struct Statement {
  std::string title;                                       // "Usages of invoice inv_1"
  std::vector<std::pair<std::string, std::string>> facts;  // "Device" -> "gw-0042"; printed under the title
  std::vector<Line> lines;                                 // in any order
};

// The document's bytes. The lines stand by subscription, then item price, then as they were given. It reads
// the two font files and takes a second or two for a large statement: never call it on the loop thread.
// invalid: more than kLinesMax lines, or a font file cannot be used (the message names the package);
// io: the library failed, for want of memory.
Result<std::string> render_pdf(const Statement& statement, const FontFiles& fonts = {});

}  // namespace meterd::statement
