#include "agent/source/nftables/nftables_source.hpp"

#include <algorithm>

#include "agent/source/nftables/gap_bounds.hpp"
#include "platform/run_on.hpp"

namespace meterd::source {
namespace {

using Seen = ElementReading::Seen;

constexpr Milliseconds kLookAroundEvery{60'000};  // for flowtables, which come and go with the firewall

std::string number_of(std::uint64_t count, const char* what) { return std::to_string(count) + " " + what; }

std::string advice_for(Code code) {
  if (code == Code::unauthorised)
    return "give meterd's unit the drop-in of /usr/share/doc/meterd/examples/nftables.conf (CAP_NET_ADMIN)";
  if (code == Code::rejected) return "load the table with its counters (meterd.toml(5) has an example)";
  if (code == Code::invalid) return "correct the set or [[source]]: meterd.toml(5) has an example";
  if (code == Code::full) return "split the set";
  return "it is tried again by itself; see the kernel's log if it stays";
}

const char* name_of(platform::NftKeyKind kind) {
  if (kind == platform::NftKeyKind::mark) return "marks";
  return kind == platform::NftKeyKind::ipv6 ? "IPv6 addresses" : "IPv4 addresses";
}

std::string describe(const platform::NftFlowtable& one) {
  std::string on;
  for (const auto& name : one.interfaces) on += (on.empty() ? " on " : ", ") + name;
  return "flowtable " + one.table + "/" + one.name + ": what " +
         (one.hardware ? "the hardware" : "the kernel") + " forwards by it" + on +
         " passes the rules by and is in no counter of theirs";
}

}  // namespace

NftablesSource::NftablesSource(NftablesRule rule, const Dependencies& dependencies, Stored stored)
    : rule_(std::move(rule)),
      batcher_(dependencies.batcher),
      clock_(dependencies.clock),
      log_(dependencies.log),
      reader_(dependencies.reader),
      alarm_(clock_.make_alarm()),
      at_(std::make_shared<Workplace>()),
      kept_(rule_, stored.cursors),
      gaps_(name(), std::move(stored.gaps)) {
  at_->tables = dependencies.nft_tables;
  at_->clock = &clock_;
  at_->target = rule_.target();
  at_->keys = rule_.keys;
  at_->subscribers = rule_.subscribers;
  if (!rule_.is_set) at_->subscribers = {{platform::NftKey{}, rule_.subscription}};
}

boost::asio::awaitable<void> NftablesSource::run() {
  while (!stopping_) {
    const auto look_now = [at = at_] {
      look(*at);
      return true;
    };
    co_await platform::run_on(reader_, look_now);
    if (stopping_) break;
    if (at_->read)
      take();
    else
      take_trouble(at_->read.error());
    co_await alarm_->wait_for(rule_.interval);
  }
}

void NftablesSource::stop() {
  stopping_ = true;
  alarm_->notify();
}

// On the reader thread.
void NftablesSource::look(Workplace& at) {
  if (at.tables == nullptr) {
    at.read = Error{Code::rejected, "this device has no nftables"};
    return;
  }
  at.began_wall = at.clock->wall();
  at.began = at.clock->boot();
  at.read = at.tables->read(at.target, at.reading);
  at.ended = at.clock->boot();
  if (at.read && at.target.is_set && at.reading.keys != at.keys && !at.subscribers.empty())
    at.read = Error{Code::invalid, std::string("nftables: the set has ") + name_of(at.reading.keys) +
                                       ", its subscribers are " + name_of(at.keys)};
  if (!at.read) return;
  put_in_order(at.reading, at.subscribers, at.sample);
  if (at.looked_around && at.ended - *at.looked_around < kLookAroundEvery) return;
  at.looked_around = at.ended;
  if (auto found = at.tables->flowtables()) at.flowtables = std::move(*found);
}

void NftablesSource::take_trouble(const Error& error) {
  if (trouble_ != error.message)
    log_.warning("nftables_unreadable",
                 {{"table", rule_.table}, {"set", rule_.object}, {"error", error.message}});
  trouble_ = error.message;
  advice_ = advice_for(error.code);
}

void NftablesSource::take() {
  if (!trouble_.empty()) log_.info("nftables_back", {{"table", rule_.table}, {"set", rule_.object}});
  trouble_.clear();
  advice_.clear();
  blind_spots_.clear();
  const auto& sample = at_->sample;
  if (sample.unmapped_elements > 0)
    blind_spots_.push_back(number_of(sample.unmapped_elements, "elements of no subscriber, with ") +
                           number_of(sample.unmapped_bytes, "bytes"));
  if (sample.without_counter > 0)
    blind_spots_.push_back(number_of(sample.without_counter, "elements without a counter"));
  for (const auto& one : at_->flowtables) blind_spots_.push_back(describe(one));

  // The earliest at which an element may have been read: what passed later is in the next reading or in a
  // gap.
  const ReadingMoment began{clock_.boot_id(), sample.counters, at_->began_wall, at_->began};
  ReadingMoment ended = began;
  ended.boot = at_->ended;
  ended.wall.time = began.wall.time + (at_->ended - at_->began);
  const auto before = kept_.last();
  const bool same_counters = before && before->boot_id == began.boot_id && before->counters == began.counters;
  if (kept_.is_copied()) {
    begin_in_copy(same_counters, *before, ended);
    kept_.read_at(began);
    return kept_.write(batcher_);
  }
  const auto ends = count(same_counters, batcher_.now());
  kept_.read_at(began);
  const bool tell_damage = kept_.is_damaged() && !std::exchange(damage_told_, true);
  const bool replaced = before && !same_counters;
  if (replaced || ends.reset > 0 || ends.gone > 0 || tell_damage)
    note_gap(ends, before.value_or(began), ended);
  kept_.write(batcher_);
}

// The original may have counted what passed since: none of it is counted here.
void NftablesSource::begin_in_copy(bool same_counters, const ReadingMoment& before,
                                   const ReadingMoment& now) {
  bool is_known = same_counters && !kept_.is_damaged();
  Quantity doubtful;
  const auto& readings = at_->sample.readings;
  for (std::size_t i = 0; i < readings.size(); ++i) {
    const auto step = element_step(kept_[i], readings[i], same_counters);
    is_known = is_known && step.end == ElementStep::End::none;
    doubtful += Quantity::of(step.bytes);
    kept_.set(i, readings[i]);
  }
  auto gap = put_back_gap(before.wall.time.since_epoch.count(), now.wall);
  gap.set_lost_max(is_known ? doubtful.text() : lost_at_most(rule_.bytes_per_second_max, before, now));
  gaps_.note(batcher_, std::move(gap));
}

NftablesSource::Ends NftablesSource::count(bool same_counters, const platform::WallReading& now) {
  Ends ends;
  const auto& readings = at_->sample.readings;
  for (std::size_t i = 0; i < readings.size(); ++i) {
    const auto step = element_step(kept_[i], readings[i], same_counters);
    if (step.end == ElementStep::End::reset) ++ends.reset;
    if (step.end == ElementStep::End::replaced) ++ends.replaced;
    if (step.end == ElementStep::End::gone) ++ends.gone;
    if (step.in_doubt > 0) ++ends.restored;
    ends.in_doubt += step.in_doubt;
    if (step.bytes == 0 || count_for(i, step.bytes, now)) {
      kept_.set(i, readings[i]);
      continue;
    }
    // Refused (no such meter, or limits): counted once it can be. Of a counter that began at zero all is
    // left.
    const bool went_on = step.in_doubt > 0 || (same_counters && step.end == ElementStep::End::none &&
                                               kept_[i].seen == Seen::present);
    if (!went_on) kept_.set(i, {Seen::present, 0, 0});
  }
  return ends;
}

bool NftablesSource::count_for(std::size_t subscriber, std::uint64_t bytes,
                               const platform::WallReading& now) {
  meter::EventView event;
  event.name = rule_.event.value();
  event.subscription = at_->subscribers[subscriber].subscription.value();
  event.quantity = Quantity::of(bytes);
  event.is_reading = true;
  return !batcher_.count(event, now).refusal;
}

// One for a reading, however many elements it is about.
void NftablesSource::note_gap(const Ends& ends, const ReadingMoment& before, const ReadingMoment& now) {
  ++batcher_.stats().counter_resets;
  journal::Gap gap;
  gap.set_from_ms(before.wall.time.since_epoch.count());
  gap.set_until_ms(now.wall.time.since_epoch.count());
  gap.set_trusted(now.wall.trusted);
  if (before.boot_id != now.boot_id)
    gap.set_reason("the device was started again");
  else if (before.counters != now.counters)
    gap.set_reason(rule_.is_set ? "the table or the set was replaced"
                                : "the table or the counter was replaced");
  else if (ends.reset > 0)
    gap.set_reason("counters began anew");
  else if (ends.gone > 0)
    gap.set_reason("elements are gone");
  else
    gap.set_reason("what was read last could not be read back from the journal");
  std::string what;
  const auto add = [&](std::size_t count, const char* happened) {
    if (count > 0) what += (what.empty() ? "" : ", ") + number_of(count, happened);
  };
  add(ends.replaced, "elements replaced");
  add(ends.reset, "elements reset");
  add(ends.gone, "elements gone");
  add(ends.restored, "elements that may have been loaded with their counts");
  gap.set_what(std::move(what));
  auto lost_max = lost_at_most(rule_.bytes_per_second_max, before, now);
  if (const auto known = Quantity::parse(lost_max)) lost_max = (*known + Quantity::of(ends.in_doubt)).text();
  gap.set_lost_max(std::move(lost_max));
  gaps_.note(batcher_, std::move(gap));
}

Report NftablesSource::report() const {
  return {name(), "nftables", rule_.event.value(), trouble_, advice_, blind_spots_, gaps_.totals()};
}

Stored NftablesSource::stored() const { return {kept_.cursors(), gaps_.totals()}; }

}  // namespace meterd::source
