#include <algorithm>

#include "agent/app/config_sources.hpp"
#include "agent/source/access_log/calls.hpp"

namespace meterd::app {
namespace {

constexpr std::size_t kFieldNameMax = 100;
constexpr std::size_t kSocketPathMax = 107;  // sun_path without its terminator
constexpr std::size_t kGroupNameMax = 32;

struct Filter {
  const char* list;
  const char* field;
  const char* usual_field;
  const char* what;
};
constexpr Filter kStatus{"status", "status_field", "status", R"(a list such as ["2xx", "304"])"};
constexpr Filter kPath{"path_prefix", "path_field", "path", R"(a list such as ["/api/"])"};

void load_filter(Section& section, const Filter& filter, std::vector<std::string>& values,
                 std::string& field) {
  section.strings(filter.list, filter.what, values);
  if (section.has(filter.list)) field = filter.usual_field;
  if (section.has(filter.list) && values.empty())
    section.error(filter.list, "is empty, so nothing would count; leave it out to count everything");
  section.name(filter.field, kFieldNameMax, field);
  if (section.has(filter.field) && !section.has(filter.list))
    section.error(filter.field, std::string("is used with ") + filter.list + " only: give that too");
}

// Further tables of one socket share it: what belongs to the socket is given once, or the same.
void join(Section& section, const source::AccessLogRule& table, source::AccessLogRule& socket) {
  const auto take = [&](const char* key, const auto& theirs, auto& ours) {
    if (theirs.empty()) return;
    if (!ours.empty() && ours != theirs)
      section.error(key, "another [[source]] of this socket has another one; they share the socket");
    ours = theirs;
  };
  take("groups", table.groups, socket.groups);
  take("worker_field", table.worker_field, socket.worker_field);
  take("sequence_field", table.sequence_field, socket.sequence_field);
  const auto calls = socket.calls();
  if (std::find(calls.begin(), calls.end(), static_cast<const source::CallRule&>(table)) != calls.end())
    section.error("socket", "another [[source]] counts the same calls as the same event already");
  socket.others.push_back(table);
}

}  // namespace

LoadedSource load_access_log(const SourceTable& table) {
  auto& section = table.section;
  source::AccessLogRule rule;
  rule.event = table.event;
  rule.subscription = table.subscription;
  section.require("socket", "the path of the socket that the server logs to");
  section.name("socket", kSocketPathMax, rule.socket);
  if (!rule.socket.empty() && !rule.socket.starts_with('/'))
    section.expected("socket", R"(an absolute path such as "/run/meterd/access.sock")");
  section.strings("groups", R"(a list such as ["www-data"])", rule.groups);
  if (std::any_of(rule.groups.begin(), rule.groups.end(),
                  [](const std::string& group) { return group.empty() || group.size() > kGroupNameMax; }))
    section.expected("groups", R"(names of groups such as ["www-data"])");
  for (const auto& group : rule.groups) section.group_exists("groups", group);
  section.name("subscription_field", kFieldNameMax, rule.subscription_field);
  section.name("quantity_field", kFieldNameMax, rule.quantity_field);
  section.name("worker_field", kFieldNameMax, rule.worker_field);
  section.name("sequence_field", kFieldNameMax, rule.sequence_field);
  if (section.has("worker_field") != section.has("sequence_field"))
    section.error(section.has("worker_field") ? "worker_field" : "sequence_field",
                  "a number means something together with its worker only: give both fields or none");
  if (section.has("subscription") && section.has("subscription_field"))
    section.error("subscription_field", "give subscription or subscription_field");
  load_filter(section, kStatus, rule.status, rule.status_field);
  if (const auto statuses = source::status_set(rule.status); !statuses)
    section.error("status", statuses.error().message);
  load_filter(section, kPath, rule.path_prefix, rule.path_field);
  const auto refuse_if_of = [&](const std::vector<std::string>& addresses, const std::string& whose) {
    for (const auto& address : addresses)
      if (address == "unix:" + rule.socket || address == rule.socket)
        section.error("socket", "is a socket of " + whose);
  };
  refuse_if_of(table.config.statsd, "ingest.statsd");
  refuse_if_of({table.config.ingest_socket}, "ingest.socket");
  refuse_if_of({table.config.counters.socket}, "ingest.counters");
  refuse_if_of(table.config.api_listen, "api.listen");
  const bool names_subscriptions = !rule.subscription_field.empty();
  return {std::move(rule), names_subscriptions};
}

bool join_source(Section& section, const source::Rule& table, std::vector<source::Rule>& sources) {
  const auto* rule = std::get_if<source::AccessLogRule>(&table);
  if (rule == nullptr) return false;
  for (auto& other : sources) {
    auto* socket = std::get_if<source::AccessLogRule>(&other);
    if (socket == nullptr || socket->socket != rule->socket) continue;
    join(section, *rule, *socket);
    return true;
  }
  return false;
}

void describe(const source::AccessLogRule& rule, TomlWriter& out) {
  const auto calls = rule.calls();
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto& call = calls[i];
    if (i > 0) out.header("[[source]]");
    out.text("kind", "access-log");
    out.text("socket", rule.socket);
    if (!rule.groups.empty()) out.list("groups", rule.groups);
    out.text("event", call.event.value());
    out.text_if("subscription", call.subscription.value());
    out.text_if("subscription_field", call.subscription_field);
    out.text_if("quantity_field", call.quantity_field);
    out.text_if("status_field", call.status_field);
    if (!call.status.empty()) out.list("status", call.status);
    out.text_if("path_field", call.path_field);
    if (!call.path_prefix.empty()) out.list("path_prefix", call.path_prefix);
    out.text_if("worker_field", rule.worker_field);
    out.text_if("sequence_field", rule.sequence_field);
  }
}

}  // namespace meterd::app
