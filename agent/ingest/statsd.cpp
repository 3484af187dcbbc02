#include "agent/ingest/statsd.hpp"

#include "agent/base/limits.hpp"

namespace meterd::ingest {
namespace {

using meter::Refusal;

// Takes what stands before `separator` off the front of `rest`.
std::string_view take(std::string_view& rest, char separator) {
  const auto at = rest.find(separator);
  const auto head = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view{} : rest.substr(at + 1);
  return head;
}

void read_tags(std::string_view tags, meter::EventView& event) {
  constexpr std::string_view kSubscription = "subscription:";
  while (!tags.empty()) {
    const auto tag = take(tags, ',');
    if (tag.starts_with(kSubscription)) event.subscription = tag.substr(kSubscription.size());
  }
}

}  // namespace

std::optional<Refusal> parse_statsd_line(std::string_view line, meter::EventView& out) {
  if (line.size() > limits::kDatagramBytesMax) return Refusal::too_large;
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return Refusal::malformed;
  out.name = line.substr(0, colon);
  if (out.name.size() > limits::kEventNameMax) return Refusal::bad_id;
  auto rest = line.substr(colon + 1);
  const auto value = take(rest, '|');
  const auto type = take(rest, '|');
  if (type != "c") return Refusal::malformed;
  while (!rest.empty()) {
    const auto part = take(rest, '|');
    if (part.starts_with('#')) {
      read_tags(part.substr(1), out);
    } else if (part != "@1" && part != "@1.0") {
      return Refusal::malformed;
    }
  }
  auto quantity = Quantity::parse(value);
  if (!quantity) return Refusal::bad_quantity;
  out.quantity = *quantity;
  return std::nullopt;
}

}  // namespace meterd::ingest
