#include "tests/sim/traffic.hpp"

namespace meterd::sim {

namespace {
constexpr Milliseconds kMinute{60'000};
constexpr Milliseconds kPlaceAgain{10 * 60'000};
}  // namespace

void Traffic::begin() {
  deps_.world.in(draws_.any_span(kMinute, 60 * kMinute), [this] { grow(); });
}

void Traffic::grow() {
  if (!making_) return;
  begin();
  if (!deps_.machine.powered()) return;
  auto& links = deps_.machine.links.links;
  if (!links.contains(kInterface) || draws_.once_in(50)) {
    if (links.contains(kInterface)) deps_.world.count("interface made anew");
    links[kInterface] = {++index_, 0, 0};
    leave();
  }
  const auto bytes = draws_.between(1, 1'000'000);
  auto& link = links[kInterface];
  (draws_.percent(50) ? link.rx_bytes : link.tx_bytes) += static_cast<std::uint64_t>(bytes);
  Chunk chunk{deps_.oracle.claim({deps_.series}, bytes * 1'000), deps_.world.now(), {}, false};
  place(chunk);
  pending_.push_back(chunk);
}

void Traffic::place(Chunk& chunk) {
  const auto here = deps_.here();
  deps_.oracle.attempt(chunk.claim, here);
  chunk.placed = deps_.world.now();
  chunk.untrusted = here.untrusted;
}

// Of the last moments some may have been read, on another day than they came; the rest is gone.
void Traffic::leave() {
  for (auto& chunk : pending_) place(chunk);
  pending_.clear();
}

void Traffic::look(bool read_by_now) {
  if (pending_.empty()) return;
  const bool untrusted = !deps_.machine.wall().trusted;
  for (auto& chunk : pending_)
    if (chunk.untrusted != untrusted || deps_.world.now() - chunk.placed > kPlaceAgain || read_by_now)
      place(chunk);
  if (!read_by_now) return;
  // What came before the first reading of all is where the counting begins.
  for (const auto& chunk : pending_)
    if (begun_) deps_.oracle.confirm(chunk.claim, Oracle::When::either);
  begun_ = true;
  pending_.clear();
}

}  // namespace meterd::sim
