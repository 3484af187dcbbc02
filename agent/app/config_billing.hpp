// The parts of meterd.toml that say what is billed and where: upstreams, meters, subscriptions, sources. Each
// reads its tables in order and checks them against what was read before; call them in this order.
#pragma once

#include <set>
#include <string_view>

#include "agent/app/config.hpp"
#include "agent/app/config_reader.hpp"

namespace meterd::app {

// `lives` receives the place of each upstream's `life` (by position), for check_lives.
void load_upstreams(std::vector<Section> tables, Config& config, std::vector<Problems::Place>& lives);
// `item_prices` receives the place of each meter's item price (by position), for check_not_metered.
void load_meters(std::vector<Section> tables, Config& config, std::vector<Problems::Place>& item_prices);
// After [ingest] and [api], too: a rule may name one of their inputs.
void load_access(Section section, Problems& problems, const ConfigSources& sources, Config& config);
void load_subscriptions(std::vector<Section> tables, Problems& problems, Config& config);
void load_sources(std::vector<Section> tables, Config& config);

// Refuses an upstream that would use up its vendor's lifetime limit of usages before its `life` is over, and
// warns of one without `life` that would within a year.
void check_lives(Problems& problems, const Config& config, const std::vector<Problems::Place>& lives);

// Refuses a meter that counts into an item price of which every fitting subscription says that it is not
// metered.
void check_not_metered(Problems& problems, const Config& config,
                       const std::vector<Problems::Place>& item_prices);

// `time_zone` of the table, which must be in the tz database.
void load_time_zone(Section& section, std::string& out);

// An account sid, in an [[upstream]] and in [api].
void load_twilio_account(Section& section, const char* key, std::string& out);

// The ids of the subscriptions that have it. What was listed once stays accepted, and the journal remembers
// what the file does not say any more: that one is missing is a warning at most.
std::set<std::string_view> listed_with(const Config& config, const ItemPriceId& item_price);

inline constexpr const char* kNoInstallation =
    "Twilio bills an installation: expected its sid, \"XE\" and 32 hexadecimal digits";
bool bills_installations(const UpstreamConfig& upstream);
const UpstreamConfig* find_upstream(const Config& config, const UpstreamName& name);  // null: none

// " (did you mean ...)" out of the configured upstreams.
std::string similar_upstream(const Config& config, const std::string& name);

}  // namespace meterd::app
