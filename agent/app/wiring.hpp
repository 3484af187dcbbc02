// What follows from a configuration alone: the same for a start and a reload. No state.
#pragma once

#include <memory>
#include <vector>

#include "agent/app/config.hpp"
#include "agent/flush/sealer.hpp"
#include "agent/ingest/batcher.hpp"
#include "agent/journal/journal.hpp"
#include "agent/usages/rules.hpp"
#include "platform/clock.hpp"

namespace meterd::app {

struct Wiring {
  std::shared_ptr<const flush::SealContext> context;
  ingest::Batcher::Settings settings;
  std::shared_ptr<const usages::Rules> rules;
};
// The journal gives its epoch and boot; the clock is kept and must live on. Code::invalid for a meter without
// its upstream or with a time zone that this system does not know.
Result<Wiring> make_wiring(const Config& config, const journal::Journal& journal,
                           const platform::Clock& clock);

// Those that are configured, and the ledger where something stays on the device.
std::vector<UpstreamConfig> upstreams_of(const Config& config);
flush::Sealer::Settings sealing_of(const Config& config,
                                   const std::shared_ptr<const flush::SealContext>& context);

}  // namespace meterd::app
