// Randomness for epochs (must be unpredictable enough never to repeat) and for backoff jitter.
#pragma once

#include <cstdint>
#include <string>

namespace meterd::platform {

class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;  // uniform over all values
  virtual std::string bytes(std::size_t count) = 0;
};

}  // namespace meterd::platform
