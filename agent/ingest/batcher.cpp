#include "agent/ingest/batcher.hpp"

#include <algorithm>

#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"
#include "agent/meter/identity.hpp"

namespace meterd::ingest {

using meter::Refusal;

Batcher::Batcher(Dependencies dependencies, const IngestRules& rules)
    : deps_(std::move(dependencies)),
      rules_(rules),
      alarm_(deps_.clock.make_alarm()),
      slices_at_once_(kSlicesPerCommit),
      last_trusted_stored_(deps_.journal.last_trusted_at_open()),
      trust_noted_(deps_.journal.trusted_offset_at_open().has_value()),
      seen_ids_(deps_.journal.seen_ids_at_open()),
      summarised_at_(deps_.clock.boot()) {}

Batcher::Counted Batcher::count(const meter::EventView& event, const platform::WallReading& now) {
  const auto refused = [&](Refusal refusal) {
    stats_.refuse(refusal);
    return Counted{refusal, std::nullopt};
  };
  if (ended_) return refused(Refusal::full);
  WallTime at;
  if (auto refusal = judge(event, now, at)) return refused(*refusal);
  std::optional<Refusal> refusal;
  Route* route = find_route(event, refusal);
  if (route == nullptr) return refused(*refusal);

  const meter::Tally tally{event.quantity, 1};
  if (event.id.empty()) {
    // Every leg is checked before any is added: an event counts in all of its meters or in none.
    const bool crowded = window_.tallies.size() + route->size() > limits::kPendingKeysMax;
    if (above_watermark_ || crowded)
      for (auto& leg : *route)
        if (!may_open(place_of(leg, at, now), crowded)) return refused(Refusal::full);
    for (auto& leg : *route) {
      const bool same_day =
          now.trusted && at.seconds().count() >= leg.bounds.start && at.seconds().count() < leg.bounds.end;
      if (leg.window != window_number_ || !same_day) {
        leg.tally = tally_index(place_of(leg, at, now), leg.meter);
        leg.window =
            now.trusted ? window_number_ : 0;  // a slice is looked up every time: it ends within a minute
      }
      window_.tallies[leg.tally].tally += tally;
    }
    ++stats_.events;
    return {};
  }
  if (above_watermark_ || seen_ids_ >= limits::kSeenIdsMax ||
      window_.identified.size() >= limits::kPendingIdsMax)
    return refused(Refusal::full);
  IdentifiedEvent identified{meter::event_hash(event.producer, event.id), {}};
  for (auto& leg : *route) identified.legs.push_back({place_of(leg, at, now), leg.meter, tally});
  window_.identified.push_back(std::move(identified));
  ++stats_.events;
  return {std::nullopt, window_.identified.size() - 1};
}

std::optional<Refusal> Batcher::refusal_at_any_time(const meter::EventView& event) {
  if (auto refusal = judge_content(event)) return refusal;
  std::optional<Refusal> refusal;
  find_route(event, refusal);
  return refusal;
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
  if (*event.time < now.time - rules_.accept_past) return Refusal::too_old;
  if (!event.id.empty() && *event.time < now.time - rules_.remember_ids) return Refusal::too_old;
  if (*event.time > now.time + rules_.accept_future) return Refusal::in_future;
  at = *event.time;
  return std::nullopt;
}

Batcher::Route* Batcher::find_route(const meter::EventView& event, std::optional<Refusal>& refusal) {
  route_key_.assign(event.name).append(1, '\0').append(event.subscription);
  const auto found = routes_.find(route_key_);
  if (found != routes_.end()) return &found->second;
  auto resolved = deps_.catalog->resolve(event.name, event.subscription);
  if (resolved.refusal) {
    refusal = resolved.refusal;
    return nullptr;
  }
  if (routes_.size() >= limits::kPendingKeysMax) routes_.clear();
  Route route;
  for (auto& leg : resolved.legs) route.push_back({std::move(leg.series), leg.meter, {}, {}, 0, 0});
  return &routes_.emplace(route_key_, std::move(route)).first->second;
}

Place Batcher::place_of(Leg& leg, WallTime at, const platform::WallReading& now) const {
  if (!now.trusted) {
    const auto second = std::chrono::floor<Seconds>(deps_.clock.boot().since_boot).count();
    return {std::nullopt, static_cast<std::uint32_t>(second - second % 60), leg.series};
  }
  if (at.seconds().count() < leg.bounds.start || at.seconds().count() >= leg.bounds.end) {
    const auto& zone = deps_.catalog->rule(leg.meter).zone;
    leg.window = 0;  // its tally is of the day that it leaves
    leg.day = zone.day_of(at);
    leg.bounds = zone.bounds(leg.day);
  }
  return {leg.day, 0, leg.series};
}

bool Batcher::may_open(const Place& place, bool crowded) const {
  return tally_by_place_.contains(place) || (!crowded && known_.contains(place));
}

void Batcher::learn_known_buckets(const std::vector<journal::BucketRow>& rows) {
  known_.clear();
  for (const auto& row : rows) known_[{row.key.day, 0, row.key.series}] = true;
}

std::size_t Batcher::tally_index(const Place& place, std::size_t meter) {
  const auto [found, fresh] = tally_by_place_.try_emplace(place, window_.tallies.size());
  if (fresh) window_.tallies.push_back({place, meter, {}});
  return found->second;
}

void Batcher::note_producer(const std::string& producer, std::uint64_t sequence) {
  window_.producers[producer] = sequence;
}

void Batcher::note_counter(const std::string& source, const journal::CounterCursor& cursor) {
  window_.counters[source] = cursor;
}

void Batcher::commit_soon(Done done) {
  if (ended_) {
    done(Error{Code::cancelled, "meterd is stopping; report it again to the next one"}, {});
    return;
  }
  waiting_.push_back(std::move(done));
  urgent_ = true;
  alarm_->notify();
}

void Batcher::stop() {
  stopping_ = true;
  alarm_->notify();
}

}  // namespace meterd::ingest
