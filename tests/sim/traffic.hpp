// A network interface's byte counters, which the agent reads by itself: they grow, start from nothing at each
// boot, and the interface is made anew now and then. Bytes are certain to be billed once a working process
// had the time to read and commit them in the same boot; until then a power cut may take them.
#pragma once

#include <deque>

#include "tests/sim/draws.hpp"
#include "tests/sim/machine.hpp"
#include "tests/sim/oracle.hpp"
#include "tests/sim/world.hpp"

namespace meterd::sim {

class Traffic {
 public:
  struct Dependencies {
    World& world;
    Machine& machine;
    Oracle& oracle;
    std::size_t series = 0;
    std::function<Place()> here;
  };
  Traffic(Dependencies dependencies, Draws draws) : deps_(std::move(dependencies)), draws_(draws) {}
  static constexpr const char* kInterface = "wwan0";

  void begin();
  // After each step of the world: for how long a process has been at work without a gap, long enough or not.
  void look(bool read_by_now);
  void leave();  // these counters end
  void stop_making() { making_ = false; }
  bool done() const { return pending_.empty(); }
  // Nothing has been added for that long.
  bool waited(Milliseconds time) const {
    return !pending_.empty() && deps_.world.now() - pending_.back().made > time;
  }

 private:
  struct Chunk {
    Oracle::Id claim = 0;
    WallTime made, placed;
    bool untrusted = false;
  };
  void grow();
  void place(Chunk& chunk);

  Dependencies deps_;
  Draws draws_;
  bool making_ = true;
  bool begun_ = false;  // the agent has a point to count from
  std::int32_t index_ = 1;
  std::deque<Chunk> pending_;
};

}  // namespace meterd::sim
