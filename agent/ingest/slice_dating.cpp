#include "agent/ingest/slice_dating.hpp"

#include <utility>

namespace meterd::ingest {

DayOfSlice days_of_boot(WallTime began) {
  return [began](const meter::TimeZone& zone, std::uint32_t second) {
    return zone.day_of(began + Seconds(second));
  };
}

EstimatedBoot estimate_oldest(const std::vector<journal::WriteTransaction::UndatedBoot>& boots,
                              WallTime present_began) {
  EstimatedBoot out{0, present_began};
  for (auto boot = boots.rbegin(); boot != boots.rend(); ++boot)
    out = {boot->number, out.began - Seconds(boot->seconds)};
  return out;
}

SliceDating::SliceDating(WindowContext context, std::shared_ptr<const meter::Catalog> catalog)
    : context_(std::move(context)), catalog_(std::move(catalog)) {
  for (std::size_t i = 0; i < catalog_->size(); ++i) {
    const auto& zone = catalog_->rule(i).zone;
    zones_.emplace(zone.name(), zone);
  }
}

Result<SliceDating::Moved> SliceDating::move(std::uint32_t boot, const DayOfSlice& day_of,
                                             std::size_t at_most, journal::WriteTransaction& txn) {
  auto slices = txn.slices(boot, at_most);
  if (!slices) return slices.error();
  Moved moved;
  moved.more = slices->size() == at_most;
  for (const auto& slice : *slices) {
    const auto* known = zone(slice.value.zone());
    if (known == nullptr) continue;
    auto quantity = Quantity::parse_total(slice.value.quantity());
    if (!quantity) return Error{Code::corrupt, "a slice's quantity does not parse"};
    const meter::Tally tally{*quantity, slice.value.events()};
    const meter::BucketKey bucket{day_of(*known, slice.key.second), slice.key.series};
    const auto opening = opening_of(slice.key.series, slice.value.zone());
    if (auto s = add_to_bucket(bucket, tally, opening, context_, txn); !s) return s.error();
    if (auto s = txn.erase_slice(slice.key); !s) return s.error();
    ++moved.slices;
    moved.events += tally.events;
  }
  return moved;
}

// nullptr: its meter has gone from the configuration, and its rules from the system.
const meter::TimeZone* SliceDating::zone(const std::string& name) {
  auto found = zones_.find(name);
  if (found == zones_.end()) {
    auto loaded = meter::TimeZone::load(name);
    if (!loaded) return nullptr;
    found = zones_.emplace(name, *loaded).first;
  }
  return &found->second;
}

// By its meter's seal rule; due at once if the meter has gone from the configuration.
journal::WriteTransaction::Opening SliceDating::opening_of(const meter::SeriesKey& series,
                                                           const std::string& zone) const {
  for (std::size_t i = 0; i < catalog_->size(); ++i) {
    const auto& rule = catalog_->rule(i);
    if (rule.upstream == series.upstream && rule.item_price == series.item_price && rule.zone.name() == zone)
      return context_.openings[i];
  }
  return {context_.now, context_.now.seconds().count(), zone};
}

}  // namespace meterd::ingest
