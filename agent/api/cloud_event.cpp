#include "agent/api/cloud_event.hpp"

#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <deque>
#include <functional>

#include "agent/api/cloud_event_draft.hpp"
#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"

namespace meterd::api {
namespace {

namespace json = boost::json;
using boost::system::error_code;
using meter::Refusal;

constexpr std::size_t kDepthMax = 16;
constexpr std::size_t kEventsKept = 1'000;  // of memory, from one batch to the next
enum class Mode : std::uint8_t {
  one,
  batch,
  data
};  // what the body is: an event, an array of them, an event's data
// The parser's handler: takes the values of the members that count, by depth, and passes over the rest.
struct Sax {
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);

  std::vector<CloudEvent> events;
  std::vector<CloudEventError> errors;

  Mode mode = Mode::one;
  std::string_view body;
  std::size_t depth = 0;        // open objects and arrays
  std::size_t event_depth = 1;  // the depth inside an event's object
  std::size_t position = 0;
  std::size_t member = kMembers;  // whose value comes next
  bool inside_data = false;
  bool is_quantity = false;
  Draft draft;
  std::optional<CloudEventError> broken;  // the body as a whole
  std::string pieces;                     // of a string with escapes
  std::deque<std::string> unescaped;
  QuantityMemo quantities;

  void begin(Mode what, std::string_view bytes);
  std::string_view keep(std::string_view text);
  bool take(Kind kind, std::string_view text, error_code& ec, std::uint64_t whole = 0);
  bool stop(error_code& ec, Refusal refusal, std::string message);
  void name_member(std::string_view name);
  void finish_event();

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code& ec) {
    if (!take(Kind::object, {}, ec)) return false;
    ++depth;
    if (depth == event_depth) draft = {};
    return true;
  }
  bool on_object_end(std::size_t, error_code&) {
    if (depth-- == event_depth && mode != Mode::data) finish_event();
    return true;
  }
  bool on_array_begin(error_code& ec) {
    if (!take(Kind::array, {}, ec)) return false;
    ++depth;
    return true;
  }
  bool on_array_end(std::size_t, error_code&) {
    --depth;
    return true;
  }
  bool on_key_part(json::string_view piece, std::size_t, error_code&) {
    pieces.append(piece.data(), piece.size());
    return true;
  }
  bool on_key(json::string_view last, std::size_t, error_code&) {
    if (pieces.empty()) {
      name_member({last.data(), last.size()});
      return true;
    }
    pieces.append(last.data(), last.size());
    name_member(pieces);
    pieces.clear();
    return true;
  }
  bool on_string_part(json::string_view piece, std::size_t, error_code&) {
    pieces.append(piece.data(), piece.size());
    return true;
  }
  bool on_string(json::string_view last, std::size_t, error_code& ec) {
    if (pieces.empty()) return take(Kind::text, {last.data(), last.size()}, ec);
    pieces.append(last.data(), last.size());
    const bool on = take(Kind::text, pieces, ec);
    pieces.clear();
    return on;
  }
  bool on_number_part(json::string_view, error_code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, error_code& ec) {
    return take(value < 0 ? Kind::other : Kind::whole, {}, ec, static_cast<std::uint64_t>(value));
  }
  bool on_uint64(std::uint64_t value, json::string_view, error_code& ec) {
    return take(Kind::whole, {}, ec, value);
  }
  // A whole number is exact in JSON too; a fraction is not, and must come as a string.
  bool on_double(auto /*value*/, json::string_view, error_code& ec) { return take(Kind::other, {}, ec); }
  bool on_bool(bool, error_code& ec) { return take(Kind::other, {}, ec); }
  // The JSON format lets an unset attribute be null; a quantity that is null is a mistake.
  bool on_null(error_code& ec) { return take(is_quantity ? Kind::other : Kind::unset, {}, ec); }
  bool on_comment_part(json::string_view, error_code&) { return true; }
  bool on_comment(json::string_view, error_code&) { return true; }
};

// Memory of a large batch is given back with the next body.
void Sax::begin(Mode what, std::string_view bytes) {
  mode = what;
  body = bytes;
  event_depth = what == Mode::batch ? 2 : what == Mode::one ? 1 : 0;
  if (events.capacity() > kEventsKept) events = {};
  events.clear();
  errors.clear();
  unescaped.clear();
  pieces.clear();
  broken.reset();
  draft = {};
  depth = position = 0;
  member = what == Mode::data ? std::size_t{kData} : std::size_t{kMembers};
  inside_data = is_quantity = false;
}

// A string without escapes stands in the body; any other is kept here.
std::string_view Sax::keep(std::string_view text) {
  const std::less<> before;
  const bool in_body =
      !text.empty() && !before(text.data(), body.data()) && before(text.data(), body.data() + body.size());
  return in_body || text.empty() ? text : unescaped.emplace_back(text);
}

bool Sax::stop(error_code& ec, Refusal refusal, std::string message) {
  broken = CloudEventError{refusal, std::move(message), 0, {}};
  ec = json::make_error_code(json::error::extra_data);  // any: what counts is `broken`
  return false;
}

