#include "tests/sim/oracle.hpp"

#include <algorithm>
#include <set>

namespace meterd::sim {

Oracle::Verdict& Oracle::Verdict::operator+=(const Verdict& other) {
  lost += other.lost;
  doubled += other.doubled;
  misdated += other.misdated;
  undated += other.undated;
  claimed += other.claimed;
  events += other.events;
  findings.insert(findings.end(), other.findings.begin(), other.findings.end());
  return *this;
}

Oracle::Id Oracle::claim(std::vector<std::size_t> series, std::int64_t quantity_milli) {
  claims_.push_back({std::move(series), quantity_milli, {}, false});
  return claims_.size() - 1;
}

void Oracle::attempt(Id id, const Place& place) { claims_[id].places.push_back(place); }

void Oracle::refuse_attempt(Id id) { claims_[id].places.pop_back(); }

void Oracle::refuse_for_good(Id id) { claims_[id].places.clear(); }

void Oracle::confirm(Id id, When when) {
  auto& claim = claims_[id];
  claim.certain = true;
  if (when == When::now) claim.places.erase(claim.places.begin(), claim.places.end() - 1);
  if (when == When::before && claim.places.size() > 1) claim.places.pop_back();
}

void Oracle::confirm_received(Id id, BootTime now) {
  claims_[id].certain = true;
  received_.push_back({id, now});
}

void Oracle::note_trusted(std::uint32_t boot, WallTime now) { trusted_[boot] = now; }
void Oracle::note_settled(std::uint32_t boot, WallTime now) { settled_[boot] = now; }

void Oracle::note_sleep(Milliseconds by) {
  for (auto& one : received_) one.at = one.at + by;
}

void Oracle::note_end_of_process(BootTime now, Milliseconds loss_window) {
  for (const auto& one : received_)
    if (now - one.at <= loss_window) claims_[one.id].certain = false;
  received_.clear();
}

bool Oracle::may_be_undated(const Place& place) const {
  if (!place.untrusted) return false;
  const auto settled = settled_.find(place.boot);
  return settled == settled_.end() || settled->second <= place.at;
}

bool Oracle::may_be_dated(const Place& place) const {
  if (!place.untrusted) return true;
  const auto trusted = trusted_.find(place.boot);
  return trusted != trusted_.end() && trusted->second >= place.at;
}

void Oracle::enter(const Claim& claim, const meter::TimeZone& zone, Sheet& sheet) const {
  // What may be there or not. A credit is below zero.
  const Bounds perhaps{std::min<std::int64_t>(claim.quantity, 0), std::max<std::int64_t>(claim.quantity, 0)};
  const Bounds all = claim.certain ? Bounds{claim.quantity, claim.quantity} : perhaps;
  const auto enter_in = [](const Bounds& what, Bounds& to) {
    to.least += what.least;
    to.most += what.most;
  };
  enter_in(all, sheet.total);
  std::set<std::int32_t> days;
  bool undated = false;
  for (const auto& place : claim.places) {
    undated |= may_be_undated(place);
    if (!may_be_dated(place)) continue;
    days.insert(zone.day_of(place.first).days_since_epoch());
    days.insert(zone.day_of(place.last).days_since_epoch());
  }
  if (undated) enter_in(days.empty() ? all : perhaps, sheet.undated);
  const bool one_place = days.size() == 1 && !undated;
  for (const auto day : days) enter_in(one_place ? all : perhaps, sheet.days[day]);
}

Oracle::Sheet Oracle::sheet_of(std::size_t series) const {
  Sheet out;
  for (const auto& claim : claims_)
    if (!claim.places.empty() &&
        std::find(claim.series.begin(), claim.series.end(), series) != claim.series.end())
      enter(claim, series_[series].zone, out);
  return out;
}

// What is short on one day and over on another was misdated; what is only short was lost, what is only over
// doubled.
void Oracle::judge_series(std::size_t at, const Days& billed, std::int64_t undated, Verdict& out) const {
  const auto& series = series_[at];
  auto sheet = sheet_of(at);
  std::int64_t missing = 0;
  std::int64_t extra = 0;
  const auto compare = [&](const std::string& what, std::int64_t found, const Bounds& bounds) {
    if (found >= bounds.least && found <= bounds.most) return;
    (found < bounds.least ? missing : extra) +=
        found < bounds.least ? bounds.least - found : found - bounds.most;
    out.findings.push_back(series.subscription + " " + series.item_price + ", " + what + ": " +
                           std::to_string(found) + ", and should be " + std::to_string(bounds.least) +
                           " to " + std::to_string(bounds.most));
  };
  std::int64_t total = undated;
  for (const auto& [day, quantity] : billed) {
    total += quantity;
    sheet.days.try_emplace(day);
  }
  for (const auto& [day, bounds] : sheet.days) {
    const auto found = billed.find(day);
    compare(UsageDay(day).iso(), found == billed.end() ? 0 : found->second, bounds);
  }
  compare("undated", undated, sheet.undated);
  const auto moved = std::min(missing, extra);
  missing -= moved;
  extra -= moved;
  out.misdated += moved;
  // Where it was counted may have been open, and how much not.
  out.lost += std::max(missing, sheet.total.least - total);
  out.doubled += std::max(extra, total - sheet.total.most);
  if (total < sheet.total.least || total > sheet.total.most) compare("in all", total, sheet.total);
  out.claimed += sheet.total.least;
  out.undated += undated;
}

Oracle::Verdict Oracle::judge(const Seen& seen) const {
  Verdict out;
  std::map<std::size_t, Days> billed;
  for (const auto* records : {&seen.billed, &seen.parked})
    for (const auto& record : *records) {
      const auto series = std::find_if(series_.begin(), series_.end(), [&](const Series& one) {
        return one.subscription == record.subscription && one.item_price == record.item_price;
      });
      if (series == series_.end()) {
        out.findings.push_back("billed to " + record.subscription + " " + record.item_price +
                               ", which nobody reported");
        out.doubled += record.quantity_milli;
        continue;
      }
      const auto day = series->zone.day_of(WallTime::from_seconds(record.usage_date)).days_since_epoch();
      billed[static_cast<std::size_t>(series - series_.begin())][day] += record.quantity_milli;
    }
  for (std::size_t at = 0; at < series_.size(); ++at) {
    const auto shown = seen.undated.find({series_[at].subscription, series_[at].item_price});
    judge_series(at, billed[at], shown == seen.undated.end() ? 0 : shown->second, out);
  }
  for (const auto& claim : claims_) out.events += claim.places.empty() ? 0 : 1;
  return out;
}

}  // namespace meterd::sim
