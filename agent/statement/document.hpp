// A document of A4 pages with text, rules and bands: the only user of libharu. It records the library's first
// error and does nothing more from then on; finish() returns it. Positions are counted from the upper left
// corner of the page, in hundredths of a point: whole numbers, so that every machine breaks the same lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agent/base/result.hpp"
#include "agent/statement/font_files.hpp"
#include "agent/statement/text_flow.hpp"

namespace meterd::statement {

using Length = std::int64_t;
inline constexpr Length kPoint = 100;
inline constexpr Length kPageWidth = 59'528;
inline constexpr Length kPageHeight = 84'189;

enum class Face : std::uint8_t { regular, bold };
enum class Ink : std::uint8_t { black, grey, rule, hairline };

struct Type {
  Face face = Face::regular;
  Length size = 0;
  Ink ink = Ink::black;
};

struct Place {
  Length left = 0;
  Length top = 0;
};

class Document {
 public:
  // `title`: clean UTF-8, shown by readers in their window. invalid: a font file cannot be used.
  static Result<Document> open(const FontFiles& fonts, std::string_view title);
  ~Document();
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;

  void add_page();                      // and makes it the current one
  void select_page(std::size_t index);  // from 0, one of those that were added
  std::size_t pages() const;

  // Of a clean text in that type.
  Length width_of(std::string_view text, const Type& type) const;
  const Ruler& ruler(Face face) const;

  // Clean text; `baseline` is where its letters stand.
  void print(const Place& baseline, const Type& type, std::string_view text);
  void draw_rule(const Place& from, Length width, Length thickness, Ink ink);

  // The bytes. Nothing may be added afterwards. io: the library failed somewhere on the way.
  Result<std::string> finish();

 private:
  struct State;
  explicit Document(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace meterd::statement
