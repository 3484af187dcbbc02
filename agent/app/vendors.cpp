#include "agent/app/vendors.hpp"

#include "agent/upstream/chargebee/chargebee.hpp"
#include "agent/upstream/ledger/ledger.hpp"
#include "agent/upstream/twilio/twilio.hpp"

namespace meterd::app {

std::shared_ptr<const upstream::Upstream> vendor_of(const UpstreamConfig& config) {
  switch (config.kind) {
    case UpstreamKind::ledger:
      return upstream::ledger::make();
    case UpstreamKind::chargebee:
      return upstream::chargebee::make(config.base_path);
    case UpstreamKind::twilio_v1:
      return upstream::twilio::make_v1(config.base_path, config.batch);
    case UpstreamKind::twilio_preview:
      break;
  }
  return upstream::twilio::make_preview(config.base_path);
}

meter::SealRule seal_rule_of(const UpstreamConfig& config) {
  auto seal = meter::SealRule::with_defaults(config.seal.count());
  if (config.seal_delay) seal.delay = config.seal_delay->count();
  if (config.flush_window) seal.flush_window = config.flush_window->count();
  return seal;
}

}  // namespace meterd::app
