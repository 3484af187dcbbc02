// The oracle: what must be on the bill. It knows what was reported and how it was answered, when that was in
// true time, and when the device could know the date; of the agent it knows nothing. Three numbers come out
// of it: lost, doubled, misdated, in thousandths of a unit; 0 is the promise.
//
// A claim is one event as its reporter knows it. It is certain once it was acknowledged, possible as long as
// an attempt's outcome is unknown. Where it may have been counted is a list of places: an instant of true
// time, or a few seconds around it where the agent declares that it cannot be sharper (a slice of an
// untrusted clock).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/meter/time_zone.hpp"
#include "tests/sim/upstream_model.hpp"

namespace meterd::sim {

struct Series {  // of the bill, and the zone that cuts its days
  std::string subscription, item_price;
  meter::TimeZone zone;
};

struct Place {
  WallTime first, last;    // true time; counted on the day of one of the two
  WallTime at;             // true time of the attempt
  bool untrusted = false;  // the device did not know the date
  std::uint32_t boot = 0;
};

class Oracle {
 public:
  explicit Oracle(std::vector<Series> series) : series_(std::move(series)) {}

  using Id = std::size_t;
  Id claim(std::vector<std::size_t> series, std::int64_t quantity_milli);
  void attempt(Id id, const Place& place);     // sent; its outcome is unknown until it is answered
  void refuse_attempt(Id id);                  // the last attempt was answered: not counted
  void refuse_for_good(Id id);                 // answered: not counted, now or before
  enum class When { now, before, either };     // as far as the answer tells
  void confirm(Id id, When when);              // answered: counted once
  void confirm_received(Id id, BootTime now);  // answered before it is safe

  // What happens to the device, as far as it matters for what can be promised.
  void note_trusted(std::uint32_t boot, WallTime now);  // a process runs and trusts its clock
  void note_settled(std::uint32_t boot,
                    WallTime now);   // and has done so, with a disk, for as long as dating takes
  void note_sleep(Milliseconds by);  // the loss window is of waking time
  void note_end_of_process(BootTime now, Milliseconds loss_window);

  // What is to be seen at the end.
  struct Seen {
    std::vector<BilledRecord> billed;  // at the upstream
    std::vector<BilledRecord> parked;  // what the operator is shown as refused for good
    std::map<std::pair<std::string, std::string>, std::int64_t> undated;  // by subscription and item price
  };
  struct Verdict {
    std::int64_t lost = 0, doubled = 0, misdated = 0;
    std::int64_t undated = 0, claimed = 0;  // certain
    std::uint64_t events = 0;
    std::vector<std::string> findings;
    Verdict& operator+=(const Verdict& other);
    bool clean() const { return lost == 0 && doubled == 0 && misdated == 0 && findings.empty(); }
  };
  Verdict judge(const Seen& seen) const;

 private:
  struct Claim {
    std::vector<std::size_t> series;
    std::int64_t quantity = 0;
    std::vector<Place> places;
    bool certain = false;
  };
  struct Bounds {
    std::int64_t least = 0, most = 0;
  };
  struct Sheet {  // of one series
    Bounds total, undated;
    std::map<std::int32_t, Bounds> days;
  };
  using Days = std::map<std::int32_t, std::int64_t>;
  Sheet sheet_of(std::size_t series) const;
  void judge_series(std::size_t at, const Days& billed, std::int64_t undated, Verdict& out) const;
  void enter(const Claim& claim, const meter::TimeZone& zone, Sheet& sheet) const;
  bool may_be_undated(const Place& place) const;
  bool may_be_dated(const Place& place) const;

  std::vector<Series> series_;
  std::vector<Claim> claims_;
  struct Received {
    Id id;
    BootTime at;
  };
  std::deque<Received> received_;
  std::map<std::uint32_t, WallTime> trusted_, settled_;  // last moment, by boot
};

}  // namespace meterd::sim
