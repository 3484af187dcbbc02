#include "agent/statement/sheet.hpp"

#include <algorithm>
#include <utility>

namespace meterd::statement {
namespace {

constexpr Length kBodyTop = 56 * kPoint;
constexpr Length kBodyEnd = kPageHeight - 54 * kPoint;
constexpr Length kFootBaseline = kPageHeight - 34 * kPoint;
constexpr Length kRunningBaseline = 38 * kPoint;
constexpr Length kHeadingHeight = 20 * kPoint;
constexpr Length kLabelWidth = 84 * kPoint;
constexpr Length kPadding = 3 * kPoint;
constexpr Length kHairline = kPoint * 3 / 10;
constexpr Length kThin = kPoint * 6 / 10;

constexpr Length leading_of(const Type& type) { return type.size * 13 / 10; }
// From the top of a line to where its letters stand.
constexpr Length ascent_of(const Type& type) { return type.size; }

// So many lines of a cell fit a page whose heading is printed, and a total below them.
constexpr std::size_t kCellLinesMax =
    static_cast<std::size_t>((kBodyEnd - kBodyTop - kHeadingHeight - 2 * kPadding) / leading_of(kCellType)) -
    4;

}  // namespace

Sheet::Sheet(Document& document, std::string title) : document_(document), title_(std::move(title)) {
  document_.add_page();
  top_ = kBodyTop;
}

std::vector<std::string> Sheet::wrapped(std::string_view text, Length width, const Type& type) const {
  return wrap(text, width * 1000 / type.size, document_.ruler(type.face));
}

void Sheet::title() {
  constexpr std::size_t kTitleLinesMax = 6;
  auto lines = wrapped(title_, kTextWidth, kTitleType);
  lines.resize(std::min(lines.size(), kTitleLinesMax));
  for (const auto& line : lines) {
    document_.print({kMargin, top_ + ascent_of(kTitleType)}, kTitleType, line);
    top_ += leading_of(kTitleType);
  }
  space(8 * kPoint);
}

void Sheet::fact(std::string_view label, std::string_view value) {
  const auto labels = wrapped(label, kLabelWidth - kColumnGap, kLabelType);
  const auto values = wrapped(value, kTextWidth - kLabelWidth, kFactType);
  for (std::size_t i = 0; i < std::max(labels.size(), values.size()); ++i) {
    if (!fits(leading_of(kFactType))) next_page();
    const auto baseline = top_ + ascent_of(kFactType);
    if (i < labels.size()) document_.print({kMargin, baseline}, kLabelType, labels[i]);
    if (i < values.size()) document_.print({kMargin + kLabelWidth, baseline}, kFactType, values[i]);
    top_ += leading_of(kFactType);
  }
  space(2 * kPoint);
}

void Sheet::section(std::string_view heading, const std::vector<Column>& columns) {
  constexpr Length kRoom = 120 * kPoint;  // a heading alone at the foot of a page leads nowhere
  columns_.clear();
  if (!fits(kRoom)) next_page();
  if (!heading.empty()) {
    space(14 * kPoint);
    document_.print({kMargin, top_ + ascent_of(kSectionType)}, kSectionType, heading);
    top_ += leading_of(kSectionType);
  }
  columns_ = columns;
  print_heading();
}

Row Sheet::lay_out(const std::vector<std::string>& texts, const Type& type) const {
  Row row;
  row.type = type;
  std::size_t lines = 1;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto overhang = type.face == kTotalType.face ? columns_[i].overhang : 0;
    auto cell = wrapped(texts[i], columns_[i].width + overhang, type);
    if (cell.size() > kCellLinesMax) {
      cell.resize(kCellLinesMax);
      cell.back() = "\xe2\x80\xa6";  // an ellipsis
    }
    lines = std::max(lines, cell.size());
    row.cells.push_back(std::move(cell));
  }
  row.height = static_cast<Length>(lines) * leading_of(type) + 2 * kPadding;
  return row;
}

bool Sheet::fits(Length height) const { return top_ + height <= kBodyEnd; }

void Sheet::next_page() {
  document_.add_page();
  const auto width = kTextWidth * 1000 / kRunningType.size;
  document_.print({kMargin, kRunningBaseline}, kRunningType,
                  clip(title_, width, document_.ruler(kRunningType.face)));
  top_ = kBodyTop;
  if (!columns_.empty()) print_heading();
}

void Sheet::print_right(const Place& right_end, const Type& type, std::string_view text) {
  document_.print({right_end.left - document_.width_of(text, type), right_end.top}, type, text);
}

void Sheet::print_heading() {
  const auto baseline = top_ + kHeadingHeight - 6 * kPoint;
  auto left = kMargin;
  for (const auto& column : columns_) {
    if (column.number)
      print_right({left + column.width, baseline}, kHeadingType, column.heading);
    else
      document_.print({left, baseline}, kHeadingType, column.heading);
    left += column.width + kColumnGap;
  }
  top_ += kHeadingHeight;
  document_.draw_rule({kMargin, top_}, kTextWidth, kThin, Ink::rule);
}

void Sheet::add(const Row& row, std::size_t ruled_from) {
  auto left = kMargin;
  auto rule_left = kMargin;
  for (std::size_t i = 0; i < row.cells.size(); ++i) {
    if (i == ruled_from) rule_left = left;
    auto baseline = top_ + kPadding + ascent_of(row.type);
    for (const auto& line : row.cells[i]) {
      if (columns_[i].number)
        print_right({left + columns_[i].width, baseline}, row.type, line);
      else
        document_.print({left, baseline}, row.type, line);
      baseline += leading_of(row.type);
    }
    left += columns_[i].width + kColumnGap;
  }
  top_ += row.height;
  document_.draw_rule({rule_left, top_}, kMargin + kTextWidth - rule_left, kHairline, Ink::hairline);
}

void Sheet::close_group() { document_.draw_rule({kMargin, top_}, kTextWidth, kHairline, Ink::rule); }

void Sheet::number_pages() {
  const auto pages = document_.pages();
  for (std::size_t i = 0; i < pages; ++i) {
    document_.select_page(i);
    print_right({kMargin + kTextWidth, kFootBaseline}, kRunningType,
                "page " + std::to_string(i + 1) + " of " + std::to_string(pages));
  }
}

}  // namespace meterd::statement
