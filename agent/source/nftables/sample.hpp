// One reading of a set, put in the order of the subscribers: what the source steps through. Pure; done where
// the kernel was read, so that the loop has 10,000 additions to do and no search.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/source/nftables/element_step.hpp"
#include "agent/source/nftables/rule.hpp"

namespace meterd::source {

struct Sample {
  std::string counters;  // which they are: the table's, the set's and the network namespace's numbers
  std::vector<ElementReading> readings;                     // by subscriber
  std::uint64_t unmapped_elements = 0, unmapped_bytes = 0;  // of no subscriber
  std::uint64_t without_counter = 0;
};

// Into `out`, whose room is used again.
void put_in_order(const platform::NftReading& reading, const std::vector<NftablesSubscriber>& subscribers,
                  Sample& out);

}  // namespace meterd::source
