// [access]: groups, and [[access.allow]] for others.
#include <algorithm>

#include "agent/app/config_billing.hpp"
#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"

namespace meterd::app {
namespace {

constexpr std::size_t kAccountNameMax = 32;  // useradd(8)
constexpr std::size_t kUnitNameMax = 255;    // systemd.unit(5)
constexpr std::size_t kRulesMax = 256;

bool is_account_name(const std::string& text) {
  return is_clean_text(text, kAccountNameMax) && text.find_first_of(": /") == std::string::npos;
}

void load_account(Section& table, const char* key, std::string& out) {
  table.name(key, kAccountNameMax, out);
  if (!out.empty() && !is_account_name(out)) table.expected(key, std::string("the name of a ") + key);
}

bool is_peerless(const Config& config, const std::string& input) {
  const auto named = [&](const std::string& one) { return one == input && !one.starts_with("unix:"); };
  return std::any_of(config.statsd.begin(), config.statsd.end(), named) ||
         std::any_of(config.api_listen.begin(), config.api_listen.end(), named);
}

void load_names(Section& table, const char* key, std::size_t length_max, meter::Names& out) {
  if (!table.has(key)) return;
  std::vector<std::string> names;
  const std::string what = "names of 1 to " + std::to_string(length_max) + " bytes; leave it out for any";
  table.strings(key, what, names);
  const bool clean = std::all_of(names.begin(), names.end(),
                                 [&](const auto& one) { return is_clean_text(one, length_max); });
  if (names.empty() || !clean) table.error(key, "expected " + what);
  out = meter::Names({names.begin(), names.end()});
}

void warn_of_uncounted(Section& table, const Config& config, const meter::Names& events) {
  if (events.any()) return;
  std::vector<std::string> counted;
  for (const auto& meter : config.meters) counted.push_back(meter.event.value());
  for (const auto& event : events.only())
    if (std::find(counted.begin(), counted.end(), event) == counted.end())
      table.warning("events", "no [[meter]] counts " + toml_quote(event) + did_you_mean(event, counted));
}

ingest::AccessRule load_rule(Section& table, const Config& config) {
  ingest::AccessRule rule;
  load_account(table, "user", rule.user);
  if (!rule.user.empty()) table.user_exists("user", rule.user);
  load_account(table, "group", rule.group);
  if (!rule.group.empty()) table.group_exists("group", rule.group);
  table.name("unit", kUnitNameMax, rule.unit);
  if (!rule.unit.empty() && !rule.unit.ends_with(".service") && !rule.unit.ends_with(".scope"))
    table.expected("unit", R"(a systemd unit such as "sms.service")");
  table.name("input", kUnitNameMax, rule.input);
  if (!rule.input.empty() && !is_peerless(config, rule.input))
    table.expected("input",
                   "one of ingest.statsd or api.listen that is no unix socket, as it is written there");
  const auto named = !rule.user.empty() + !rule.group.empty() + !rule.unit.empty() + !rule.input.empty();
  if (named != 1) table.error("user", "give one of user, group, unit or input: whom this is for");
  load_names(table, "events", limits::kEventNameMax, rule.permit.events);
  warn_of_uncounted(table, config, rule.permit.events);
  load_names(table, "subscriptions", limits::kIdMax, rule.permit.subscriptions);
  table.finish();
  return rule;
}

}  // namespace

void load_access(Section section, Problems& problems, const ConfigSources& sources, Config& config) {
  auto& access = config.access;
  section.strings("groups", "each the name of a group", access.groups);
  for (const auto& group : access.groups)
    if (!is_account_name(group))
      section.error("groups", "expected the names of groups; found " + toml_quote(group));
    else if (section.has("groups"))
      section.group_exists("groups", group);
  for (auto& table : sections(problems, sources, section, "allow"))
    access.allow.push_back(load_rule(table, config));
  if (access.allow.size() > kRulesMax)
    section.error("allow", "at most " + std::to_string(kRulesMax) + " rules; put users into groups");
  section.finish();
}

}  // namespace meterd::app