void Sax::name_member(std::string_view name) {
  is_quantity = false;
  member = kMembers;
  if (depth == event_depth + 1) {
    is_quantity = inside_data && name == "quantity";
    if (is_quantity && draft.quantity.kind != Kind::unset) draft.given_twice = "quantity";
    if (is_quantity) draft.quantity.kind = Kind::other;
  }
  if (depth != event_depth || mode == Mode::data) return;
  member = member_of(name);
  if (member == kMembers) return;
  if ((draft.named & (1U << member)) != 0) draft.given_twice = kNames[member];
  draft.named |= 1U << member;
}

// A value, or the beginning of an object or array, at the present depth.
bool Sax::take(Kind kind, std::string_view text, error_code& ec, std::uint64_t whole) {
  if (depth == 0 && mode == Mode::batch && kind != Kind::array)
    return stop(ec, Refusal::malformed, "A batch is a JSON array of CloudEvents.");
  if (depth == 0 && mode == Mode::one && kind != Kind::object)
    return stop(ec, Refusal::malformed,
                "A CloudEvent is a JSON object; send several as application/cloudevents-batch+json.");
  if (depth == 1 && mode == Mode::batch) {
    if (position == limits::kBatchEventsMax)
      return stop(ec, Refusal::too_large,
                  "Send at most " + std::to_string(limits::kBatchEventsMax) + " events in a batch.");
    if (kind != Kind::object)
      errors.push_back({Refusal::malformed, "A CloudEvent is a JSON object.", position++, {}});
  }
  if (depth == event_depth) {
    inside_data = member == kData && kind == Kind::object;
    if (member < kMembers) draft.members[member] = {kind, keep(text)};
    member = kMembers;
  } else if (depth == event_depth + 1 && is_quantity) {
    draft.quantity = {kind, keep(text)};
    draft.whole = whole;
    is_quantity = false;
  }
  return true;
}

void Sax::finish_event() {
  CloudEvent event;
  event.position = position;
  auto error = read_event(draft, quantities, event);
  if (!error) {
    events.push_back(event);
  } else {
    error->position = position;
    const auto& id = draft.members[kId];
    if (id.kind == Kind::text && is_clean_text(id.text, limits::kIdMax)) error->id = id.text;
    errors.push_back(std::move(*error));
  }
  ++position;
}

}  // namespace

struct CloudEventReader::Impl {
  json::basic_parser<Sax> parser{options()};
  Sax& sax = parser.handler();

  static json::parse_options options() {
    json::parse_options out;
    out.max_depth = kDepthMax;
    return out;
  }
  std::optional<CloudEventError> parse(Mode mode, std::string_view body);
};

std::optional<CloudEventError> CloudEventReader::Impl::parse(Mode mode, std::string_view body) {
  sax.begin(mode, body);
  parser.reset();
  error_code failed;
  const auto read = parser.write_some(false, body.data(), body.size(), failed);
  if (!failed && read < body.size()) failed = json::make_error_code(json::error::extra_data);
  if (!failed) return std::nullopt;
  sax.events.clear();
  sax.errors.clear();
  if (sax.broken) return std::move(sax.broken);
  return CloudEventError{
      Refusal::malformed,
      "The body is not JSON in UTF-8: " + failed.message() + " near byte " + std::to_string(read) + ".",
      0,
      {}};
}

CloudEventReader::CloudEventReader() : impl_(std::make_unique<Impl>()) {}
CloudEventReader::~CloudEventReader() = default;

const std::vector<CloudEvent>& CloudEventReader::events() const { return impl_->sax.events; }
std::vector<CloudEventError>& CloudEventReader::errors() { return impl_->sax.errors; }

std::optional<CloudEventError> CloudEventReader::read_one(std::string_view body) {
  return impl_->parse(Mode::one, body);
}
std::optional<CloudEventError> CloudEventReader::read_batch(std::string_view body) {
  return impl_->parse(Mode::batch, body);
}

std::optional<CloudEventError> CloudEventReader::read_binary(const Request& request) {
  auto& sax = impl_->sax;
  if (request.body.empty()) {
    sax.begin(Mode::data, {});
  } else if (auto broken = impl_->parse(Mode::data, request.body)) {
    return broken;
  }
  for (const auto& [field, value] : request.headers) {
    if (!field.starts_with("ce-")) continue;
    const auto member = member_of(std::string_view(field).substr(3));
    if (member >= kDatacontenttype) continue;  // the data and its type are the body and Content-Type
    auto decoded = decode_field(value);
    if (!decoded)
      return CloudEventError{Refusal::malformed, field + " must be percent-encoded UTF-8.", 0, {}};
    if (sax.draft.members[member].kind != Kind::unset) sax.draft.given_twice = kNames[member];
    sax.draft.members[member] = {Kind::text, sax.unescaped.emplace_back(std::move(*decoded))};
  }
  sax.finish_event();
  return std::nullopt;
}

}  // namespace meterd::api
