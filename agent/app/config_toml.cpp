#include "agent/app/config_toml.hpp"

#include <toml++/toml.h>

#include <algorithm>

namespace meterd::app {
namespace {

constexpr std::size_t kFoundMax = 60;

int line_of(const toml::source_region& region) { return static_cast<int>(region.begin.line); }

TomlNode convert(const toml::node& node);

void convert_table(const toml::table& table, TomlNode& out) {
  out.kind = TomlNode::Kind::table;
  for (const auto& [key, value] : table) {
    TomlNode child = convert(value);
    child.key = std::string(key.str());
    // An array of tables is found at its first header, which is the array's own place, not the key's.
    if (line_of(key.source()) > 0 && !value.is_array_of_tables()) child.line = line_of(key.source());
    out.children.push_back(std::move(child));
  }
}

TomlNode convert(const toml::node& node) {
  TomlNode out;
  out.line = line_of(node.source());
  if (const auto* table = node.as_table()) {
    convert_table(*table, out);
  } else if (const auto* array = node.as_array()) {
    out.kind = TomlNode::Kind::array;
    for (const auto& item : *array) out.children.push_back(convert(item));
  } else if (const auto* text = node.as_string()) {
    out.kind = TomlNode::Kind::string;
    out.text = text->get();
  } else if (const auto* integer = node.as_integer()) {
    out.kind = TomlNode::Kind::integer;
    out.integer = integer->get();
    out.text = std::to_string(out.integer);
  } else if (const auto* boolean = node.as_boolean()) {
    out.kind = TomlNode::Kind::boolean;
    out.text = boolean->get() ? "true" : "false";
  } else {
    out.kind = TomlNode::Kind::other;
    out.text = node.is_floating_point() ? "a floating-point number" : "a date or time";
  }
  return out;
}

}  // namespace

const TomlNode* TomlNode::find(std::string_view name) const {
  const auto at = std::find_if(children.begin(), children.end(),
                               [&](const TomlNode& child) { return child.key == name; });
  return at == children.end() ? nullptr : &*at;
}

std::string TomlNode::found() const {
  if (kind == Kind::table || kind == Kind::array) return std::string(kind_name());
  if (kind != Kind::string) return text;
  return text.size() <= kFoundMax ? toml_quote(text)
                                  : "a string of " + std::to_string(text.size()) + " bytes";
}

std::string_view TomlNode::kind_name() const {
  switch (kind) {
    case Kind::table:
      return "a table";
    case Kind::array:
      return "an array";
    case Kind::string:
      return "a string";
    case Kind::integer:
      return "an integer";
    case Kind::boolean:
      return "a boolean";
    case Kind::other:
      break;
  }
  return "another type";
}

bool parse_toml(std::string_view text, TomlNode& root, TomlSyntaxError& error) {
  try {
    root = TomlNode{};
    convert_table(toml::parse(text), root);
    root.line = 1;
    return true;
  } catch (const toml::parse_error& problem) {
    error = {line_of(problem.source()), std::string(problem.description())};
    return false;
  }
}

std::string toml_quote(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\u00";
      out += {kHex[byte >> 4U], kHex[byte & 15U]};
    } else {
      out.push_back(c);
    }
  }
  return out + '"';
}

}  // namespace meterd::app
