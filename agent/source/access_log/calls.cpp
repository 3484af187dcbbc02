#include "agent/source/access_log/calls.hpp"

#include <algorithm>
#include <utility>

#include "agent/base/text.hpp"

namespace meterd::source {

using meter::Refusal;
using Verdict = CallReader::Verdict;

namespace {

constexpr std::size_t kWorkerBytesMax = 100;
constexpr std::uint64_t kNumberMax = std::uint64_t{1} << 53U;  // what every writer of JSON still writes whole

// Of the names that are read; `name` empty: none.
std::size_t place_of(std::vector<std::string>& names, const std::string& name) {
  if (name.empty()) return static_cast<std::size_t>(-1);
  const auto found = std::find(names.begin(), names.end(), name);
  const auto place = static_cast<std::size_t>(found - names.begin());
  if (found == names.end()) names.push_back(name);
  return place;
}

bool starts_with_any(std::string_view text, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return text.starts_with(prefix); });
}

}  // namespace

Result<StatusSet> status_set(const std::vector<std::string>& patterns) {
  StatusSet out;
  for (const auto& pattern : patterns) {
    const bool is_class = pattern.size() == 3 && pattern.ends_with("xx");
    const auto number = parse_unsigned(is_class ? pattern.substr(0, 1) + "00" : pattern);
    if (pattern.size() != 3 || !number || *number < 100 || *number >= kStatusEnd)
      return Error{Code::invalid, "'" + pattern + "' is no status: write \"2xx\" or \"304\""};
    for (std::size_t i = 0; i < (is_class ? 100U : 1U); ++i) out.set(static_cast<std::size_t>(*number) + i);
  }
  return out;
}

CallReader::CallReader(const AccessLogRule& rule) : calls_(rule.calls()), reader_({}) {
  for (const auto& call : calls_) {
    Place place;
    place.subscription = place_of(names_, call.subscription_field);
    place.quantity = place_of(names_, call.quantity_field);
    place.status = place_of(names_, call.status_field);
    place.path = place_of(names_, call.path_field);
    if (auto statuses = status_set(call.status)) place.statuses = *statuses;
    places_.push_back(place);
  }
  worker_ = place_of(names_, rule.worker_field);
  sequence_ = place_of(names_, rule.sequence_field);
  reader_ = MessageReader(names_);
}

// nullopt: it counts. A field that is not there at all is a mistake in the server's format, and told.
std::optional<Verdict> CallReader::filter(const CallRule& rule, const Place& place) const {
  if (place.status != kNone) {
    const auto& status = reader_.field(place.status);
    if (!status.is_scalar() && !status.is_empty()) return Verdict::refused;
    const auto number = parse_unsigned(status.text);  // servers write "-", 0 or -1 where there was no answer
    if (!number || *number >= kStatusEnd || !place.statuses.test(static_cast<std::size_t>(*number)))
      return Verdict::passes;
  }
  if (place.path != kNone) {
    const auto& path = reader_.field(place.path);
    if (!path.is_scalar() && !path.is_empty()) return Verdict::refused;
    if (!starts_with_any(path.text, rule.path_prefix)) return Verdict::passes;
  }
  return std::nullopt;
}

CallReader::Call CallReader::judge(std::size_t index) const {
  const auto& rule = calls_[index];
  const auto& place = places_[index];
  Call call;
  if (const auto decided = filter(rule, place)) {
    call.verdict = *decided;
    call.refusal = Refusal::malformed;
    return call;
  }
  const auto refused = [&](Refusal refusal) {
    call.verdict = Verdict::refused;
    call.refusal = refusal;
    return call;
  };
  call.event.name = rule.event.value();
  call.event.subscription = rule.subscription.value();
  call.event.quantity = Quantity::of(1);
  if (place.subscription != kNone) {
    const auto& subscription = reader_.field(place.subscription);
    if (!subscription.is_scalar() && !subscription.is_empty()) return refused(Refusal::malformed);
    call.event.subscription = subscription.is_empty() ? std::string_view{} : subscription.text;
  }
  if (place.quantity != kNone) {
    const auto& field = reader_.field(place.quantity);
    if (field.is_empty()) return call;
    const auto quantity = field.quantity();
    if (!quantity) return refused(Refusal::bad_quantity);
    if (quantity->is_zero()) return call;
    call.event.quantity = *quantity;
  }
  call.verdict = Verdict::counts;
  return call;
}

std::optional<CallReader::Sender> CallReader::sender() const {
  const auto& worker = reader_.field(worker_);
  const auto& sequence = reader_.field(sequence_);
  if (!worker.is_scalar() || !sequence.is_scalar()) return std::nullopt;
  const auto number = parse_unsigned(sequence.text);
  if (!number || *number > kNumberMax || !is_clean_text(worker.text, kWorkerBytesMax)) return std::nullopt;
  return Sender{worker.text, *number};
}

}  // namespace meterd::source
