#include "agent/flush/compare.hpp"

#include "agent/flush/reconcile.hpp"

namespace meterd::flush {

using Kind = Difference::Kind;

namespace {

std::string content_differs(const upstream::ListedUsage& theirs, const journal::UsageRecord& ours) {
  std::string differs;
  const auto expect = [&differs](bool equal, const std::string& field) {
    if (!equal) differs += (differs.empty() ? "differs in " : ", ") + field;
  };
  expect(theirs.item_price.value() == ours.item_price_id(),
         "item_price_id (theirs " + theirs.item_price.value() + ", ours " + ours.item_price_id() + ")");
  // What was sealed from the open part of a copy was found by its id: the original had dated it by itself.
  expect(ours.copied() || theirs.usage_date == ours.usage_date(),
         "usage_date (theirs " + std::to_string(theirs.usage_date) + ", ours " +
             std::to_string(ours.usage_date()) + ")");
  const auto quantity = Quantity::parse(theirs.quantity);
  const auto billed = billed_as(ours);
  expect(quantity.ok() && *quantity == billed,
         "quantity (theirs " + theirs.quantity + ", ours " + billed.text() + ")");
  return differs;
}

}  // namespace

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::missing:
      return "missing";
    case Kind::altered:
      return "altered";
    case Kind::not_billed:
      return "not_billed";
    case Kind::not_compared:
      break;
  }
  return "not_compared";
}

Judged judge_listed(const Owner& owner, const meter::SeriesKey& series, const upstream::ListedUsage& theirs,
                    const journal::KnownUsage& known) {
  Judged out;
  if (known.damaged) {
    out.differs = "cannot be compared: its record here is damaged, run meterctl verify";
    return out;
  }
  if (!known.stored) {
    const bool by_this_device = theirs.id.value().starts_with(owner.device_prefix + "-");
    out.forgotten = known.forgotten || (by_this_device && owner.is_copy);
    if (!out.forgotten) out.differs = "is not ours: this journal never made it";
    if (!out.forgotten && by_this_device)
      out.differs +=
          ", though its id begins like this device's: was the journal replaced, or does another "
          "device have the same [device] id?";
    return out;
  }
  const auto& record = known.stored->record;
  if (record.upstream() != series.upstream.value() ||
      record.subscription_id() != series.subscription.value()) {
    out.differs = "is not ours: here the id is a usage of subscription " + record.subscription_id() +
                  " for " + record.upstream();
    return out;
  }
  const auto state = journal::state_of(record);
  out.ended = state == journal::UsageState::withdrawn || state == journal::UsageState::superseded;
  if (out.ended || !journal::is_listed(record)) return out;  // that one is on its way out
  out.delivered = state == journal::UsageState::delivered;
  out.adopt =
      out.delivered && (theirs.invoice != record.invoice_id() || theirs.line_item != record.line_item_id());
  out.differs = content_differs(theirs, record);
  const bool given_up = state == journal::UsageState::parked || state == journal::UsageState::in_doubt;
  if (out.differs.empty() && given_up)
    out.differs =
        std::string("is ") + std::string(journal::name_of(state)) + " here, and the upstream has it";
  return out;
}

}  // namespace meterd::flush
