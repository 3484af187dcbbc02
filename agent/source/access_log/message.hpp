// One message of an access log: a syslog header or none, then one JSON object. Only the fields that somebody
// asked for are looked at, and nothing is kept: paths and addresses go by. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/quantity.hpp"

namespace meterd::source {

// What stands behind the header: RFC 3164 with or without a host's name (nginx, HAProxy), RFC 5424 (HAProxy),
// a priority alone, or no header. nullopt: none of these, or no object begins there.
std::optional<std::string_view> object_of(std::string_view line);

struct Field {
  enum class Kind : std::uint8_t { absent, null, text, number, other };
  Kind kind = Kind::absent;
  std::string_view text;  // of a text or number, as it stood

  // Servers write null, "" or "-" for what a request does not have.
  bool is_empty() const {
    return kind == Kind::null || (kind == Kind::text && (text.empty() || text == "-"));
  }
  bool is_scalar() const { return kind == Kind::text || kind == Kind::number; }
  // Numbers come bare or between quotation marks. nullopt: no number that a Quantity holds.
  std::optional<Quantity> quantity() const;
};

class MessageReader {
 public:
  // Which members of the object are looked at; each name once.
  explicit MessageReader(std::vector<std::string> names);
  ~MessageReader();
  MessageReader(MessageReader&&) noexcept;
  MessageReader& operator=(MessageReader&&) noexcept;

  // False: not one JSON object, more than 32 levels deep, or a wanted member comes twice: which one would
  // count is not ours to guess. Bytes that are not UTF-8 are let through: whoever puts one into a path must
  // not have the call for nothing.
  bool read(std::string_view line);
  // By position in `names`, of the line read last; valid as long as that line, until the next one.
  const Field& field(std::size_t index) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace meterd::source
