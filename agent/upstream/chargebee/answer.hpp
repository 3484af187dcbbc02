// The bodies of Chargebee's answers as the few texts that meterd reads: the scalars of the root object, of
// its "usage", of each "usage" in its "list", and of its "download". Numbers stay as they stood in the
// answer, so that no double touches them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace meterd::upstream::chargebee {

struct Scalar {
  enum class Kind : std::uint8_t { string, number, other };
  Kind kind = Kind::other;
  std::string text;
};
using Members = std::map<std::string, Scalar, std::less<>>;

struct Answer {
  Members root;
  std::vector<Members> usages;  // the root's own, or those of the list in its order
  Members download;
  bool is_list = false;

  bool has_usage() const { return !is_list && usages.size() == 1; }
  const Members& usage() const;  // empty unless has_usage()
};

// nullopt: not a JSON object, more than 32 levels deep, or a name that appears twice: which of the two would
// count is not ours to guess.
std::optional<Answer> read_answer(const std::string& body);

// The member's text if it is of that kind; nullptr otherwise.
const std::string* text_of(const Members& members, std::string_view name,
                           Scalar::Kind kind = Scalar::Kind::string);

}  // namespace meterd::upstream::chargebee
