// From slices of time since boot to the buckets of days: once the clock is trusted, by the declared policy
// for boots that never saw it, or by an operator's word. Journal thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/ingest/window.hpp"
#include "agent/meter/catalog.hpp"

namespace meterd::ingest {

// The day of the slice that began so many seconds after its boot, in its meter's zone.
using DayOfSlice = std::function<UsageDay(const meter::TimeZone& zone, std::uint32_t second)>;
DayOfSlice days_of_boot(WallTime began);

// An earlier boot and when it began, for [clock] undated = "boot-end".
struct EstimatedBoot {
  std::uint32_t number = 0;
  WallTime began;
};
// The oldest of these boots (oldest first), if each ended at the moment in which the next one of them, or the
// present one, began. They are dated in that order, so that the estimate of one that is half done stays.
EstimatedBoot estimate_oldest(const std::vector<journal::WriteTransaction::UndatedBoot>& boots,
                              WallTime present_began);

class SliceDating {
 public:
  SliceDating(WindowContext context, std::shared_ptr<const meter::Catalog> catalog);

  const WindowContext& context() const { return context_; }

  struct Moved {
    std::size_t slices = 0;
    std::uint64_t events = 0;
    bool more = false;  // there may be others
  };
  // Moves up to `at_most` slices of the boot. One whose zone is not known here any more stays.
  Result<Moved> move(std::uint32_t boot, const DayOfSlice& day_of, std::size_t at_most,
                     journal::WriteTransaction& txn);

 private:
  const meter::TimeZone* zone(const std::string& name);
  journal::WriteTransaction::Opening opening_of(const meter::SeriesKey& series,
                                                const std::string& zone) const;

  WindowContext context_;
  std::shared_ptr<const meter::Catalog> catalog_;
  std::map<std::string, meter::TimeZone> zones_;
};

}  // namespace meterd::ingest
