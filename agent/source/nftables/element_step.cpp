#include "agent/source/nftables/element_step.hpp"

namespace meterd::source {

ElementStep element_step(const ElementReading& before, const ElementReading& now, bool same_counters) {
  using Seen = ElementReading::Seen;
  using End = ElementStep::End;
  if (before.seen == Seen::unknown) return {};
  if (now.seen != Seen::present) return {0, before.seen == Seen::present ? End::gone : End::none};
  if (before.seen == Seen::absent) return {now.bytes, End::none};
  const bool is_lower = now.bytes < before.bytes || now.packets < before.packets;
  if (!same_counters && !is_lower) return {now.bytes - before.bytes, End::replaced, before.bytes};
  if (is_lower) return {now.bytes, same_counters ? End::reset : End::replaced};
  return {now.bytes - before.bytes, End::none};
}

}  // namespace meterd::source
