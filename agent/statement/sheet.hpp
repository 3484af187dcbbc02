// What is printed down the pages: paragraphs and tables whose rows stay whole. It breaks pages, repeats the
// document's title and the table's heading at the top of each, and numbers the pages at their feet.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "agent/statement/document.hpp"

namespace meterd::statement {

inline constexpr Length kMargin = 44 * kPoint;
inline constexpr Length kTextWidth = kPageWidth - 2 * kMargin;
inline constexpr Length kColumnGap = 10 * kPoint;

// The types of a statement: few, and all from one family.
inline constexpr Type kTitleType{Face::bold, 16 * kPoint, Ink::black};
inline constexpr Type kSectionType{Face::bold, 10 * kPoint, Ink::black};
inline constexpr Type kLabelType{Face::regular, 8 * kPoint, Ink::grey};
inline constexpr Type kFactType{Face::regular, 8 * kPoint, Ink::black};
inline constexpr Type kHeadingType{Face::bold, 7 * kPoint, Ink::grey};
inline constexpr Type kCellType{Face::regular, 75 * kPoint / 10, Ink::black};
inline constexpr Type kTotalType{Face::bold, 75 * kPoint / 10, Ink::black};
inline constexpr Type kRunningType{Face::regular, 7 * kPoint, Ink::grey};

struct Column {
  std::string heading;
  Length width = 0;
  bool number = false;  // to the right
  Length overhang = 0;  // so far a total may reach into the column on the left, where its label stands
};

// A row, wrapped into its columns.
struct Row {
  std::vector<std::vector<std::string>> cells;  // the lines of each column
  Type type = kCellType;
  Length height = 0;
};

class Sheet {
 public:
  // The document must outlive it. `title`: clean.
  Sheet(Document& document, std::string title);

  void title();
  void fact(std::string_view label, std::string_view value);
  void section(std::string_view heading, const std::vector<Column>& columns);

  // Texts are clean, one for each column. A cell that is higher than a page ends with an ellipsis. A row of
  // kTotalType uses its columns' overhang.
  Row lay_out(const std::vector<std::string>& texts, const Type& type = kCellType) const;
  // Whether rows of that height fit what is left of the page.
  bool fits(Length height) const;
  void next_page();
  // The row goes onto this page: ask fits() before. Its rule begins at that column: what stands left of it
  // holds for the rows below, too.
  void add(const Row& row, std::size_t ruled_from = 0);
  void close_group();  // a stronger rule below the row before it
  void space(Length height) { top_ += height; }

  void number_pages();  // last of all

 private:
  void print_heading();
  void print_right(const Place& right_end, const Type& type, std::string_view text);
  std::vector<std::string> wrapped(std::string_view text, Length width, const Type& type) const;

  Document& document_;
  std::string title_;
  std::vector<Column> columns_;
  Length top_ = 0;
};

}  // namespace meterd::statement
