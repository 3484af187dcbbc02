// Byte counters of network interfaces, as the kernel keeps them (64-bit, rtnetlink IFLA_STATS64).
#pragma once

#include <cstdint>
#include <string>

#include "agent/base/result.hpp"

namespace meterd::platform {

struct LinkSample {
  std::int32_t index = 0;  // a re-created interface gets another index and starts from zero
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_bytes = 0;
};

class Links {
 public:
  virtual ~Links() = default;
  // Code::rejected: no interface of that name at the moment. Answers at once: the kernel is asked, not a
  // device.
  virtual Result<LinkSample> sample(const std::string& interface_name) = 0;
};

}  // namespace meterd::platform
