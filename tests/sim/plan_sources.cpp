// What the device counts by itself besides an interface: of each kind of source one at most.

#include "tests/sim/plan.hpp"

namespace meterd::sim {

namespace {

// Its meter and the series that it is billed as.
void add_series(Plan& plan, CountedKind kind, const std::string& event, const std::string& item) {
  app::MeterConfig meter;
  meter.event = EventName(event);
  meter.item_price = ItemPriceId(item);
  meter.upstream = plan.config.upstreams.front().name;
  meter.time_zone = plan.config.time_zone;
  plan.config.meters.push_back(meter);
  auto zone = meter::TimeZone::load(plan.config.time_zone);
  check(zone.ok(), "the simulator's time zones are known here");
  plan.counted.push_back({kind, plan.series.size(), false});
  plan.series.push_back({"sub_1", item, *zone});
}

void add_table(Plan& plan) {
  add_series(plan, CountedKind::table, "data.set", "set-usd");
  source::NftablesRule rule;
  rule.table = "billing";
  rule.object = "subscribers";
  rule.event = EventName("data.set");
  rule.keys = platform::NftKeyKind::ipv4;
  for (std::uint8_t last = 1; last <= 2; ++last)
    rule.subscribers.push_back({{{10, 0, 0, last}}, SubscriptionId("sub_1")});
  rule.bytes_per_second_max = Quantity::of(1'000'000);
  plan.config.sources.emplace_back(rule);
}

void add_messages(Plan& plan) {
  add_series(plan, CountedKind::messages, "sms.modem", "modem-usd");
  plan.config.sources.emplace_back(
      source::ModemRule{EventName("sms.modem"), SubscriptionId("sub_1"), "sent", {}});
}

void add_calls(Plan& plan) {
  add_series(plan, CountedKind::calls, "call.log", "log-usd");
  source::AccessLogRule rule;
  rule.event = EventName("call.log");
  rule.subscription = SubscriptionId("sub_1");
  rule.socket = "/run/meterd/access.sock";
  rule.worker_field = "worker";
  rule.sequence_field = "seq";
  plan.config.sources.emplace_back(rule);
}

void add_memory(Plan& plan) {
  add_series(plan, CountedKind::memory, "unit.memory", "memory-usd");
  plan.config.counters.socket = "/run/meterd/counters.sock";
}

}  // namespace

const char* name_of(CountedKind kind) {
  static constexpr const char* kNames[] = {"interface", "nftables", "modem", "access_log", "memory"};
  return kNames[static_cast<int>(kind)];
}

void add_source(Plan& plan, CountedKind kind) {
  if (kind == CountedKind::table) add_table(plan);
  if (kind == CountedKind::messages) add_messages(plan);
  if (kind == CountedKind::calls) add_calls(plan);
  if (kind == CountedKind::memory) add_memory(plan);
}

// What a counter or a log counts has no room of its own in a journal that is full: it waits, or is lost and
// shown. Here it is to be certain.
void plan_sources(Plan& plan, Draws draws, bool roomy) {
  for (const auto kind :
       {CountedKind::table, CountedKind::messages, CountedKind::calls, CountedKind::memory}) {
    const bool needs_room = kind == CountedKind::calls || kind == CountedKind::memory;
    if (draws.percent(40) && (roomy || !needs_room)) add_source(plan, kind);
  }
}

}  // namespace meterd::sim
