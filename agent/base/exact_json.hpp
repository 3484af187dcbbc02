// JSON whose numbers stay as they stood in the text, so that no double touches an amount. For small documents
// of a known shape: a tree of values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/quantity.hpp"

namespace meterd {

class ExactJson {
 public:
  enum class Kind : std::uint8_t { null, boolean, number, string, array, object };

  // nullopt: not JSON, more than 32 levels deep, or an object with one name twice: which of the two would
  // count is not ours to guess.
  static std::optional<ExactJson> parse(std::string_view text);

  Kind kind = Kind::null;
  bool truth = false;              // of a boolean
  std::string text;                // of a string, or of a number as it stood
  std::vector<ExactJson> items;    // of an array, or an object's values
  std::vector<std::string> names;  // of an object: one for each of the items

  // The object's member of that name and kind; nullptr: there is none.
  const ExactJson* member(std::string_view name, Kind wanted) const;
  const ExactJson* member(std::string_view name) const;
  // The number's exact value, an exponent included; nullopt: no number, or one that a Quantity cannot hold.
  std::optional<Quantity> quantity() const;
};

}  // namespace meterd
