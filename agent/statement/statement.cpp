#include "agent/statement/statement.hpp"

#include <algorithm>
#include <tuple>

#include "agent/statement/sheet.hpp"

namespace meterd::statement {
namespace {

// Lines of one subscription and item price, which follow each other.
struct Group {
  std::string subscription_id;
  std::string item_price_id;
  std::vector<const Line*> lines;
  Quantity total;
};

std::vector<Group> groups_of(const std::vector<Line>& lines) {
  std::vector<const Line*> sorted;
  sorted.reserve(lines.size());
  for (const auto& line : lines) sorted.push_back(&line);
  std::stable_sort(sorted.begin(), sorted.end(), [](const Line* a, const Line* b) {
    return std::tie(a->subscription_id, a->item_price_id) < std::tie(b->subscription_id, b->item_price_id);
  });
  std::vector<Group> groups;
  for (const auto* line : sorted) {
    if (groups.empty() || groups.back().subscription_id != line->subscription_id ||
        groups.back().item_price_id != line->item_price_id)
      groups.push_back({line->subscription_id, line->item_price_id, {}, {}});
    groups.back().lines.push_back(line);
    groups.back().total += line->quantity;
  }
  return groups;
}

std::string quantity_text(const Line& line) {
  return line.quantity_text.empty() ? line.quantity.text() : line.quantity_text;
}

constexpr Length kIdMax = 132 * kPoint;
constexpr Length kIdFolded = 92 * kPoint;

// How wide each column would like to be: as its widest text. An id that is wider than kIdMax is folded, and
// widens its column to kIdFolded only: one long id shall not take the room of all notes.
struct Wishes {
  Length subscription = 0, item_price = 0, date = 0, quantity = 0, total = 0, count = 0;
  bool has_notes = false;
};

Wishes wishes_of(const Document& document, const std::vector<Group>& groups) {
  Wishes wishes;
  const auto widen = [&document](Length& width, std::string_view text, const Type& type) {
    width = std::max(width, document.width_of(clean(text), type));
  };
  const auto widen_id = [&widen](Length& width, std::string_view id) {
    Length own = 0;
    widen(own, id, kCellType);
    width = std::max(width, own > kIdMax ? kIdFolded : own);
  };
  for (const auto& group : groups) {
    widen_id(wishes.subscription, group.subscription_id);
    widen_id(wishes.item_price, group.item_price_id);
    widen(wishes.total, group.total.text(), kTotalType);
    widen(wishes.count, std::to_string(group.lines.size()), kCellType);
    for (const auto* line : group.lines) {
      widen(wishes.date, line->date, kCellType);
      widen(wishes.quantity, quantity_text(*line), kCellType);
      wishes.has_notes = wishes.has_notes || !line->note.empty();
    }
  }
  return wishes;
}

// Dates and quantities get what they need, since a broken number is hard to read; the ids what they would
// like, up to a share of the rest, and the notes all that is left: enough for the longest to fit a page.
std::vector<Column> usage_columns(const Wishes& wishes) {
  constexpr Length kDateMax = 112 * kPoint;
  constexpr Length kQuantityMax = 196 * kPoint;  // 40 digits
  const auto date = std::clamp(wishes.date, 40 * kPoint, kDateMax);
  const auto overhang = date - 36 * kPoint;  // the word "Total" stands there
  const auto quantity =
      std::clamp(std::max(wishes.quantity, wishes.total - overhang), 44 * kPoint, kQuantityMax);
  const auto rest = kTextWidth - 4 * kColumnGap - date - quantity;
  const auto ids_max = wishes.has_notes ? std::min(rest * 66 / 100, rest - 66 * kPoint) : rest * 90 / 100;
  auto subscription = std::max(wishes.subscription, 58 * kPoint);
  auto item_price = std::max(wishes.item_price, 48 * kPoint);
  auto& narrower = subscription < item_price ? subscription : item_price;
  auto& wider = subscription < item_price ? item_price : subscription;
  narrower = std::min(narrower, ids_max / 2);
  wider = std::min(wider, ids_max - narrower);
  return {{"Subscription", subscription},
          {"Item price", item_price},
          {"Date", date},
          {"Quantity", quantity, true, overhang},
          {"Note", rest - subscription - item_price}};
}

std::vector<Column> total_columns(const Wishes& wishes) {
  const auto count = std::clamp(wishes.count, 36 * kPoint, 60 * kPoint);
  const auto total = std::clamp(wishes.total, 60 * kPoint, 220 * kPoint);
  const auto rest = kTextWidth - 3 * kColumnGap - count - total;
  const auto subscription = rest * 48 / 100;
  return {{"Subscription", subscription},
          {"Item price", rest - subscription},
          {"Usages", count, true},
          {"Total", total, true}};
}

Row usage_row(const Sheet& sheet, const Line& line, bool with_ids) {
  return sheet.lay_out(
      {with_ids ? clean(line.subscription_id) : "", with_ids ? clean(line.item_price_id) : "",
       clean(line.date), clean(quantity_text(line)), clean(line.note)},
      kCellType);
}

// The ids stand in a group's first row and in the first of each further page. The total never stands on a
// page without a usage of its own.
void print_group(Sheet& sheet, const Group& group) {
  const auto total = sheet.lay_out({"", "", "Total", group.total.text(), ""}, kTotalType);
  for (const auto* line : group.lines) {
    const bool is_last = line == group.lines.back();
    auto row = usage_row(sheet, *line, line == group.lines.front());
    if (!sheet.fits(row.height + (is_last ? total.height : 0))) {
      sheet.next_page();
      row = usage_row(sheet, *line, true);
    }
    sheet.add(row, 2);
  }
  sheet.add(total, 2);
  sheet.close_group();
}

void print_totals(Sheet& sheet, const std::vector<Group>& groups, const Wishes& wishes) {
  sheet.section("Totals", total_columns(wishes));
  for (const auto& group : groups) {
    const auto row = sheet.lay_out({clean(group.subscription_id), clean(group.item_price_id),
                                    std::to_string(group.lines.size()), group.total.text()});
    if (!sheet.fits(row.height)) sheet.next_page();
    sheet.add(row);
  }
  sheet.close_group();
}

}  // namespace

Result<std::string> render_pdf(const Statement& statement, const FontFiles& fonts) {
  if (statement.lines.size() > kLinesMax)
    return Error{Code::invalid, "a statement holds at most " + std::to_string(kLinesMax) + " usages, not " +
                                    std::to_string(statement.lines.size()) + ": ask for a shorter range"};
  const auto title = clean(statement.title);
  auto document = Document::open(fonts, title);
  if (!document) return document.error();
  const auto groups = groups_of(statement.lines);
  const auto wishes = wishes_of(*document, groups);

  Sheet sheet(*document, title);
  sheet.title();
  for (const auto& [label, value] : statement.facts) sheet.fact(clean(label), clean(value));
  sheet.space(10 * kPoint);
  sheet.section("", usage_columns(wishes));
  for (const auto& group : groups) print_group(sheet, group);
  if (groups.empty())
    sheet.add(sheet.lay_out({"No usages.", "", "", "", ""}));
  else
    print_totals(sheet, groups, wishes);
  sheet.number_pages();
  return document->finish();
}

}  // namespace meterd::statement
