#include "agent/journal/balance.hpp"

#include <algorithm>

#include "meterd/journal/v0/records.pb.h"

namespace meterd::journal {
namespace {

std::string text_of(const Quantity& quantity) { return quantity.is_zero() ? std::string() : quantity.text(); }

bool read(Quantity& out, const std::string& text) {
  if (text.empty()) return true;
  auto parsed = Quantity::parse_total(text);
  if (!parsed) return false;
  out = *parsed;
  return true;
}

}  // namespace

std::string_view name_of(UsageState state) {
  switch (state) {
    case UsageState::waiting:
      return "waiting";
    case UsageState::in_doubt:
      return "in_doubt";
    case UsageState::parked:
      return "parked";
    case UsageState::delivered:
      return "delivered";
    case UsageState::withdrawn:
      return "withdrawn";
    case UsageState::superseded:
      return "superseded";
  }
  return "unknown";
}

Quantity* Balance::part(UsageState state) {
  switch (state) {
    case UsageState::waiting:
      return &waiting;
    case UsageState::in_doubt:
      return &in_doubt;
    case UsageState::parked:
      return &parked;
    case UsageState::delivered:
      return &delivered;
    case UsageState::withdrawn:
      return &withdrawn;
    case UsageState::superseded:
      return nullptr;
  }
  return nullptr;
}

void Balance::part_from_original(const Lineage& lineage) {
  if (copies == lineage.copies) return;
  CopiedPart rest{open, open_events, next_revision};
  for (const auto& part : copied) {  // of an earlier time, not sealed yet: those keep their revisions
    rest.quantity -= part.quantity;
    rest.events -= part.events;
  }
  if (rest.events > 0) {
    copied.push_back(rest);
    ++next_revision;
  }
  next_revision = std::max(next_revision, lineage.first_revision);
  copies = lineage.copies;
}

std::string encode(const Balance& b) {
  v0::Balance m;
  m.set_accepted(text_of(b.accepted));
  m.set_open(text_of(b.open));
  m.set_events(b.events);
  m.set_open_events(b.open_events);
  m.set_opened_at_ms(b.opened_at_ms);
  m.set_seal_due_s(b.seal_due_s);
  m.set_zone(b.zone);
  m.set_next_revision(b.next_revision);
  m.set_waiting(text_of(b.waiting));
  m.set_in_doubt(text_of(b.in_doubt));
  m.set_parked(text_of(b.parked));
  m.set_delivered(text_of(b.delivered));
  m.set_withdrawn(text_of(b.withdrawn));
  m.set_set_aside(text_of(b.set_aside));
  m.set_pruned_date(b.pruned_date);
  m.set_pruned(text_of(b.pruned));
  m.set_copies(b.copies);
  for (const auto& part : b.copied) {
    auto* to = m.add_copied();
    to->set_quantity(text_of(part.quantity));
    to->set_events(part.events);
    to->set_revision(part.revision);
  }
  return m.SerializeAsString();
}

Result<Balance> decode_balance(std::string_view payload) {
  v0::Balance m;
  Balance b;
  const bool ok = m.ParseFromArray(payload.data(), static_cast<int>(payload.size())) &&
                  read(b.accepted, m.accepted()) && read(b.open, m.open()) && read(b.waiting, m.waiting()) &&
                  read(b.in_doubt, m.in_doubt()) && read(b.parked, m.parked()) &&
                  read(b.delivered, m.delivered()) && read(b.withdrawn, m.withdrawn()) &&
                  read(b.set_aside, m.set_aside()) && read(b.pruned, m.pruned());
  for (const auto& part : m.copied()) {
    b.copied.push_back({{}, part.events(), part.revision()});
    if (!read(b.copied.back().quantity, part.quantity()))
      return Error{Code::corrupt, "a balance record does not parse"};
  }
  if (!ok) return Error{Code::corrupt, "a balance record does not parse"};
  b.events = m.events();
  b.open_events = m.open_events();
  b.opened_at_ms = m.opened_at_ms();
  b.seal_due_s = m.seal_due_s();
  b.zone = m.zone();
  b.next_revision = m.next_revision();
  b.copies = m.copies();
  b.pruned_date = m.pruned_date();
  return b;
}

}  // namespace meterd::journal
