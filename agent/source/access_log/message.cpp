#include "agent/source/access_log/message.hpp"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <functional>
#include <utility>

#include "agent/base/exact_json.hpp"

namespace meterd::source {
namespace {

namespace json = boost::json;
using Kind = Field::Kind;

constexpr std::size_t kStampBytes = 16;  // "Nov 21 23:46:41 "
constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// Takes "<190>" off the front.
bool take_priority(std::string_view& rest) {
  const auto end = rest.find('>');
  if (end == std::string_view::npos || end < 2 || end > 4) return false;
  const auto digits = rest.substr(1, end - 1);
  if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) return false;
  rest.remove_prefix(end + 1);
  return true;
}

// Behind "1 ": time, host, name, process, message id, and structured data, in which a brace may stand.
bool take_rfc5424(std::string_view& rest) {
  for (int words = 0; words < 5; ++words) {
    const auto space = rest.find(' ');
    if (space == std::string_view::npos) return false;
    rest.remove_prefix(space + 1);
  }
  if (rest.starts_with('-')) {
    rest.remove_prefix(1);
  } else {
    bool quoted = false;
    while (rest.starts_with('[')) {
      std::size_t at = 1;
      for (; at < rest.size() && (quoted || rest[at] != ']'); ++at) {
        if (quoted && rest[at] == '\\')
          ++at;
        else if (rest[at] == '"')
          quoted = !quoted;
      }
      if (at >= rest.size()) return false;
      rest.remove_prefix(at + 1);
    }
  }
  if (rest.starts_with(' ')) rest.remove_prefix(1);
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (rest.starts_with(kByteOrderMark)) rest.remove_prefix(kByteOrderMark.size());
  return true;
}

// "Nov 21 23:46:41 [host ]tag[pid]: "
bool take_rfc3164(std::string_view& rest) {
  if (rest.size() < kStampBytes || rest[3] != ' ' || rest[9] != ':' || rest[12] != ':') return false;
  const auto colon = rest.find(": ", kStampBytes);
  if (colon == std::string_view::npos) return false;
  rest.remove_prefix(colon + 2);
  return true;
}

// Boost.JSON's handler (its documentation names the members).
class Handler {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);
  using Ec = json::error_code;
  using Text = json::string_view;

  struct Wanted {
    std::string name;
    Field field;
    std::string copy;  // of a text that does not stand in the line as it reads: it had escapes
  };
  std::vector<Wanted> wanted;

  void begin(std::string_view line) {
    for (auto& one : wanted) one.field = {};
    line_ = line;
    depth_ = 0;
    at_ = kNone;
    parts_.clear();
  }

  bool on_document_begin(Ec&) { return true; }
  bool on_document_end(Ec&) { return true; }
  bool on_object_begin(Ec& ec) { return open(ec); }
  bool on_object_end(std::size_t, Ec&) { return close(); }
  bool on_array_begin(Ec& ec) { return open(ec); }
  bool on_array_end(std::size_t, Ec&) { return close(); }
  bool on_key_part(Text part, std::size_t, Ec&) {
    if (depth_ == 1) parts_.append(part.data(), part.size());
    return true;
  }
  bool on_key(Text part, std::size_t, Ec&) {
    if (depth_ != 1) return true;
    const auto name = whole(part);
    const auto found =
        std::find_if(wanted.begin(), wanted.end(), [&](const Wanted& one) { return one.name == name; });
    at_ = found == wanted.end() ? kNone : static_cast<std::size_t>(found - wanted.begin());
    parts_.clear();
    return true;
  }
  bool on_string_part(Text part, std::size_t, Ec&) { return gather(part); }
  bool on_string(Text part, std::size_t, Ec& ec) { return take(Kind::text, part, ec); }
  bool on_number_part(Text part, Ec&) { return gather(part); }
  bool on_int64(std::int64_t, Text part, Ec& ec) { return take(Kind::number, part, ec); }
  bool on_uint64(std::uint64_t, Text part, Ec& ec) { return take(Kind::number, part, ec); }
  bool on_double(auto, Text part, Ec& ec) { return take(Kind::number, part, ec); }
  bool on_bool(bool, Ec& ec) { return take(Kind::other, {}, ec); }
  bool on_null(Ec& ec) { return take(Kind::null, {}, ec); }
  bool on_comment_part(Text, Ec&) { return true; }
  bool on_comment(Text, Ec&) { return true; }

