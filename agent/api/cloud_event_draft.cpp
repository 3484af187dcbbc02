#include "agent/api/cloud_event_draft.hpp"

#include <utility>

#include "agent/base/text.hpp"

namespace meterd::api {
namespace {

using meter::Refusal;

constexpr std::string_view kQuantityAdvice =
    "The quantity must be a decimal above zero of at most 40 characters. Write it as a string: "
    "{\"data\":{\"quantity\":\"0.5\"}}";

bool is_json(std::string_view content_type) {
  const auto name = content_type.substr(0, content_type.find(';'));
  return is_media_type(content_type, "application/json") || is_media_type(content_type, "text/json") ||
         name.find("+json") != std::string_view::npos;
}

std::optional<CloudEventError> read_attributes(const Draft& draft, CloudEvent& out) {
  const auto refuse = [](std::string message) {
    return CloudEventError{Refusal::malformed, std::move(message), 0, {}};
  };
  const auto& given = draft.members;
  const auto is_text_or_unset = [&](Member one) {
    return given[one].kind == Kind::text || given[one].kind == Kind::unset;
  };
  if (!draft.given_twice.empty()) return refuse("Give \"" + std::string(draft.given_twice) + "\" once.");
  if (given[kSpecversion].text != "1.0") return refuse("specversion must be \"1.0\".");
  if (given[kType].text.empty()) return refuse("type must be the event's name.");
  if (given[kId].text.empty() || given[kSource].text.empty())
    return refuse("id and source must be strings: together they identify the event.");
  if (!is_text_or_unset(kSubscription) || !is_text_or_unset(kSubject))
    return refuse("subscription must be a string.");
  out.type = given[kType].text;
  out.id = given[kId].text;
  out.source = given[kSource].text;
  out.subscription = given[given[kSubscription].text.empty() ? kSubject : kSubscription].text;
  if (!is_text_or_unset(kTime)) return refuse("time must be a string.");
  if (given[kTime].kind == Kind::text) {
    auto parsed = parse_rfc3339(given[kTime].text);
    if (!parsed) return refuse("time: " + parsed.error().message + ".");
    out.time = *parsed;
  }
  return std::nullopt;
}

bool read_quantity(const Draft& draft, QuantityMemo& memo, Quantity& out) {
  if (draft.quantity.kind == Kind::unset || draft.quantity.kind == Kind::whole) {
    out = Quantity::of(draft.quantity.kind == Kind::unset ? 1 : draft.whole);
    return true;
  }
  if (draft.quantity.kind != Kind::text) return false;
  if (draft.quantity.text != memo.text || memo.text.empty()) {
    auto parsed = Quantity::parse(draft.quantity.text);
    if (!parsed) return false;
    memo.value = *parsed;
    memo.text = draft.quantity.text;
  }
  out = memo.value;
  return true;
}

std::optional<CloudEventError> read_data(const Draft& draft, QuantityMemo& memo, CloudEvent& out) {
  const auto& given = draft.members;
  const auto& encoded = given[kDataBase64];
  if (encoded.kind != Kind::unset && !(encoded.kind == Kind::text && encoded.text.empty()))
    return CloudEventError{
        Refusal::malformed,
        "data_base64 is not read. Send the quantity as JSON: {\"data\":{\"quantity\":\"5\"}}",
        0,
        {}};
  const auto& type = given[kDatacontenttype];
  if (given[kData].kind != Kind::unset && type.kind != Kind::unset && !is_json(type.text))
    return CloudEventError{Refusal::malformed,
                           "datacontenttype must be application/json: the quantity is read from data.",
                           0,
                           {}};
  if (given[kData].kind != Kind::unset && given[kData].kind != Kind::object)
    return CloudEventError{Refusal::bad_quantity, std::string(kQuantityAdvice), 0, {}};
  if (!read_quantity(draft, memo, out.quantity))
    return CloudEventError{Refusal::bad_quantity, std::string(kQuantityAdvice), 0, {}};
  return std::nullopt;
}

}  // namespace

std::size_t member_of(std::string_view name) {
  std::size_t member = 0;
  while (member < kMembers && kNames[member] != name) ++member;
  return member;
}

std::optional<CloudEventError> read_event(const Draft& draft, QuantityMemo& memo, CloudEvent& out) {
  auto error = read_attributes(draft, out);
  return error ? error : read_data(draft, memo, out);
}

// One round of decoding, as the CloudEvents HTTP binding has it: a quoted string, then percent escapes.
std::optional<std::string> decode_field(std::string_view value) {
  std::string plain;
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (value[i] == '\\' && i + 1 < value.size()) ++i;
      plain.push_back(value[i]);
    }
    value = plain;
  }
  auto decoded = percent_decode(value, false);
  if (decoded && !is_valid_utf8(*decoded)) decoded.reset();
  return decoded;
}

}  // namespace meterd::api
