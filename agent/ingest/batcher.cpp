#include "agent/ingest/batcher.hpp"

#include <algorithm>
#include <utility>

#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"
#include "agent/meter/identity.hpp"

namespace meterd::ingest {

using meter::Refusal;

namespace {
constexpr std::size_t kIdsPerPlace = 64;  // they are stored many to a page
}  // namespace

Batcher::Batcher(const Dependencies& dependencies, Settings settings)
    : deps_(dependencies),
      settings_(std::move(settings)),
      alarm_(deps_.clock.make_alarm()),
      slices_at_once_(kSlicesPerCommit),
      last_trusted_stored_(deps_.journal.last_trusted_at_open()),
      trust_noted_(deps_.journal.trusted_offset_at_open().has_value()),
      remembered_ids_(deps_.journal.remembered_ids().blocks().ids),
      summarised_at_(deps_.clock.boot()) {}

Batcher::Counted Batcher::count(const meter::EventView& event, const platform::WallReading& now) {
  const auto refused = [&](Refusal refusal) {
    stats_.refuse(refusal);
    return Counted{refusal, std::nullopt};
  };
  if (ended_) return refused(Refusal::full);
  WallTime at;
  if (auto refusal = judge(event, now, at)) return refused(*refusal);
  const auto known_routes = routes_.size();
  std::optional<Refusal> refusal;
  Route* route = find_route(event, refusal);
  if (route == nullptr) return refused(*refusal);
  const auto dropped = [&](Refusal why) {
    if (routes_.size() > known_routes) routes_.drop_last();  // it was made for this event
    return refused(why);
  };
  if (event.permit != nullptr && !allows(*event.permit, *route)) {
    ++tried_by(event.permit->who).events;
    return dropped(Refusal::not_allowed);
  }
  if (!fits_places(*route, event.quantity)) return refused(Refusal::bad_quantity);
  const auto full = [&] { return dropped(Refusal::full); };
  const bool identified = !event.id.empty();
  if (identified && (above_watermark_ || opened_places_ >= opened_places_max_ || !may_identify(event.permit)))
    return full();

  const auto at_ms = now.trusted ? at.since_epoch.count() : deps_.clock.boot().since_boot.count();
  const bool open = route->window == window_number_ && route->span.covers(now.trusted, at_ms);
  if (!open && !open_sum(*route, at, now, event.is_reading)) return full();
  ++stats_.events;
  if (!identified) {
    route->tally += {event.quantity, 1};
    return {};
  }
  if (window_.identified.size() % kIdsPerPlace == 0) ++opened_places_;
  pending_shares_.take(event.permit);
  id_shares_.take(event.permit);
  window_.identified.push_back({route->sum, event.quantity});
  window_.ids.push_back(event.permit == nullptr
                            ? hash_(event.producer, event.id)
                            : hash_(event.permit->scope + std::string(event.producer), event.id));
  return {std::nullopt, window_.identified.size() - 1};
}

bool Batcher::may_identify(const meter::Permit* permit) {
  const auto pending = window_.identified.size();
  const bool has_room =
      pending_shares_.has_room(permit, pending) && id_shares_.has_room(permit, remembered_ids_ + pending);
  if (!has_room && permit != nullptr) note_beyond_share(permit->who);
  return has_room;
}

bool Batcher::allows(const meter::Permit& permit, const Route& route) {
  return std::all_of(route.legs.begin(), route.legs.end(), [&](const auto& leg) {
    return permit.allows(route.event, leg.series.subscription.value());
  });
}

bool Batcher::fits_places(const Route& route, const Quantity& quantity) const {
  return std::all_of(route.legs.begin(), route.legs.end(), [&](const auto& leg) {
    const int places = settings_.catalog->rule(leg.meter).places;
    return places == Quantity::kPlaces || quantity.cut_to(places) == quantity;
  });
}

std::optional<Refusal> Batcher::judge_content(const meter::EventView& event) {
  if (event.quantity.is_zero() || event.quantity.is_negative()) return Refusal::bad_quantity;
  if (!event.id.empty() &&
      (!is_clean_text(event.id, limits::kIdMax) || !is_clean_text(event.producer, limits::kProducerMax)))
    return Refusal::bad_id;
  return std::nullopt;
}

std::optional<Refusal> Batcher::judge(const meter::EventView& event, const platform::WallReading& now,
                                      WallTime& at) const {
  if (auto refusal = judge_content(event)) return refusal;
  at = now.time;
  if (!event.time) return std::nullopt;
  if (!now.trusted) return Refusal::clock_untrusted;
  if (*event.time < now.time - settings_.rules.accept_past) return Refusal::too_old;
  if (!event.id.empty() && *event.time < now.time - settings_.rules.remember_ids) return Refusal::too_old;
  if (*event.time > now.time + settings_.rules.accept_future) return Refusal::in_future;
  at = *event.time;
  return std::nullopt;
}

Route* Batcher::find_route(const meter::EventView& event, std::optional<Refusal>& refusal) {
  if (Route* known = routes_.find(event.name, event.subscription)) return known;
  auto resolved = settings_.catalog->resolve(event.name, event.subscription);
  refusal = resolved.refusal;
  if (refusal) return nullptr;
  return &routes_.add(event.name, event.subscription, std::move(resolved.legs));
}

// Binds the route to its sum for that time, a new one if there is none in this window. An event counts in all
// of its meters or in none: nullopt if one of the places may not be opened.
std::optional<std::uint32_t> Batcher::open_sum(Route& route, WallTime at, const platform::WallReading& now,
                                               bool is_reading) {
  std::vector<PlacedSum::Leg> legs;
  const Span span = place_legs(route, at, now, legs);
  const bool bound = route.window == window_number_;
  if (bound) {
    window_.sums[route.sum].tally += std::exchange(route.tally, {});
    other_spans_[{&route, route.span.dated, route.span.from_ms}] = {route.span, route.sum};
  }
  const auto other = other_spans_.find({&route, span.dated, span.from_ms});
  if (other != other_spans_.end()) {
    std::tie(route.span, route.sum) = other->second;
    return route.sum;
  }
  const bool open = is_open(route, span);
  if (!may_open(legs, open, is_reading)) return std::nullopt;
  if (!open) opened_places_ += legs.size();
  if (!bound) open_routes_.push_back(&route);
  route.window = window_number_;
  route.span = span;
  route.seal_generation = seal_generation_;
  route.sum = static_cast<std::uint32_t>(window_.sums.size());
  open_places_ += legs.size();
  if (now.trusted) window_.dated_at = now.time;
  window_.sums.push_back({std::move(legs), {}});
  return route.sum;
}

// Where the route's legs are at that time, and how long they stay there.
Span Batcher::place_legs(const Route& route, WallTime at, const platform::WallReading& now,
                         std::vector<PlacedSum::Leg>& legs) const {
  Span span{now.trusted, INT64_MIN, INT64_MAX};
  legs.reserve(route.legs.size());
  for (const auto& leg : route.legs) {
    Place place{std::nullopt, 0, leg.series};
    std::int64_t from_ms = 0;
    std::int64_t until_ms = 0;
    if (now.trusted) {
      const auto& zone = settings_.catalog->rule(leg.meter).zone;
      place.day = zone.day_of(at);
      const auto bounds = zone.bounds(*place.day);
      from_ms = bounds.start * 1'000;
      until_ms = bounds.end * 1'000;
    } else {
      const auto second = std::chrono::floor<Seconds>(deps_.clock.boot().since_boot).count();
      place.slice_second = static_cast<std::uint32_t>(second - second % journal::kSliceSeconds);
      from_ms = std::int64_t{place.slice_second} * 1'000;
      until_ms = from_ms + journal::kSliceSeconds * 1'000;
    }
    span.from_ms = std::max(span.from_ms, from_ms);
    span.until_ms = std::min(span.until_ms, until_ms);
    legs.push_back({std::move(place), leg.meter});
  }
  return span;
}

// Its buckets were opened for that span by an earlier window, and nothing was sealed since.
bool Batcher::is_open(const Route& route, const Span& span) const {
  return route.window != 0 && route.seal_generation == seal_generation_ &&
         route.span.covers(span.dated, span.from_ms);
}

bool Batcher::may_open(const std::vector<PlacedSum::Leg>& legs, bool open, bool is_reading) const {
  if (open_places_ + legs.size() > limits::kPendingKeysMax) return false;
  if (is_reading) return true;
  const bool has_room = open || opened_places_ + legs.size() <= opened_places_max_;
  if (has_room && !above_watermark_) return true;
  return std::all_of(legs.begin(), legs.end(),
                     [&](const PlacedSum::Leg& leg) { return known_.contains(leg.place); });
}

void Batcher::learn_known_buckets(const std::vector<journal::BucketRow>& rows) {
  known_.clear();
  for (const auto& row : rows) known_.insert({row.key.day, 0, row.key.series});
}

void Batcher::note_producer(const std::string& producer, const journal::ProducerCursor& cursor) {
  window_.producers[producer] = cursor;
}

void Batcher::note_counter(const std::string& source, const journal::CounterCursor& cursor) {
  window_.counters[source] = cursor;
}

void Batcher::forget_counter(const std::string& source) { window_.counters[source] = std::nullopt; }

void Batcher::note_gaps(const std::string& source, const journal::SourceGaps& gaps) {
  window_.gaps[source] = gaps;
}

void Batcher::commit_soon(Done done) {
  if (ended_) {
    done(Error{Code::cancelled, "meterd is stopping; report it again to the next one"}, {});
    return;
  }
  waiting_.push_back(std::move(done));
  if (std::exchange(urgent_, true) && waiting_.size() < gather_) return;
  alarm_->notify();
}

void Batcher::at_turn(Turn turn) {
  if (ended_) return turn(Error{Code::cancelled, "meterd is stopping"});
  turns_.push_back(std::move(turn));
  urgent_ = true;
  alarm_->notify();
}

void Batcher::adopt(Settings settings) {
  check(window_.empty(), "a window is counted by one set of settings");
  settings_ = std::move(settings);
  routes_.clear();
}

void Batcher::stop() {
  stopping_ = true;
  alarm_->notify();
}

}  // namespace meterd::ingest
