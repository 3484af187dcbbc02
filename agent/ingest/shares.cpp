#include "agent/ingest/shares.hpp"

namespace meterd::ingest {

bool Shares::has_room(const meter::Permit* permit, std::uint64_t taken) const {
  if (taken >= all_) return false;
  if (permit == nullptr || taken < all_ / 2) return true;
  const auto own = taken_.find(permit->scope);
  return own == taken_.end() || own->second < each_;
}

void Shares::take(const meter::Permit* permit) {
  if (permit != nullptr) ++taken_[permit->scope];
}

}  // namespace meterd::ingest