 private:
  bool is_wanted() const { return depth_ == 1 && at_ != kNone; }
  std::string_view whole(Text last_part) {
    if (parts_.empty()) return {last_part.data(), last_part.size()};
    return parts_.append(last_part.data(), last_part.size());
  }
  bool gather(Text part) {
    if (is_wanted()) parts_.append(part.data(), part.size());
    return true;
  }
  bool open(Ec& ec) {
    if (!take(Kind::other, {}, ec)) return false;
    ++depth_;
    return true;
  }
  bool close() {
    --depth_;
    return true;
  }
  bool take(Kind kind, Text last_part, Ec& ec) {
    if (!is_wanted()) return true;
    auto& into = wanted[at_];
    if (into.field.kind != Kind::absent) {
      ec = make_error_code(json::error::syntax);
      return false;
    }
    auto text = whole(last_part);
    const bool in_line = std::less_equal<>()(line_.data(), text.data()) &&
                         std::less_equal<>()(text.data() + text.size(), line_.data() + line_.size());
    if (!in_line) {
      into.copy = text;
      text = into.copy;
    }
    into.field = {kind, text};
    parts_.clear();
    at_ = kNone;
    return true;
  }

  std::string_view line_;
  int depth_ = 0;
  std::size_t at_ = kNone;  // of the value that comes: its position in `wanted`
  std::string parts_;       // of a key or scalar so far
};

json::parse_options lenient_utf8() {
  json::parse_options options;
  options.allow_invalid_utf8 = true;
  return options;
}

}  // namespace

std::optional<std::string_view> object_of(std::string_view line) {
  auto rest = line;
  if (rest.starts_with('<')) {
    if (!take_priority(rest)) return std::nullopt;
    if (rest.starts_with("1 ")) {
      rest.remove_prefix(2);
      if (!take_rfc5424(rest)) return std::nullopt;
    } else if (!rest.starts_with('{') && !take_rfc3164(rest)) {
      return std::nullopt;
    }
  }
  const auto begin = rest.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos || rest[begin] != '{') return std::nullopt;
  return rest.substr(begin, rest.find_last_not_of(std::string_view("\0 \t\r\n", 5)) - begin + 1);
}

std::optional<Quantity> Field::quantity() const {
  if (!is_scalar()) return std::nullopt;
  if (auto plain = Quantity::parse(text)) return *plain;
  if (kind != Kind::number) return std::nullopt;
  ExactJson number;  // with an exponent
  number.kind = ExactJson::Kind::number;
  number.text = text;
  return number.quantity();
}

struct MessageReader::Impl {
  json::basic_parser<Handler> parser{lenient_utf8()};
};

MessageReader::MessageReader(std::vector<std::string> names) : impl_(std::make_unique<Impl>()) {
  for (auto& name : names) impl_->parser.handler().wanted.push_back({std::move(name), {}, {}});
}
MessageReader::~MessageReader() = default;
MessageReader::MessageReader(MessageReader&&) noexcept = default;
MessageReader& MessageReader::operator=(MessageReader&&) noexcept = default;

bool MessageReader::read(std::string_view line) {
  const auto object = object_of(line);
  if (!object) return false;
  impl_->parser.reset();
  impl_->parser.handler().begin(*object);
  json::error_code ec;
  const auto used = impl_->parser.write_some(false, object->data(), object->size(), ec);
  return !ec && used == object->size();
}

const Field& MessageReader::field(std::size_t index) const {
  return impl_->parser.handler().wanted[index].field;
}

}  // namespace meterd::source
