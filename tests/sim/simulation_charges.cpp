// The runs whose upstream keeps no ids (Twilio): what is added to them, and what it billed beside the
// device's books.
#include "tests/sim/simulation.hpp"

namespace meterd::sim {

namespace {

constexpr std::size_t kRowsMax = 100'000;

// Of a verdict: whatever is wrong is not nothing.
std::int64_t thousandths_at_least(const Quantity& amount) {
  if (amount.is_zero()) return 0;
  const auto cut = amount.cut_to(3);
  return cut.is_zero() ? 1 : thousandths(cut.text()).value_or(INT32_MAX);
}

}  // namespace

void Simulation::begin_charges() {
  charges_ = std::make_unique<ChargeBook>(plan_.config, *twilio_);
  operator_ = std::make_unique<Operator>(Operator::Dependencies{world_, machine_, *charges_},
                                         plan_.the_operator, draws_.fork("operator"));
  for (const auto& habits : plan_.charge_callers) {
    ChargeCaller::Dependencies dependencies{world_, machine_, oracle_, [this] { return here(); },
                                            [this] { crash_soon(); }};
    charge_callers_.push_back(
        std::make_unique<ChargeCaller>(std::move(dependencies), habits, draws_.fork(habits.name)));
  }
}

// Holds between any two handlers, whatever is on its way.
void Simulation::compare_charges(const std::string& when) {
  for (const auto& finding : charges_->compare(machine_)) {
    violate("the bill, " + when + ": " + finding.what);
    outcome_.verdict.lost += thousandths_at_least(finding.short_by);
    outcome_.verdict.doubled += thousandths_at_least(finding.over_by);
  }
}

// check_journal() has compared the bill already: what is left is what the device counted, and when.
void Simulation::read_charges(Oracle::Seen& seen) {
  seen.billed = charges_->accepted(machine_.journal());
  auto outbox = journal::read_outbox(machine_.journal(), kRowsMax, journal::Lane::parked);
  if (!outbox) return violate("the outbox cannot be read: " + outbox.error().message);
  for (const auto& stored : *outbox)
    if (plan_.twilio.refused_percent == 0) violate("parked without need: " + stored.record.id());
  outcome_.parked = outbox->size();
  outcome_.charges = charges_->sums();
  outcome_.usages = outcome_.charges.usages_billed;
  outcome_.items_left_out = twilio_->left_out();
  outcome_.resolved = operator_->resolved();
  for (const auto& caller : charge_callers_) outcome_.charged_by_callers += caller->accepted();
}

}  // namespace meterd::sim
