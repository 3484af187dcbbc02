#include "agent/source/nftables/gap_bounds.hpp"

namespace meterd::source {

std::string lost_at_most(const std::optional<Quantity>& bytes_per_second_max, const ReadingMoment& before,
                         const ReadingMoment& now) {
  if (!bytes_per_second_max) return {};
  Milliseconds lasted{};
  if (before.boot_id == now.boot_id)
    lasted = now.boot - before.boot;
  else if (before.wall.trusted && now.wall.trusted)
    lasted = now.wall.time - before.wall.time;
  else
    return {};
  if (lasted < Milliseconds(0)) return {};
  const auto seconds = std::chrono::ceil<Seconds>(lasted).count();
  const auto lost = bytes_per_second_max->times(Quantity::of(static_cast<std::uint64_t>(seconds)));
  return lost ? lost->text() : std::string();
}

}  // namespace meterd::source
