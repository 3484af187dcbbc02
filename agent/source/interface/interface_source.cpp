#include "agent/source/interface/interface_source.hpp"

namespace meterd::source {

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

InterfaceSource::InterfaceSource(InterfaceRule rule, const Dependencies& dependencies, Stored stored)
    : rule_(std::move(rule)),
      links_(dependencies.links),
      log_(dependencies.log),
      boot_id_(dependencies.clock.boot_id()),
      gaps_(name(), std::move(stored.gaps)) {
  if (const auto found = stored.cursors.find(name()); found != stored.cursors.end())
    cursor_ = std::move(found->second);
}

std::uint64_t InterfaceSource::bytes_of(const CounterStep& step) const {
  return (rule_.direction != "tx" ? step.rx : 0) + (rule_.direction != "rx" ? step.tx : 0);
}

void InterfaceSource::harvest(ingest::Batcher& batcher, const platform::WallReading& now) {
  auto sample = links_.sample(rule_.interface_name);
  if (!sample) {
    if (trouble_.empty())
      log_.warning("interface_unreadable",
                   {{"interface", rule_.interface_name}, {"error", sample.error().message}});
    trouble_ = sample.error().message;
    return;
  }
  if (!trouble_.empty()) log_.info("interface_back", {{"interface", rule_.interface_name}});
  trouble_.clear();
  if (cursor_ && cursor_->copied()) return begin_in_copy(batcher, *sample, now);
  const auto step = counter_step(cursor_, *sample, boot_id_);
  const std::uint64_t bytes = bytes_of(step);
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
  const auto read_before = std::exchange(read_at_, now.time);
  if (bytes == 0 && !first && !step.reset) return;  // nothing new: write nothing
  if (step.reset) note_reset(batcher, read_before, now);
  cursor_ = step.next;
  cursor_->set_read_ms(now.time.since_epoch.count());
  batcher.note_counter(name(), *cursor_);
}

// The original may have counted what passed since.
void InterfaceSource::begin_in_copy(ingest::Batcher& batcher, const platform::LinkSample& sample,
                                    const platform::WallReading& now) {
  const auto step = counter_step(cursor_, sample, boot_id_);
  auto gap = put_back_gap(cursor_->read_ms(), now);
  if (!step.reset) gap.set_lost_max(Quantity::of(bytes_of(step)).text());
  gaps_.note(batcher, std::move(gap));
  const auto resets = cursor_->resets();
  cursor_ = step.next;
  cursor_->set_resets(resets);
  cursor_->set_read_ms(now.time.since_epoch.count());
  read_at_ = now.time;
  batcher.note_counter(name(), *cursor_);
}

// What passed between the last reading and the counter's end is in no counter any more.
void InterfaceSource::note_reset(ingest::Batcher& batcher, std::optional<WallTime> read_before,
                                 const platform::WallReading& now) {
  ++batcher.stats().counter_resets;
  journal::Gap gap;
  gap.set_from_ms(read_before ? read_before->since_epoch.count() : cursor_->read_ms());
  gap.set_until_ms(now.time.since_epoch.count());
  gap.set_trusted(now.trusted);
  gap.set_reason(cursor_->boot_id() != boot_id_ ? "the device was started again"
                                                : "the interface or its counter began anew");
  gaps_.note(batcher, std::move(gap));
}

Report InterfaceSource::report() const {
  Report out{name(), "interface", rule_.event.value(), trouble_, {}, {}, gaps_.totals()};
  if (!trouble_.empty())
    out.advice = "bring " + rule_.interface_name + " up, or correct its name in [[source]]";
  return out;
}

Stored InterfaceSource::stored() const {
  Stored out{{}, gaps_.totals()};
  if (cursor_) out.cursors.emplace(name(), *cursor_);
  return out;
}

}  // namespace meterd::source
