// Turns a plan into one whose upstream is one of Twilio's: installations instead of subscriptions, billing
// sids instead of item prices, prices, what is in doubt, an operator, and callers of the device's own Twilio
// APIs. Who reports, which faults strike and how long stays as the seed decided.

#include "tests/sim/plan.hpp"

namespace meterd::sim {

namespace {

constexpr Milliseconds kHour{3'600'000};
constexpr const char* kPreviewItemPrice = "preview";  // what the device books Preview's calls as

using Api = usages::ChargeOrder::Api;

// 34 characters, the same for the same name.
std::string sid_of(const std::string& kind, const std::string& name) {
  Draws draws = Draws(1).fork(name);
  std::string out = kind;
  while (out.size() < 34) out += "0123456789abcdef"[draws.next() % 16];
  return out;
}

// Data bytes are many, and no amount may have more than 15 digits.
Quantity price_of(const std::string& event, Draws& draws) {
  static const std::vector<std::string> kPrices{"0.0075", "0.0075", "1", "0.000123456789", "12.5"};
  return *Quantity::parse(event.starts_with("data.") ? "0.000000012345" : draws.pick(kPrices));
}

void bill_to(source::Rule& rule, const SubscriptionId& subscription) {
  std::visit([&](auto& one) { one.subscription = subscription; }, rule);
  if (auto* table = std::get_if<source::NftablesRule>(&rule))
    for (auto& subscriber : table->subscribers) subscriber.subscription = subscription;
}

void rename(Plan& plan) {
  for (auto& meter : plan.config.meters)
    meter.item_price = ItemPriceId(sid_of("BI", meter.item_price.value()));
  for (auto& series : plan.series) {
    series.subscription = sid_of("XE", series.subscription);
    series.item_price = sid_of("BI", series.item_price);
  }
  for (auto& kind : plan.kinds) kind.subscription = sid_of("XE", kind.subscription);
  for (auto& source : plan.config.sources) bill_to(source, SubscriptionId(sid_of("XE", "sub_1")));
}

void set_upstream(Plan& plan, Vendor vendor, Draws draws) {
  auto& config = plan.config;
  auto& upstream = config.upstreams.front();
  const bool v1 = vendor == Vendor::twilio_v1;
  upstream.kind = v1 ? app::UpstreamKind::twilio_v1 : app::UpstreamKind::twilio_preview;
  upstream.base_path = "";
  upstream.batch = draws.pick(std::vector<std::uint32_t>{1, 3, 100});
  upstream.decimals = draws.pick(std::vector<std::uint32_t>{0, 2, 2, 4});
  upstream.in_doubt =
      draws.pick(std::vector<std::string>{"hold", "hold", "hold", "hold", "resend", "assume-delivered"});
  config.chargebee_upstream = UpstreamName(app::kLedger);
  (v1 ? config.twilio_v1_upstream : config.twilio_preview_upstream) = upstream.name;
  if (v1)
    for (auto& meter : config.meters) meter.unit_price = price_of(meter.event.value(), draws);
  // What is in doubt stays, and what was delivered is looked at in the end.
  config.journal_size_max = 16ULL << 20U;
  config.retain_delivered = Seconds(400 * 86'400);
  plan.twilio.api = v1 ? TwilioModel::Api::v1 : TwilioModel::Api::preview;
  plan.twilio.requests_a_minute = plan.upstream.requests_a_minute;
  plan.twilio.left_out_percent = draws.pick(std::vector<std::int64_t>{0, 5, 40});
  plan.twilio.refused_percent = draws.pick(std::vector<std::int64_t>{0, 0, 5});
  plan.weather.twice = 0;  // a way that doubles requests doubles charges: TCP does not
  plan.weather.mangled = draws.pick(std::vector<std::int64_t>{0, 0, 2, 10});
  plan.the_operator.interval = draws.any_span(kHour, 24 * kHour);
  plan.the_operator.decides_percent = draws.pick(std::vector<std::int64_t>{0, 30, 100});
  plan.the_operator.retries_percent = draws.pick(std::vector<std::int64_t>{30, 100});
  plan.the_operator.withdraws_percent = draws.pick(std::vector<std::int64_t>{0, 30});
}

std::size_t add_series(Plan& plan, const std::string& installation, const std::string& item_price) {
  auto zone = meter::TimeZone::load(plan.config.time_zone);
  check(zone.ok(), "the simulator's time zones are known here");
  plan.series.push_back({installation, item_price, *zone});
  return plan.series.size() - 1;
}

// V1's callers give amounts of their own sids; Preview's give units, which a V1 upstream prices.
void add_callers(Plan& plan, Vendor vendor, Draws draws) {
  const auto installation = plan.series.front().subscription;
  const auto add = [&](ChargeCaller::Habits habits) {
    habits.installation = installation;
    habits.interval = draws.any_span(kHour, 8 * kHour);
    habits.burst = draws.pick(std::vector<std::int64_t>{1, 3, 10});
    plan.charge_callers.push_back(std::move(habits));
  };
  if (vendor == Vendor::twilio_preview) {
    ChargeCaller::Habits habits{"preview caller", Api::preview, "", {}};
    habits.items = {{"", add_series(plan, installation, kPreviewItemPrice)}};
    habits.credit_percent = draws.pick(std::vector<std::int64_t>{0, 30, 60});
    return add(std::move(habits));
  }
  ChargeCaller::Habits habits{"v1 caller", Api::v1, "", {}};
  for (const auto* name : {"by hand", "by program"}) {
    const auto sid = sid_of("BI", name);
    habits.items.emplace_back(sid, add_series(plan, installation, sid));
  }
  add(std::move(habits));
  if (!draws.percent(40)) return;
  const auto sid = sid_of("BI", "as preview");
  plan.config.preview_as = app::PreviewAs{ItemPriceId(sid), price_of("", draws)};
  ChargeCaller::Habits migrated{"migrated caller", Api::preview, "", {}};
  migrated.items = {{"", add_series(plan, installation, sid)}};
  add(std::move(migrated));
}

}  // namespace

void bill_through_twilio(Plan& plan, Vendor vendor, const Draws& draws) {
  plan.vendor = vendor;
  plan.callers.clear();
  plan.upstream.per_day = false;
  rename(plan);
  set_upstream(plan, vendor, draws.fork("upstream"));
  auto calls = draws.fork("calls");
  if (calls.percent(50)) add_callers(plan, vendor, calls);
}

}  // namespace meterd::sim
