#include "agent/ctl/fields.hpp"

#include <algorithm>
#include <limits>

#include "agent/ctl/layout.hpp"

namespace meterd::ctl {

namespace json = boost::json;

std::string text_or_empty(const json::object& object, std::string_view name) {
  const auto* member = object.if_contains(name);
  if (member == nullptr) return {};
  if (member->is_string()) return clean({member->get_string().data(), member->get_string().size()});
  if (member->is_uint64()) return std::to_string(member->get_uint64());
  if (member->is_int64()) return std::to_string(member->get_int64());
  return {};
}

std::string text_in(const json::object& object, std::string_view name) {
  auto text = text_or_empty(object, name);
  return text.empty() ? "-" : text;
}

std::int64_t number_in(const json::object& object, std::string_view name) {
  const auto* member = object.if_contains(name);
  if (member == nullptr) return 0;
  if (member->is_int64()) return member->get_int64();
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  if (!member->is_uint64()) return 0;
  return static_cast<std::int64_t>(std::min<std::uint64_t>(member->get_uint64(), kMax));
}

bool flag_in(const json::object& object, std::string_view name) {
  const auto* member = object.if_contains(name);
  return member != nullptr && member->is_bool() && member->get_bool();
}

const json::object& as_object(const json::value& value) {
  static const json::object empty;
  return value.is_object() ? value.get_object() : empty;
}

const json::object& object_in(const json::object& object, std::string_view name) {
  static const json::value none;
  const auto* member = object.if_contains(name);
  return as_object(member != nullptr ? *member : none);
}

const json::array& array_in(const json::object& object, std::string_view name) {
  static const json::array empty;
  const auto* member = object.if_contains(name);
  return member != nullptr && member->is_array() ? member->get_array() : empty;
}

std::string list_in(const json::object& object, std::string_view name) {
  std::string out;
  for (const auto& element : array_in(object, name)) {
    if (!element.is_string()) continue;
    if (!out.empty()) out += ", ";
    out += clean({element.get_string().data(), element.get_string().size()});
  }
  return out;
}

}  // namespace meterd::ctl
