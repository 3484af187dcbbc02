// One CloudEvent's members as they were given, from JSON or from header fields, and what they say. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/api/cloud_event.hpp"

namespace meterd::api {

enum class Kind : std::uint8_t { unset, text, whole, other, object, array };

enum Member : std::size_t {
  kSpecversion,
  kType,
  kId,
  kSource,
  kSubscription,
  kSubject,
  kTime,
  kDatacontenttype,
  kData,
  kDataBase64,
  kMembers
};
constexpr std::array<std::string_view, kMembers> kNames{
    "specversion",     "type", "id",         "source", "subscription", "subject", "time",
    "datacontenttype", "data", "data_base64"};

// The member of this name, or kMembers: one that is passed over.
std::size_t member_of(std::string_view name);

// The views are into what was read.
struct Draft {
  struct Value {
    Kind kind = Kind::unset;
    std::string_view text;
  };
  std::array<Value, kMembers> members;
  Value quantity;
  std::uint64_t whole = 0;       // the quantity, if it is a whole number
  unsigned named = 0;            // members that have been named, by bit
  std::string_view given_twice;  // a member's name
};

// Most events of a batch count the same: the last quantity that was parsed.
struct QuantityMemo {
  std::string text;
  Quantity value;
};

// The event (all but its position), or why it is none.
std::optional<CloudEventError> read_event(const Draft& draft, QuantityMemo& memo, CloudEvent& out);

// A header field's value as the CloudEvents HTTP binding has it: a quoted string is unquoted, then one round
// of percent-decoding. nullopt: not UTF-8 that way.
std::optional<std::string> decode_field(std::string_view value);

}  // namespace meterd::api
