#include "tests/sim/plan.hpp"

#include "agent/meter/time_zone.hpp"
#include "tests/sim/counted.hpp"

namespace meterd::sim {

namespace {

constexpr std::uint64_t kTinyBytes = 1ULL << 20U;  // the least that may be configured
constexpr Milliseconds kSecond{1'000};
constexpr Milliseconds kMinute{60'000};
constexpr Milliseconds kHour{3'600'000};
constexpr Milliseconds kDay{86'400'000};

meter::TimeZone zone_of(const std::string& name) {
  auto zone = meter::TimeZone::load(name);
  check(zone.ok(), "the simulator's time zones are known here");
  return *zone;
}

// Among them: half an hour of summer time, changes at midnight, and both ends of the date line.
const std::vector<std::string>& zones() {
  static const std::vector<std::string> kZones{
      "UTC",          "Europe/Berlin",  "America/New_York",   "Asia/Kolkata",      "Australia/Lord_Howe",
      "Africa/Cairo", "America/Havana", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/Santiago"};
  return kZones;
}

// A day of 23 or 25 hours (or the like) after `day`, if there is one within a year.
std::int32_t odd_day_after(const meter::TimeZone& zone, std::int32_t day) {
  for (std::int32_t at = day; at < day + 366; ++at) {
    const auto bounds = zone.bounds(UsageDay(at));
    if (bounds.end - bounds.start != 86'400) return at;
  }
  return day;
}

void plan_time(Plan& plan, const std::string& zone_name, Draws draws) {
  const auto zone = zone_of(zone_name);
  constexpr std::int32_t k2027 = 20'820;
  auto day = k2027 + static_cast<std::int32_t>(draws.between(0, 16 * 365));
  plan.length = draws.span(kDay, 5 * kDay);
  if (draws.percent(50)) day = odd_day_after(zone, day) - static_cast<std::int32_t>(draws.between(0, 1));
  plan.begin = WallTime::from_seconds(zone.bounds(UsageDay(day)).start + draws.between(0, 86'399));
}

void add_meter(Plan& plan, const std::string& event, const std::string& item, const std::string& zone) {
  app::MeterConfig meter;
  meter.event = EventName(event);
  meter.item_price = ItemPriceId(item);
  meter.upstream = plan.config.upstreams.front().name;
  meter.time_zone = zone;
  plan.config.meters.push_back(meter);
}

void plan_config(Plan& plan, const std::string& zone, Draws draws) {
  auto& config = plan.config;
  config.device_id = DeviceId("gw-" + std::to_string(draws.between(1, 9'999)));
  config.time_zone = zone;
  config.commit_interval =
      draws.pick(std::vector<Milliseconds>{10 * kSecond, 10 * kSecond, 30 * kSecond, kMinute});
  const bool tiny = draws.percent(15);  // it gets full, and refuses, and delivers itself free
  config.journal_size_max = tiny ? kTinyBytes : 4ULL << 20U;
  config.journal_reserve = 256ULL << 10U;
  config.retain_delivered = Seconds(draws.pick(std::vector<std::int64_t>{86'400, 400 * 86'400}));
  app::UpstreamConfig upstream;
  upstream.name = UpstreamName("billing");
  upstream.host = "billing.test";
  upstream.port = "443";
  upstream.base_path = "/api/v2";
  upstream.seal =
      Seconds(draws.pick(std::vector<std::int64_t>{86'400, 86'400, 86'400, 21'600, 21'600, 3'600, 900}));
  config.upstreams.push_back(upstream);
  config.chargebee_upstream = upstream.name;
  const auto other_zone = draws.percent(50) ? zone : draws.pick(zones());
  add_meter(plan, "sms.sent", "sms-usd", zone);
  add_meter(plan, "api.call", "api-usd", zone);
  add_meter(plan, "api.call", "calls-usd", other_zone);  // both count
  add_meter(plan, "data.bytes", "data-usd", zone);
  const auto subscriptions = tiny ? draws.between(40, 90) : draws.between(1, 4);
  for (std::int64_t at = 1; at <= subscriptions; ++at) {
    const auto name = "sub_" + std::to_string(at);
    const auto first = plan.series.size();
    plan.series.push_back({name, "sms-usd", zone_of(zone)});
    plan.series.push_back({name, "api-usd", zone_of(zone)});
    plan.series.push_back({name, "calls-usd", zone_of(other_zone)});
    plan.kinds.push_back({"sms.sent", name, {first}});
    plan.kinds.push_back({"api.call", name, {first + 1, first + 2}});
  }
  plan.counted.push_back({CountedKind::link, plan.series.size(), false});
  plan.series.push_back({"sub_1", "data-usd", zone_of(zone)});
  config.sources.push_back(source::InterfaceRule{CountedLink::kInterface, EventName("data.bytes"),
                                                 SubscriptionId("sub_1"), "both"});
}

void plan_reporters(Plan& plan, Draws draws) {
  using Identity = Reporter::Identity;
  struct Sort {
    const char* name;
    Identity identity;
    bool received;
  };
  const std::vector<Sort> sorts{{"sequenced", Identity::sequence, false},
                                {"identified", Identity::id, false},
                                {"plain", Identity::none, false},
                                {"received", Identity::none, true},
                                {"quick", Identity::sequence, true}};
  for (const auto& sort : sorts) {
    if (draws.percent(20)) continue;
    Reporter::Habits habits;
    habits.name = sort.name;
    habits.identity = sort.identity;
    habits.received = sort.received;
    habits.interval = draws.any_span(60 * kMinute, 480 * kMinute);
    habits.burst = draws.pick(std::vector<std::int64_t>{1, 10, 40});
    habits.own_time_percent = sort.received ? 0 : draws.pick(std::vector<std::int64_t>{0, 0, 30, 100});
    habits.odd_time_percent = draws.pick(std::vector<std::int64_t>{0, 10});
    habits.lost_ack_percent = draws.pick(std::vector<std::int64_t>{0, 5, 30});
    habits.repeat_percent = draws.pick(std::vector<std::int64_t>{0, 10});
    plan.reporters.push_back(habits);
  }
}

void plan_network(Plan& plan, Draws draws) {
  const auto some = [&] { return draws.pick(std::vector<std::int64_t>{0, 0, 2, 10}); };
  plan.weather = {some(), some(), some(), some(), some(), some(), some()};
  // What it refuses is parked, and stays: a tiny journal would be full of it for good.
  if (plan.config.upstreams.front().seal >= Seconds(21'600) && plan.config.journal_size_max > kTinyBytes) {
    plan.upstream.per_day = draws.percent(10);
    plan.upstream.lifetime_limit =
        draws.percent(10) ? static_cast<std::uint64_t>(draws.between(1, 20)) : 5'000;
  }
  plan.upstream.requests_a_minute = static_cast<std::uint64_t>(draws.pick(std::vector<std::int64_t>{5, 150}));
  plan.upstream.replays_refusals = draws.percent(50);
  plan.upstream.others_percent = draws.pick(std::vector<std::int64_t>{0, 0, 20});
}

// Most plans have none. What the upstream refuses of theirs stays parked until they delete it, so none where
// it refuses much, or where there is little room.
void plan_callers(Plan& plan, Draws draws) {
  const bool roomy = plan.config.journal_size_max > kTinyBytes;
  if (!roomy || plan.upstream.per_day || plan.upstream.lifetime_limit < 5'000 || !draws.percent(30)) return;
  const auto count = draws.between(1, 2);
  for (std::int64_t at = 1; at <= count; ++at) {
    Caller::Habits habits;
    habits.name = "caller" + std::to_string(at);
    habits.series = {{"sub_1", "by-hand-usd"}};  // of callers alone
    if (draws.percent(70)) habits.series.emplace_back("sub_1", "sms-usd");
    if (draws.percent(30)) habits.series.emplace_back("sub_1", "calls-usd");
    habits.interval = draws.any_span(60 * kMinute, 480 * kMinute);
    habits.burst = draws.pick(std::vector<std::int64_t>{1, 2, 5});
    habits.long_memory = plan.config.retain_delivered > Seconds(86'400);
    // Without an id, only the second that is taken tells an old repeat from a new usage.
    habits.no_id_percent = habits.long_memory ? draws.pick(std::vector<std::int64_t>{0, 30, 100}) : 0;
    habits.taken_percent = draws.pick(std::vector<std::int64_t>{0, 10});
    habits.delete_percent = draws.pick(std::vector<std::int64_t>{20, 60});
    habits.again_percent = draws.pick(std::vector<std::int64_t>{0, 50, 100});
    habits.lost_answer_percent = draws.pick(std::vector<std::int64_t>{0, 5, 30});
    plan.callers.push_back(habits);
  }
  plan.upstream.invoiced_percent = draws.pick(std::vector<std::int64_t>{0, 0, 20});
  // A create that arrives after its usage was deleted would make it again, and nobody could tell.
  plan.upstream.frees_ids = plan.weather.late == 0 && plan.weather.twice == 0;
}

void plan_faults(Plan& plan, Draws draws) {
  const auto rare = [&](Milliseconds often) {
    return draws.percent(50) ? Milliseconds(0) : draws.any_span(often, 4 * kDay);
  };
  auto& faults = plan.faults;
  faults.crash = rare(kHour);
  faults.polite_restart = rare(6 * kHour);
  faults.power_loss = rare(6 * kHour);
  faults.outage = rare(3 * kHour);
  faults.storm = rare(6 * kHour);
  faults.credentials = rare(12 * kHour);
  faults.clock_step = rare(6 * kHour);
  faults.suspend = rare(6 * kHour);
  faults.disk_full = rare(12 * kHour);
  faults.disk_cramped = rare(12 * kHour);
  faults.disk_broken = rare(12 * kHour);
  faults.crash_at_work_percent = draws.pick(std::vector<std::int64_t>{0, 1, 3});
  faults.longest_outage = draws.any_span(kHour, 3 * kDay);
  faults.longest_off = draws.any_span(kMinute, 2 * kDay);
  faults.longest_untrusted = draws.any_span(10 * kMinute, 3 * kDay);
  plan.drift_ppm = draws.between(-50, 50);
  plan.has_clock_battery = draws.percent(30);
  plan.flush_at_end = draws.percent(70);
}

Vendor some_vendor(Draws draws) {
  using enum Vendor;
  return draws.pick(
      std::vector<Vendor>{chargebee, chargebee, chargebee, chargebee, twilio_v1, twilio_preview});
}

}  // namespace

const char* name_of(Vendor vendor) {
  static constexpr const char* kNames[] = {"chargebee", "twilio-v1", "twilio-preview"};
  return kNames[static_cast<int>(vendor)];
}

Plan plan_of(std::uint64_t seed, std::optional<Vendor> vendor) {
  const Draws draws(seed);
  Plan plan;
  plan.seed = seed;
  auto pick_zone = draws.fork("zone");
  const auto zone = pick_zone.pick(zones());
  plan_time(plan, zone, draws.fork("time"));
  plan_config(plan, zone, draws.fork("config"));
  plan_reporters(plan, draws.fork("reporters"));
  plan_network(plan, draws.fork("network"));
  plan_faults(plan, draws.fork("faults"));
  plan_callers(plan, draws.fork("callers"));
  plan_sources(plan, draws.fork("sources"), plan.config.journal_size_max > kTinyBytes);
  const auto billed_by = vendor.value_or(some_vendor(draws.fork("vendor")));
  if (billed_by != Vendor::chargebee) bill_through_twilio(plan, billed_by, draws.fork("twilio"));
  return plan;
}

}  // namespace meterd::sim
