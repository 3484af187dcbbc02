#include "tests/sim/world.hpp"

namespace meterd::sim {

bool World::run_next() {
  if (agenda_.empty() || agenda_.begin()->first > now_) return false;
  const Action action = std::move(agenda_.begin()->second);
  agenda_.erase(agenda_.begin());
  action();
  return true;
}

void World::note(const std::string& what) {
  auto time = rfc3339(now_);
  auto millis = std::to_string(now_.since_epoch.count() % 1'000);
  notes_.push_back(time.substr(0, time.size() - 1) + "." + std::string(3 - millis.size(), '0') + millis +
                   "Z " + what);
  for (const char c : notes_.back()) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  if (!keep_all_ && notes_.size() > kNotesKept) notes_.pop_front();
}

}  // namespace meterd::sim
