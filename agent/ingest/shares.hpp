// What one reporter that [access] restricts may take of something that all reporters share. Each has a share
// that nobody else can take; more only while less than half of all is taken: so nobody who fills it refuses
// others. In memory: a restart begins anew. Loop thread.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "agent/meter/permit.hpp"

namespace meterd::ingest {

class Shares {
 public:
  // Half of `all` is the shares of eight.
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
