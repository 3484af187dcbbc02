#include "agent/source/shared_counters/region.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace meterd::source {
namespace {

constexpr Milliseconds kAskAgain{10'000};

// What no later reading changes, unless an operator does.
bool is_lasting(meter::Refusal refusal) {
  return refusal != meter::Refusal::full && refusal != meter::Refusal::clock_untrusted;
}

}  // namespace

Region::Region(platform::SharedMemory::Kept kept, RegionHead head, std::vector<CounterName> names,
               const Cursors& cursors, BootTime now, bool of_this_journal)
    : kept_(std::move(kept)),
      head_(std::move(head)),
      names_(std::move(names)),
      of_this_journal_(of_this_journal) {
  read_at_.fill(std::min(head_.made_at, now));
  if (!of_this_journal) begins_.set();
  counted_.resize(names_.size());
  for (const auto& [page, cursor] : cursors) {
    const auto& shared = cursor.shared();
    const auto first = page * kPageSlots;
    if (first >= METERD_REGION_SLOTS || shared.counted_size() > static_cast<int>(kPageSlots)) continue;
    // Slots that the names do not know (any more) were counted nevertheless.
    const auto size = static_cast<std::size_t>(shared.counted_size());
    if (counted_.size() < first + size) counted_.resize(first + size);
    std::copy(shared.counted().begin(), shared.counted().end(), counted_.begin() + first);
    stored_[page] = static_cast<std::uint32_t>(size);
    for (std::size_t slot = first; slot < first + size; ++slot) {
      begins_.reset(slot);
      found_.set(slot);
    }
    read_at_[page] = std::min(BootTime{Milliseconds(shared.since_boot_ms())}, now);
  }
  names_.resize(counted_.size());
  seen_ = counted_;
  nameless_ = lacks_names();
}

std::string Region::page_name(std::uint32_t page) const {
  return "shared/" + platform::text_of(id()) + "/" + std::to_string(page);
}

Result<std::uint32_t> Region::add(CounterName name) {
  if (!has_room()) return Error{Code::full, "this region has no free slot"};
  const auto slot = static_cast<std::uint32_t>(names_.size());
  if (auto s = kept_.names.write_at((slot + 1) * kRecordBytes, slot_record(id(), slot, name)); !s)
    return s.error();
  names_.push_back(std::move(name));
  counted_.push_back(0);
  seen_.push_back(0);
  return slot;
}

Status Region::put(std::uint32_t slot, CounterName name) {
  if (slot >= METERD_REGION_SLOTS) return Error{Code::invalid, "a region has no such slot"};
  if (slot < names_.size() && !names_[slot].event.empty()) {
    if (names_[slot] == name) return {};
    return Error{Code::rejected, "this slot counts something else"};
  }
  // Without a file for names its app says them again after each start.
  if (kept_.names.fd() >= 0)
    if (auto s = kept_.names.write_at((slot + 1) * kRecordBytes, slot_record(id(), slot, name)); !s) return s;
  reach(slot);
  names_[slot] = std::move(name);
  nameless_ = lacks_names();
  return {};
}

void Region::keep_nameless(std::uint32_t slot) {
  if (slot >= METERD_REGION_SLOTS) return;
  reach(slot);
  nameless_ = lacks_names();
}

void Region::reach(std::uint32_t slot) {
  if (slot < names_.size()) return;
  names_.resize(slot + 1);
  counted_.resize(slot + 1);
  seen_.resize(slot + 1);
}

bool Region::lacks_names() const {
  return std::any_of(names_.begin(), names_.end(), [](const auto& name) { return name.event.empty(); });
}

// Of memory that was given back nobody may ever have said which slots are used: the last look is at all.
void Region::mark_unused() {
  unused_ = true;
  if (!of_this_journal_) keep_nameless(METERD_REGION_SLOTS - 1);
}

Status Region::mark_done() {
  if (kept_.names.fd() < 0) return {};  // what is found without names counts nothing of itself
  auto head = head_;
  head.done = true;
  return kept_.names.write_at(0, head_record(id(), head));
}

void Region::harvest(const Reading& reading) {
  const bool asks_again = reading.boot >= ask_again_at_ || unused_;
  read(reading);
  const auto before = std::exchange(read_wall_, reading.now.time);
  const auto slots = reading.values.size();
  holds_back_ = false;
  for (std::uint32_t page = 0; page * kPageSlots < slots; ++page) {
    const auto end = std::min(slots, (page + 1) * kPageSlots);
    bool changed = false;
    for (auto slot = page * kPageSlots; slot < end; ++slot) changed |= look_at(slot, reading, asks_again);
    read_at_[page] = reading.boot;
    if (changed || (reading.last && stored_[page] < slots_of(page))) store_page(page, reading);
  }
  if (holds_back_ && asks_again) ask_again_at_ = reading.boot + kAskAgain;
  show_faults(reading, before);
}

void Region::read(const Reading& reading) {
  reading.values.read([this](std::span<char> into) { return kept_.memory.read_at(0, into); }, seen_,
                      has_beginning());
  const bool is_short = reading.values.size() < names_.size();
  if (is_short && !short_) refuse("an app cut its memory short", 0);
  short_ = is_short;
  if (!asked_ && reading.memory.cut_to_size(kept_, METERD_REGION_BYTES))
    refuse("an app made its memory longer", 0);
}

bool Region::has_beginning() const {
  for (std::size_t slot = 0; slot < names_.size(); ++slot)
    if (begins_[slot]) return true;
  return false;
}

// Whether the slot's cursor moved.
bool Region::look_at(std::uint32_t slot, const Reading& reading, bool asks_again) {
  const auto value = reading.values.at(slot);
  if (!value) {
    holds_back_ = true;
    return false;
  }
  if (begins_[slot]) {
    begin(slot, *value);
    return true;
  }
  if (*value == counted_[slot]) return false;
  const bool waits = seen_[slot] != counted_[slot];
  if (waits && *value == seen_[slot] && !asks_again) {
    holds_back_ = true;
    return false;
  }
  return take(slot, *value, reading);
}

void Region::begin(std::uint32_t slot, std::uint64_t value) {
  counted_[slot] = seen_[slot] = value;
  begins_.reset(slot);
  if (value > 0) refuse("how far an app's counter was counted is not known any more", value);
}

bool Region::take(std::uint32_t slot, std::uint64_t value, const Reading& reading) {
  const auto since = found_[slot] ? BootTime{} : read_at_[slot / kPageSlots];
  found_.reset(slot);
  const auto most = units_max(reading.rate_max, reading.boot - since);
  const auto step = step_of(seen_[slot], value, most);
  const auto waiting = seen_[slot] - counted_[slot];
  if (step.fault != StepFault::none) {
    // What waited still does, as far as the value can hold it.
    const auto kept = std::min(waiting, value);
    refuse(step.fault == StepFault::lower ? "an app's counter fell"
                                          : "an app's counter grew faster than counter_rate_max",
           step.units + (waiting - kept));
    seen_[slot] = value;
    counted_[slot] = value - kept;
    holds_back_ |= kept > 0;
    return true;
  }
  seen_[slot] = value;
  const auto units = value - counted_[slot];
  const auto& name = names_[slot];
  if (name.event.empty()) {
    // Its app says what it was when it gives the memory back; when there is none any more, nobody does.
    holds_back_ = true;
    if (!unused_) return false;
    refuse("what an app counted cannot be read", units);
  } else {
    meter::EventView event;
    event.name = name.event;
    event.subscription = name.subscription;
    event.quantity = Quantity::of(units);
    event.permit = reading.permit;
    // No reading in the batcher's sense: of these there may be many, and what has no room waits in its
    // memory.
    const auto refusal = reading.batcher.count(event, reading.now).refusal;
    if (refusal && !(unused_ && is_lasting(*refusal))) {
      holds_back_ = true;
      return false;
    }
    if (refusal) refuse("no meter takes what an app that ended had counted", units);
  }
  counted_[slot] = value;
  return true;
}

void Region::store_page(std::uint32_t page, const Reading& reading) {
  stored_[page] = slots_of(page);
  reading.batcher.note_counter(page_name(page), cursor_of(page, reading.boot_id));
}

journal::CounterCursor Region::cursor_of(std::uint32_t page, const std::string& boot_id) const {
  journal::CounterCursor cursor;
  cursor.set_boot_id(boot_id);
  cursor.set_read_ms(read_wall_.since_epoch.count());
  auto& shared = *cursor.mutable_shared();
  shared.set_user(head_.user);
  shared.set_since_boot_ms(read_at_[page].since_boot.count());
  const auto first = counted_.begin() + static_cast<std::ptrdiff_t>(page * kPageSlots);
  shared.mutable_counted()->Add(first, first + static_cast<std::ptrdiff_t>(stored_[page]));
  return cursor;
}

void Region::add_cursors(const std::string& boot_id,
                         std::map<std::string, journal::CounterCursor>& out) const {
  for (std::uint32_t page = 0; page < pages(); ++page)
    if (stored_[page] > 0) out.emplace(page_name(page), cursor_of(page, boot_id));
}

std::uint32_t Region::slots_of(std::uint32_t page) const {
  return std::min(static_cast<std::uint32_t>(counted_.size()) - page * kPageSlots, kPageSlots);
}

void Region::refuse(const char* reason, std::uint64_t units) {
  auto& all = faults_[reason];
  all = all + units < all ? UINT64_MAX : all + units;
}

// One gap for all counters of one reason.
void Region::show_faults(const Reading& reading, WallTime before) {
  for (const auto& [reason, units] : std::exchange(faults_, {})) {
    journal::Gap gap;
    gap.set_from_ms(before.since_epoch.count());
    gap.set_until_ms(reading.now.time.since_epoch.count());
    gap.set_trusted(reading.now.trusted);
    gap.set_reason(reason);
    gap.set_what("counters of user " + std::to_string(head_.user));
    if (units > 0) gap.set_lost_max(std::to_string(units));
    reading.gaps.note(reading.batcher, std::move(gap));
  }
}

}  // namespace meterd::source
