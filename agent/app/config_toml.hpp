// TOML text as a plain tree in which every value knows its line. The only door to toml++, whose header is
// heavy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.hpp"

namespace meterd::app {

struct TomlNode {
  enum class Kind : std::uint8_t { table, array, string, integer, boolean, other };

  const TomlNode* find(std::string_view name) const;  // a table's child, or nullptr
  // For a message's "found ...". Shows the value of a short scalar: never call it for a secret.
  std::string found() const;
  // The same without the value: "a string".
  std::string_view kind_name() const;

  Kind kind = Kind::table;
  int line = 0;      // of the key where there is one, from 1
  std::string key;   // a table's child has one
  std::string text;  // a string's value; another scalar as it would be written
  std::int64_t integer = 0;
  std::vector<TomlNode> children;  // of a table or an array
};

// Where a document stops being TOML. The message quotes keys and single characters, never a value.
struct TomlSyntaxError {
  int line = 0;
  std::string message;
};

// The root table. On a syntax error returns false and fills `error`.
bool parse_toml(std::string_view text, TomlNode& root, TomlSyntaxError& error);

// A basic string with its quotes: parse_toml reads it back unchanged.
std::string toml_quote(std::string_view text);

}  // namespace meterd::app
