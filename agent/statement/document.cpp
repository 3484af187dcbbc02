#include "agent/statement/document.hpp"

#include <hpdf.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>
#include <vector>

namespace meterd::statement {
namespace {

// The first error is the cause, what follows are its consequences.
struct Failure {
  HPDF_STATUS code = HPDF_OK;
  HPDF_STATUS detail = HPDF_OK;
};

// Called by C code: it only takes a note.
void record(HPDF_STATUS code, HPDF_STATUS detail, void* failure) {
  auto& first = *static_cast<Failure*>(failure);
  if (first.code == HPDF_OK) first = {code, detail};
}

HPDF_REAL points(Length length) { return static_cast<HPDF_REAL>(length) / HPDF_REAL{kPoint}; }

HPDF_REAL grey_of(Ink ink) {
  constexpr std::array<std::uint8_t, 4> kPercent{10, 42, 55, 86};  // 0 is black
  return static_cast<HPDF_REAL>(kPercent.at(static_cast<std::size_t>(ink))) / HPDF_REAL{100};
}

std::string text_of(const Failure& failure) {
  std::array<char, 16> hex{};
  const auto end = std::to_chars(hex.data(), hex.data() + hex.size(), failure.code, 16).ptr;
  return "libharu error 0x" + std::string(hex.data(), end) + ", detail " + std::to_string(failure.detail);
}

// Widths are asked for once per character: the library looks them up in a long table.
class Widths {
 public:
  explicit Widths(HPDF_Font font) : font_(font), known_(std::size_t{1} << 16U, kUnknown) {}

  std::int64_t operator()(char32_t point) {
    auto& width = known_[point & 0xffffU];
    if (width == kUnknown)
      width = static_cast<std::int16_t>(HPDF_Font_GetUnicodeWidth(font_, static_cast<HPDF_UNICODE>(point)));
    return width;
  }

 private:
  static constexpr std::int16_t kUnknown = std::numeric_limits<std::int16_t>::min();
  HPDF_Font font_;
  std::vector<std::int16_t> known_;
};

}  // namespace

struct Document::State {
  State() : doc(HPDF_New(record, &failure)) {}
  ~State() {
    if (doc != nullptr) HPDF_Free(doc);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  bool failed() const { return doc == nullptr || failure.code != HPDF_OK; }

  Status load(Face face, const std::string& path) {
    const char* name = HPDF_LoadTTFontFromFile(doc, path.c_str(), HPDF_TRUE);
    const auto font = name != nullptr ? HPDF_GetFont(doc, name, "UTF-8") : nullptr;
    if (font == nullptr || failed())
      return Error{Code::invalid, "the font " + path + " cannot be used (" + text_of(failure) +
                                      "): install the package fonts-dejavu-core"};
    fonts.at(static_cast<std::size_t>(face)) = font;
    rulers.at(static_cast<std::size_t>(face)) = Widths(font);
    return {};
  }

  Failure failure;
  HPDF_Doc doc;
  std::array<HPDF_Font, 2> fonts{};
  std::array<Ruler, 2> rulers;
  std::vector<HPDF_Page> pages;
  HPDF_Page page = nullptr;
};

Document::Document(std::unique_ptr<State> state) : state_(std::move(state)) {}
Document::~Document() = default;
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;

Result<Document> Document::open(const FontFiles& fonts, std::string_view title) {
  auto state = std::make_unique<State>();
  if (state->failed()) return Error{Code::io, "no document was made: " + text_of(state->failure)};
  // Text is written as UTF-16 with a map to Unicode. Poppler warns of an operator in that map and reads it
  // right. A character that the font lacks is printed as a box and still copied as itself.
  HPDF_UseUTFEncodings(state->doc);
  HPDF_SetCompressionMode(state->doc, HPDF_COMP_ALL);
  if (auto loaded = state->load(Face::regular, fonts.regular); !loaded) return loaded.error();
  if (auto loaded = state->load(Face::bold, fonts.bold); !loaded) return loaded.error();
  HPDF_SetCurrentEncoder(state->doc, "UTF-8");
  HPDF_SetInfoAttr(state->doc, HPDF_INFO_TITLE, std::string(title).c_str());
  return Document(std::move(state));
}

void Document::add_page() {
  if (state_->failed()) return;
  state_->page = HPDF_AddPage(state_->doc);
  state_->pages.push_back(state_->page);
  if (state_->failed()) return;
  HPDF_Page_SetWidth(state_->page, points(kPageWidth));
  HPDF_Page_SetHeight(state_->page, points(kPageHeight));
}

void Document::select_page(std::size_t index) {
  if (!state_->failed()) state_->page = state_->pages.at(index);
}

std::size_t Document::pages() const { return state_->pages.size(); }

const Ruler& Document::ruler(Face face) const { return state_->rulers.at(static_cast<std::size_t>(face)); }

Length Document::width_of(std::string_view text, const Type& type) const {
  return (statement::width_of(text, ruler(type.face)) * type.size + 999) / 1000;
}

void Document::print(const Place& baseline, const Type& type, std::string_view text) {
  if (state_->failed() || text.empty()) return;
  const auto page = state_->page;
  HPDF_Page_SetGrayFill(page, grey_of(type.ink));
  HPDF_Page_BeginText(page);
  HPDF_Page_SetFontAndSize(page, state_->fonts.at(static_cast<std::size_t>(type.face)), points(type.size));
  HPDF_Page_TextOut(page, points(baseline.left), points(kPageHeight - baseline.top),
                    std::string(text).c_str());
  HPDF_Page_EndText(page);
}

void Document::draw_rule(const Place& from, Length width, Length thickness, Ink ink) {
  if (state_->failed()) return;
  const auto page = state_->page;
  HPDF_Page_SetGrayFill(page, grey_of(ink));
  HPDF_Page_Rectangle(page, points(from.left), points(kPageHeight - from.top - thickness), points(width),
                      points(thickness));
  HPDF_Page_Fill(page);
}

Result<std::string> Document::finish() {
  if (!state_->failed()) HPDF_SaveToStream(state_->doc);
  std::string bytes;
  if (!state_->failed()) {
    auto size = HPDF_GetStreamSize(state_->doc);
    bytes.resize(size);
    HPDF_ResetStream(state_->doc);
    static_assert(sizeof(HPDF_BYTE) == sizeof(char));
    HPDF_ReadFromStream(state_->doc, reinterpret_cast<HPDF_BYTE*>(bytes.data()), &size);
    if (!state_->failed() && size != bytes.size()) return Error{Code::io, "the document was cut short"};
  }
  if (state_->failed()) return Error{Code::io, "the document failed: " + text_of(state_->failure)};
  return bytes;
}

}  // namespace meterd::statement
