// Chance, from one seed. fork(purpose) gives a stream of its own that depends on the seed and the purpose
// only: a draw that is added in one place changes nothing elsewhere, so that old seeds keep finding what they
// found.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "agent/base/usage_day.hpp"

namespace meterd::sim {

class Draws {
 public:
  explicit Draws(std::uint64_t seed) : seed_(seed), state_(seed) {}

  Draws fork(std::string_view purpose) const {
    std::uint64_t hash = 0xcbf29ce484222325ULL ^ seed_;  // FNV-1a over the purpose, begun with the seed
    for (const char c : purpose) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return Draws(mixed(hash));
  }
  std::uint64_t next() { return mixed(state_ += 0x9e3779b97f4a7c15ULL); }
  // Both ends included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    const auto span = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
    return low + static_cast<std::int64_t>(span == 0 ? next() : next() % span);
  }
  bool percent(std::int64_t of_hundred) { return between(1, 100) <= of_hundred; }
  bool once_in(std::int64_t count) { return between(1, count) == 1; }
  Milliseconds span(Milliseconds low, Milliseconds high) {
    return Milliseconds(between(low.count(), high.count()));
  }
  // Short ones as likely as long ones: of all doublings from low to high each is drawn equally often.
  Milliseconds any_span(Milliseconds low, Milliseconds high) {
    std::int64_t doublings = 0;
    while ((low.count() << doublings) < high.count()) ++doublings;
    const auto top = low.count() << between(0, doublings);
    return std::min(high, span(Milliseconds(std::max(low.count(), top / 2)), Milliseconds(top)));
  }
  template <class T>
  const T& pick(const std::vector<T>& among) {
    return among[static_cast<std::size_t>(next() % among.size())];
  }

 private:
  static std::uint64_t mixed(std::uint64_t z) {  // the finaliser of SplitMix64
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
  }
  std::uint64_t seed_;
  std::uint64_t state_;
};

}  // namespace meterd::sim
