#include "tests/sim/upstream_model.hpp"

namespace meterd::sim {

std::optional<std::int64_t> thousandths(const std::string& text) {
  std::int64_t value = 0;
  int places = -1;
  for (const char c : text) {
    if (c == '.' && places < 0) {
      places = 0;
      continue;
    }
    if (c < '0' || c > '9' || places == 3 || value > INT64_MAX / 10'000) return std::nullopt;
    value = value * 10 + (c - '0');
    if (places >= 0) ++places;
  }
  for (int at = places < 0 ? 0 : places; at < 3; ++at) value *= 10;
  if (value == 0) return std::nullopt;
  return value;
}

}  // namespace meterd::sim
