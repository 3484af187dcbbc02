#include "agent/source/nftables/sample.hpp"

#include <algorithm>

namespace meterd::source {

void put_in_order(const platform::NftReading& reading, const std::vector<NftablesSubscriber>& subscribers,
                  Sample& out) {
  out.counters = "network " + std::to_string(reading.network) + ", table " + std::to_string(reading.table) +
                 ", object " + std::to_string(reading.object);
  out.readings.assign(subscribers.size(), {ElementReading::Seen::absent, 0, 0});
  out.unmapped_elements = reading.without_key;
  out.unmapped_bytes = 0;
  out.without_counter = reading.without_counter;
  for (const auto& element : reading.elements) {
    const auto found = std::lower_bound(
        subscribers.begin(), subscribers.end(), element.key,
        [](const NftablesSubscriber& one, const platform::NftKey& key) { return one.key < key; });
    if (found == subscribers.end() || found->key != element.key) {
      ++out.unmapped_elements;
      out.unmapped_bytes += element.bytes;
      continue;
    }
    auto& into = out.readings[static_cast<std::size_t>(found - subscribers.begin())];
    into = {ElementReading::Seen::present, element.bytes, element.packets};
  }
}

}  // namespace meterd::source
