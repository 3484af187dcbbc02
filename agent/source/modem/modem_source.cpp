#include "agent/source/modem/modem_source.hpp"

#include <algorithm>
#include <utility>

namespace meterd::source {
namespace {

journal::CounterCursor cursor_of(const Stored& stored, const std::string& name) {
  const auto found = stored.cursors.find(name);
  return found == stored.cursors.end() ? journal::CounterCursor{} : found->second;
}

// Of what the original may have counted nothing is known: what is there at the first listing is a start.
journal::v0::ModemCursor ledger_of(const journal::CounterCursor& cursor) {
  return cursor.copied() ? journal::v0::ModemCursor{} : cursor.modem();
}

SmsLedger::Rules rules_of(const ModemRule& rule, const ingest::Batcher& batcher) {
  return {rule.direction != "received", rule.direction != "sent", batcher.epoch()};
}

journal::Gap gap_of(std::string reason, std::int64_t from_ms, const platform::WallReading& now) {
  journal::Gap gap;
  gap.set_from_ms(from_ms);
  gap.set_until_ms(now.time.since_epoch.count());
  gap.set_trusted(now.trusted);
  gap.set_reason(std::move(reason));
  return gap;
}

}  // namespace

ModemSource::ModemSource(ModemRule rule, const Dependencies& dependencies, Stored stored)
    : rule_(std::move(rule)),
      log_(dependencies.log),
      cursor_(cursor_of(stored, rule_.name())),
      gaps_(rule_.name(), std::move(stored.gaps)),
      ledger_(rules_of(rule_, dependencies.batcher), ledger_of(cursor_)) {
  if (dependencies.make_modem_messages) messages_ = dependencies.make_modem_messages(rule_.modem);
}

boost::asio::awaitable<void> ModemSource::run() {
  if (messages_ == nullptr) {
    enter(Trouble::no_bus);
    co_return;
  }
  co_await messages_->watch(*this);
}

void ModemSource::stop() {
  if (messages_ != nullptr) messages_->stop();
}

void ModemSource::harvest(ingest::Batcher& batcher, const platform::WallReading& now) {
  // It stays marked in the journal until a modem has shown what it has.
  const bool is_copied = cursor_.copied();
  if (is_copied && trouble_ != Trouble::none) return;
  if (is_copied) {
    auto gap = put_back_gap(cursor_.read_ms(), now);
    std::uint64_t uncounted = 0;
    for (const auto segments : cursor_.modem().uncounted()) uncounted += segments;
    if (uncounted > 0) gap.set_what(std::to_string(uncounted) + " segments that no meter took before it");
    gaps_.note(batcher, std::move(gap));
  }
  while (const auto segments = ledger_.next()) {
    meter::EventView event;
    event.name = rule_.event.value();
    event.subscription = rule_.subscription.value();
    event.quantity = Quantity::of(*segments);
    event.is_reading = true;
    // Refused (no such meter): the ledger still has it, so that it is counted once it can be.
    if (batcher.count(event, now).refusal) break;
    ledger_.counted();
  }
  note_gaps(batcher, now);
  if (!ledger_.changed() && !is_copied) return;
  *cursor_.mutable_modem() = ledger_.record();
  cursor_.set_read_ms(now.time.since_epoch.count());
  cursor_.clear_copied();
  batcher.note_counter(name(), cursor_);
  ledger_.written();
}

void ModemSource::note_gaps(ingest::Batcher& batcher, const platform::WallReading& now) {
  if (const auto lost = std::exchange(missed_, 0); lost > 0) {
    auto gap = gap_of("a message was deleted before it could be read", cursor_.read_ms(), now);
    gap.set_lost(lost);
    gaps_.note(batcher, std::move(gap));
  }
  if (const auto unknown = std::exchange(missed_unsent_, 0); unknown > 0) {
    auto gap = gap_of("a message was deleted before it could be read; it may have been sent",
                      cursor_.read_ms(), now);
    gap.set_what(std::to_string(unknown) + " messages");
    gaps_.note(batcher, std::move(gap));
  }
  if (const auto taken = ledger_.take_taken(); taken > 0) {
    auto gap = gap_of(
        "messages were taken for others of the same text, which are shown again or were deleted unseen",
        cursor_.read_ms(), now);
    gap.set_what("segments");
    gap.set_lost_max(std::to_string(taken));
    gaps_.note(batcher, std::move(gap));
  }
  if (const auto forgotten = ledger_.take_forgotten(); forgotten > 0) {
    auto gap = gap_of("more messages are kept than are remembered; shown anew, they would count again",
                      cursor_.read_ms(), now);
    gap.set_what(std::to_string(forgotten) + " messages");
    gaps_.note(batcher, std::move(gap));
  }
}

void ModemSource::run_began(const std::string& run) { ledger_.begin_run(run); }

void ModemSource::listing(const std::vector<std::string>& paths) { ledger_.list(paths); }

void ModemSource::seen(const platform::ModemMessage& message) {
  ledger_.see(message);
  if (ledger_.wants_listing()) messages_->list_again();
}

void ModemSource::listed(const std::vector<platform::Modem>& modems) {
  ledger_.know(modems);
  const bool is_ready = std::any_of(modems.begin(), modems.end(), [](const auto& one) { return one.ready; });
  if (modems.empty()) return enter(Trouble::no_modem);
  enter(is_ready ? Trouble::none : Trouble::not_enabled);
}

void ModemSource::deleted(const std::string& path) { ledger_.erase(path); }

void ModemSource::missed(bool received) {
  if (received && rule_.direction != "sent") ++missed_;
  if (!received && rule_.direction != "received") ++missed_unsent_;
}

void ModemSource::no_bus(const std::string&) { enter(Trouble::no_bus); }

void ModemSource::no_manager() { enter(Trouble::no_manager); }

// Said once, however long it lasts: many devices have no modem for years.
void ModemSource::enter(Trouble trouble) {
  if (trouble == std::exchange(trouble_, trouble)) return;
  const auto now = report();
  if (trouble == Trouble::none)
    log_.info("messages_readable", {});
  else
    log_.warning("messages_unreadable", {{"reason", now.trouble}, {"advice", now.advice}});
}

Report ModemSource::report() const {
  Report out{name(), "modem-manager", rule_.event.value(), {}, {}, {}, gaps_.totals()};
  switch (trouble_) {
    case Trouble::none:
      break;
    case Trouble::starting:
      out.trouble = "ModemManager has not answered so far";
      out.advice = "wait";
      break;
    case Trouble::no_bus:
      out.trouble = "the system bus cannot be reached";
      out.advice = "start dbus, or set DBUS_SYSTEM_BUS_ADDRESS for meterd";
      break;
    case Trouble::no_manager:
      out.trouble = "ModemManager is not running";
      out.advice = "start it: systemctl start ModemManager";
      break;
    case Trouble::no_modem:
      out.trouble =
          rule_.modem.empty() ? "there is no modem" : "there is no modem of that EquipmentIdentifier";
      out.advice = "compare with: mmcli --list-modems";
      break;
    case Trouble::not_enabled:
      out.trouble = "the modem is not enabled";
      out.advice = "enable it: mmcli --modem=any --enable; a locked SIM needs its PIN first";
      break;
  }
  return out;
}

Stored ModemSource::stored() const { return {{{name(), cursor_}}, gaps_.totals()}; }

}  // namespace meterd::source
