// The registration of the kinds of sources with the configuration: each loads its [[source]] table and writes
// it back. A kind's two functions are in config_source_KIND.cpp.
#pragma once

#include "agent/app/config_reader.hpp"
#include "agent/app/toml_writer.hpp"
#include "agent/source/rules.hpp"

namespace meterd::app {

// What the table says besides `kind`, `event` and `subscription`, which are in `common`.
struct SourceTable {
  Section& section;
  const Config& config;  // meters and the sources before this one
  EventName event;
  SubscriptionId subscription;
};
struct LoadedSource {
  source::Rule rule;
  bool names_subscriptions = false;  // by itself: it needs no `subscription`, and no meter that fixes one
};

LoadedSource load_interface(const SourceTable& table);
void describe(const source::InterfaceRule& rule, TomlWriter& out);
LoadedSource load_modem_manager(const SourceTable& table);
void describe(const source::ModemRule& rule, TomlWriter& out);
LoadedSource load_nftables(const SourceTable& table);
void describe(const source::NftablesRule& rule, TomlWriter& out);
LoadedSource load_access_log(const SourceTable& table);
void describe(const source::AccessLogRule& rule, TomlWriter& out);

// Whether the table became part of one of `sources`, whose socket it shares.
bool join_source(Section& section, const source::Rule& table, std::vector<source::Rule>& sources);

// Of [ingest], not of a [[source]]: beside `ingest_socket` unless it says otherwise.
void load_counters(Section& section, const std::string& ingest_socket, source::SharedCountersRule& out);
void describe(const source::SharedCountersRule& rule, TomlWriter& out);

void describe_source(const source::Rule& rule, TomlWriter& out);

}  // namespace meterd::app
