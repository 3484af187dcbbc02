#include "agent/ingest/interface_source.hpp"

namespace meterd::ingest {

CounterStep counter_step(const std::optional<journal::CounterCursor>& cursor,
                         const platform::LinkSample& sample, const std::string& boot_id) {
  CounterStep step;
  step.next.set_boot_id(boot_id);
  step.next.set_link_index(sample.index);
  step.next.set_rx_bytes(sample.rx_bytes);
  step.next.set_tx_bytes(sample.tx_bytes);
  if (!cursor) return step;
  const bool same_counter = cursor->boot_id() == boot_id && cursor->link_index() == sample.index;
  // Each direction for itself: a driver may reset one of them, and the other must not be counted again.
  const auto counted = [&](std::uint64_t before, std::uint64_t after) {
    if (same_counter && after >= before) return after - before;
    step.reset = true;
    return after;
  };
  step.rx = counted(cursor->rx_bytes(), sample.rx_bytes);
  step.tx = counted(cursor->tx_bytes(), sample.tx_bytes);
  step.next.set_resets(cursor->resets() + (step.reset ? 1 : 0));
  return step;
}

InterfaceSource::InterfaceSource(InterfaceSourceRule rule, platform::Links& links, Log& log,
                                 std::string boot_id, std::optional<journal::CounterCursor> stored)
    : rule_(std::move(rule)),
      links_(links),
      log_(log),
      boot_id_(std::move(boot_id)),
      cursor_(std::move(stored)) {}

void InterfaceSource::harvest(Batcher& batcher, const platform::WallReading& now) {
  auto sample = links_.sample(rule_.interface_name);
  if (!sample) {
    if (!missing_)
      log_.warning("interface_unreadable",
                   {{"interface", rule_.interface_name}, {"error", sample.error().message}});
    missing_ = true;
    return;
  }
  if (missing_) log_.info("interface_back", {{"interface", rule_.interface_name}});
  missing_ = false;
  const auto step = counter_step(cursor_, *sample, boot_id_);
  const std::uint64_t bytes = (rule_.rx ? step.rx : 0) + (rule_.tx ? step.tx : 0);
  const bool first = !cursor_.has_value();
  if (bytes > 0) {
    meter::EventView event;
    event.name = rule_.event.value();
    event.subscription = rule_.subscription.value();
    event.quantity = Quantity::of(bytes);
    event.is_reading = true;
    // Refused (no such meter, or limits): the cursor stays, so that the bytes are counted once they can be.
    if (batcher.count(event, now).refusal) return;
  }
  if (bytes == 0 && !first && !step.reset) return;  // nothing new: write nothing
  if (step.reset) ++batcher.stats().counter_resets;
  cursor_ = step.next;
  batcher.note_counter(rule_.cursor_name(), step.next);
}

}  // namespace meterd::ingest
