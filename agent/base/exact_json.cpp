#include "agent/base/exact_json.hpp"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <utility>

namespace meterd {
namespace {

namespace json = boost::json;
using Kind = ExactJson::Kind;

// Boost.JSON's handler (its documentation names the members).
class Reader {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);
  using Ec = json::error_code;
  using Text = json::string_view;

  ExactJson root;

  bool on_document_begin(Ec&) { return true; }
  bool on_document_end(Ec&) { return true; }
  bool on_object_begin(Ec& ec) { return open(Kind::object, ec); }
  bool on_object_end(std::size_t, Ec&) { return close(); }
  bool on_array_begin(Ec& ec) { return open(Kind::array, ec); }
  bool on_array_end(std::size_t, Ec&) { return close(); }
  bool on_key_part(Text part, std::size_t, Ec&) { return gather(part); }
  bool on_key(Text part, std::size_t, Ec&) {
    gather(part);
    key_ = std::exchange(text_, {});
    return true;
  }
  bool on_string_part(Text part, std::size_t, Ec&) { return gather(part); }
  bool on_string(Text part, std::size_t, Ec& ec) { return scalar(Kind::string, part, ec); }
  bool on_number_part(Text part, Ec&) { return gather(part); }
  bool on_int64(std::int64_t, Text part, Ec& ec) { return scalar(Kind::number, part, ec); }
  bool on_uint64(std::uint64_t, Text part, Ec& ec) { return scalar(Kind::number, part, ec); }
  bool on_double(auto, Text part, Ec& ec) { return scalar(Kind::number, part, ec); }
  bool on_bool(bool truth, Ec& ec) {
    if (!scalar(Kind::boolean, {}, ec)) return false;
    last_->truth = truth;
    return true;
  }
  bool on_null(Ec& ec) { return scalar(Kind::null, {}, ec); }
  bool on_comment_part(Text, Ec&) { return true; }
  bool on_comment(Text, Ec&) { return true; }

 private:
  bool gather(Text part) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool add(Kind kind, Ec& ec) {
    if (open_.empty()) {
      last_ = &root;
    } else {
      auto& parent = *open_.back();
      if (parent.kind == Kind::object && parent.member(key_) != nullptr) {
        ec = make_error_code(json::error::syntax);
        return false;
      }
      if (parent.kind == Kind::object) parent.names.push_back(std::exchange(key_, {}));
      last_ = &parent.items.emplace_back();
    }
    last_->kind = kind;
    return true;
  }
  bool open(Kind kind, Ec& ec) {
    if (!add(kind, ec)) return false;
    open_.push_back(last_);  // it does not move while it is open: only the innermost one grows
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  bool scalar(Kind kind, Text last_part, Ec& ec) {
    gather(last_part);
    if (!add(kind, ec)) return false;
    last_->text = std::exchange(text_, {});
    return true;
  }

  std::vector<ExactJson*> open_;
  ExactJson* last_ = nullptr;
  std::string key_;   // of the member that comes
  std::string text_;  // parts of a key or scalar so far
};

}  // namespace

std::optional<ExactJson> ExactJson::parse(std::string_view text) {
  json::basic_parser<Reader> parser{json::parse_options{}};  // strict, at most 32 levels deep
  json::error_code ec;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
  if (ec || used != text.size()) return std::nullopt;
  return std::move(parser.handler().root);
}

const ExactJson* ExactJson::member(std::string_view name) const {
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? nullptr : &items[static_cast<std::size_t>(found - names.begin())];
}

const ExactJson* ExactJson::member(std::string_view name, Kind wanted) const {
  const auto* found = member(name);
  return found != nullptr && found->kind == wanted ? found : nullptr;
}

std::optional<Quantity> ExactJson::quantity() const {
  if (kind != Kind::number) return std::nullopt;
  constexpr int kExponentMax = 100;  // beyond what a Quantity holds, and no work to write out
  const auto e = text.find_first_of("eE");
  std::string digits = text.substr(0, e);
  int exponent = 0;
  if (e != std::string::npos) {
    const bool is_negative = text[e + 1] == '-';
    for (const char c : text.substr(e + 1))
      if (c >= '0' && c <= '9') exponent = std::min(exponent * 10 + (c - '0'), kExponentMax);
    if (is_negative) exponent = -exponent;
  }
  const std::string sign = digits.starts_with('-') ? "-" : "";
  digits.erase(0, sign.size());
  const auto point = std::min(digits.find('.'), digits.size());
  auto whole = static_cast<int>(point) + exponent;  // digits before the point
  if (point < digits.size()) digits.erase(point, 1);
  if (whole <= 0) digits.insert(0, static_cast<std::size_t>(1 - whole), '0');
  whole = std::max(whole, 1);
  if (static_cast<std::size_t>(whole) > digits.size()) digits.resize(static_cast<std::size_t>(whole), '0');
  const auto at = static_cast<std::size_t>(whole);
  std::string units = digits.substr(0, at);
  units.erase(0, std::min(units.find_first_not_of('0'), units.size() - 1));
  std::string places = digits.substr(at);
  places.erase(places.find_last_not_of('0') + 1);
  const auto parsed = Quantity::parse_total(sign + units + (places.empty() ? "" : "." + places));
  return parsed ? std::optional(*parsed) : std::nullopt;
}

}  // namespace meterd
