#include <algorithm>

#include "agent/app/config_billing.hpp"
#include "agent/app/config_sources.hpp"
#include "agent/base/limits.hpp"
#include "agent/meter/catalog.hpp"

namespace meterd::app {
namespace {

using source::NftablesRule;
using source::NftablesSubscriber;

constexpr std::size_t kNftNameMax = 100;  // of the kernel's 255: the source's name is a key of the journal
constexpr std::size_t kSubscribersMax = 20'000;
const DurationRule kInterval{Milliseconds(1'000), Milliseconds(3'600'000),
                             R"(a duration such as "10s", from "1s" to "1h")"};
constexpr const char* kKeyExpected =
    R"(expected an IPv4 address, an IPv6 address or a mark such as "0x7" on the left, and whom to bill on the right)";

// Of the kernel's names, and what the journal's name of the source is put together with.
void load_nft_name(Section& section, const char* key, std::string& out) {
  section.name(key, kNftNameMax, out);
  if (out.find_first_of(": ") != std::string::npos)
    section.expected(key, "a name of nftables, without a colon");
}

// So the journal names the parts of a set.
bool ends_with_number(const std::string& event) {
  const auto slash = event.rfind('/');
  return slash != std::string::npos && event.find_first_not_of("0123456789", slash + 1) == std::string::npos;
}

bool bills_an_installation(const Config& config, const EventName& event) {
  return std::any_of(config.meters.begin(), config.meters.end(), [&](const MeterConfig& meter) {
    const auto* upstream = find_upstream(config, meter.upstream);
    return meter.event == event && !meter.subscription && upstream != nullptr &&
           bills_installations(*upstream);
  });
}

// No message repeats a subscriber: it may be personal.
void load_subscribers(const SourceTable& table, NftablesRule& rule) {
  auto& section = table.section;
  const auto* node = section.take("subscribers");
  if (node == nullptr) return;
  if (node->kind != TomlNode::Kind::table)
    return section.expected("subscribers", "a table of keys and subscriptions");
  if (node->children.size() > kSubscribersMax)
    return section.error("subscribers", "more than " + std::to_string(kSubscribersMax) + " of them");
  const bool needs_sid = bills_an_installation(table.config, rule.event);
  for (const auto& child : node->children) {
    const auto key = source::parse_element_key(child.key);
    const bool names_one =
        child.kind == TomlNode::Kind::string && !child.text.empty() && child.text.size() <= limits::kIdMax;
    if (!key || !names_one) {
      section.item_error("subscribers", child, kKeyExpected);
    } else if (needs_sid && !meter::is_installation_sid(child.text)) {
      section.item_error("subscribers", child, kNoInstallation);
    } else if (rule.keys != platform::NftKeyKind::none && rule.keys != key->kind) {
      section.item_error("subscribers", child,
                         "a set has keys of one type: IPv4, IPv6 or marks; make two sources");
    } else {
      rule.keys = key->kind;
      rule.subscribers.push_back({key->key, SubscriptionId(child.text)});
    }
  }
  auto& all = rule.subscribers;
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  const auto same_key = [](const auto& a, const auto& b) { return a.key == b.key; };
  if (std::adjacent_find(all.begin(), all.end(), same_key) != all.end())
    section.error("subscribers", "one of the keys is there twice, written in two ways");
}

void check_object(Section& section, const NftablesRule& rule, bool has_subscription) {
  if (section.has("set") == section.has("counter"))
    section.error("set", "expected one of set and counter: what of the table is counted");
  if (rule.is_set && section.has("set")) {
    section.require("subscribers", R"(whom to bill, for example { "10.0.0.2" = "sub_1" })");
    if (has_subscription) section.error("subscription", "a set bills its subscribers: leave it out");
  }
  if (!rule.is_set && section.has("subscribers"))
    section.error("subscribers", "a named counter has no elements: say whom to bill with subscription");
}

}  // namespace

LoadedSource load_nftables(const SourceTable& table) {
  auto& section = table.section;
  NftablesRule rule;
  rule.event = table.event;
  rule.subscription = table.subscription;
  if (ends_with_number(rule.event.value()))
    section.expected("event", R"(a name without "/" and a number at its end, for nftables)");
  section.choice("family", {"inet", "ip", "ip6", "bridge", "netdev", "arp"}, rule.family);
  section.require("table", "the name of the table of nftables");
  load_nft_name(section, "table", rule.table);
  rule.is_set = !section.has("counter");
  load_nft_name(section, "set", rule.object);
  load_nft_name(section, "counter", rule.object);
  section.duration("interval", kInterval, rule.interval);
  section.quantity("bytes_per_second_max", rule.bytes_per_second_max);
  load_subscribers(table, rule);
  check_object(section, rule, section.has("subscription"));
  for (const auto& other : table.config.sources) {
    const auto* one = std::get_if<NftablesRule>(&other);
    if (one != nullptr && one->name() == rule.name())
      section.error(rule.is_set ? "set" : "counter", "another [[source]] counts the same bytes of \"" +
                                                         rule.object + "\" as \"" + rule.event.value() +
                                                         "\" already");
  }
  const bool names_subscriptions = rule.is_set;
  return {std::move(rule), names_subscriptions};
}

void describe(const NftablesRule& rule, TomlWriter& out) {
  out.text("kind", "nftables");
  out.text("family", rule.family);
  out.text("table", rule.table);
  out.text(rule.is_set ? "set" : "counter", rule.object);
  out.text("event", rule.event.value());
  out.text_if("subscription", rule.subscription.value());
  if (rule.is_set) {
    std::string all;
    for (const auto& one : rule.subscribers)
      all += (all.empty() ? " " : ", ") + toml_quote(source::text_of({rule.keys, one.key})) + " = " +
             toml_quote(one.subscription.value());
    out.raw("subscribers", "{" + all + " }");
  }
  out.duration("interval", rule.interval);
  if (rule.bytes_per_second_max) out.text("bytes_per_second_max", rule.bytes_per_second_max->text());
}

}  // namespace meterd::app
