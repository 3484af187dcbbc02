#include "agent/upstream/chargebee/answer.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <utility>

namespace meterd::upstream::chargebee {
namespace {

namespace json = boost::json;

// Depths, counted in objects and arrays that are open: the root object's members are at 1.
constexpr int kRoot = 1;
constexpr int kElement = 3;  // in root, list, element

// Boost.JSON's handler (its documentation names the members): collects an Answer without building a tree.
class Reader {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);
  using Ec = json::error_code;
  using Text = json::string_view;

  Answer answer;

  bool on_document_begin(Ec&) { return true; }
  bool on_document_end(Ec&) { return true; }
  bool on_object_begin(Ec& ec) {
    if (depth_ == kElement - 1) element_has_usage_ = false;
    if (!begin_part(ec)) return false;
    ++depth_;
    return true;
  }
  bool on_object_end(std::size_t, Ec&) { return leave(); }
  bool on_array_begin(Ec& ec) {
    if (depth_ == 0) return refuse(ec);
    if (depth_ == kRoot && key_ == "list") {
      if (answer.is_list || !answer.usages.empty()) return refuse(ec);
      answer.is_list = in_list_ = true;
    }
    ++depth_;
    return true;
  }
  bool on_array_end(std::size_t, Ec&) { return leave(); }
  bool on_key_part(Text part, std::size_t, Ec&) { return gather(part); }
  bool on_key(Text part, std::size_t, Ec&) {
    gather(part);
    key_ = std::exchange(text_, {});
    return true;
  }
  bool on_string_part(Text part, std::size_t, Ec&) { return gather(part); }
  bool on_string(Text part, std::size_t, Ec& ec) { return scalar(Scalar::Kind::string, part, ec); }
  bool on_number_part(Text part, Ec&) { return gather(part); }
  bool on_int64(std::int64_t, Text part, Ec& ec) { return scalar(Scalar::Kind::number, part, ec); }
  bool on_uint64(std::uint64_t, Text part, Ec& ec) { return scalar(Scalar::Kind::number, part, ec); }
  bool on_double(auto, Text part, Ec& ec) { return scalar(Scalar::Kind::number, part, ec); }
  bool on_bool(bool, Ec& ec) { return scalar(Scalar::Kind::other, {}, ec); }
  bool on_null(Ec& ec) { return scalar(Scalar::Kind::other, {}, ec); }
  bool on_comment_part(Text, Ec&) { return true; }
  bool on_comment(Text, Ec&) { return true; }

 private:
  static bool refuse(Ec& ec) {
    ec = make_error_code(json::error::syntax);
    return false;
  }
  bool gather(Text part) {
    text_.append(part.data(), part.size());
    return true;
  }

  // Whether an object that begins here is one that is read, and into what.
  bool begin_part(Ec& ec) {
    const bool at_root = depth_ == kRoot;
    if (at_root && key_ == "download") {
      if (std::exchange(has_download_, true)) return refuse(ec);
      part_ = &answer.download;
      part_depth_ = depth_ + 1;
    }
    const bool in_element = in_list_ && depth_ == kElement;
    if (!(at_root || in_element) || key_ != "usage") return true;
    const bool twice =
        in_element ? std::exchange(element_has_usage_, true) : answer.is_list || !answer.usages.empty();
    if (twice) return refuse(ec);
    part_ = &answer.usages.emplace_back();
    part_depth_ = depth_ + 1;
    return true;
  }
  bool leave() {
    if (depth_-- == part_depth_) part_depth_ = 0;
    if (depth_ == kRoot) in_list_ = false;
    return true;
  }
  bool scalar(Scalar::Kind kind, Text last_part, Ec& ec) {
    gather(last_part);
    std::string text = std::exchange(text_, {});
    if (depth_ == 0) return refuse(ec);
    if (depth_ != kRoot && depth_ != part_depth_) return true;
    Members& members = depth_ == kRoot ? answer.root : *part_;
    return members.emplace(key_, Scalar{kind, std::move(text)}).second || refuse(ec);
  }

  int depth_ = 0;
  bool in_list_ = false;
  bool element_has_usage_ = false;
  bool has_download_ = false;
  Members* part_ = nullptr;  // of the object that is read, at part_depth_
  int part_depth_ = 0;       // 0: none
  std::string key_;          // the last one
  std::string text_;         // parts of a key or scalar so far
};

}  // namespace

const Members& Answer::usage() const {
  static const Members kNone;
  return has_usage() ? usages.front() : kNone;
}

std::optional<Answer> read_answer(const std::string& body) {
  json::basic_parser<Reader> parser{json::parse_options{}};  // strict, at most 32 levels deep
  json::error_code ec;
  const std::size_t used = parser.write_some(false, body.data(), body.size(), ec);
  if (ec || used != body.size()) return std::nullopt;
  return std::move(parser.handler().answer);
}

const std::string* text_of(const Members& members, std::string_view name, Scalar::Kind kind) {
  const auto found = members.find(name);
  return found != members.end() && found->second.kind == kind ? &found->second.text : nullptr;
}

}  // namespace meterd::upstream::chargebee
