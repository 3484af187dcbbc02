// What one reporter that [access] restricts may take of something that all reporters share: a sixteenth, and
// more only while less than half of all is taken. So none of them can fill it, and up to eight do not refuse
// each other; whoever may do everything may also fill it. In memory: a restart begins anew. Loop thread.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "agent/meter/permit.hpp"

namespace meterd::ingest {

class Shares {
 public:
  explicit Shares(std::uint64_t all) : all_(all), each_(all / 16) {}

  // Whether that reporter (null: one that may do everything) gets one more, with `taken` by all.
  bool has_room(const meter::Permit* permit, std::uint64_t taken) const;
  void take(const meter::Permit* permit);
  void begin_anew() { taken_.clear(); }

 private:
  std::uint64_t all_, each_;
  std::unordered_map<std::string, std::uint64_t> taken_;  // by scope
};

}  // namespace meterd::ingest
