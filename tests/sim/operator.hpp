// The operator of a device whose upstream cannot be asked (Twilio): now and then looks at the outbox and, for
// what has been in doubt for hours, at the vendor's invoice, and decides as that says. What was refused is
// tried again.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "tests/sim/charge_book.hpp"
#include "tests/sim/draws.hpp"
#include "tests/sim/machine.hpp"
#include "tests/sim/world.hpp"

namespace meterd::sim {

class Operator {
 public:
  enum class Belief {
    invoice,          // what the vendor's says
    delivered,        // negative control: whatever was sent has arrived
    nothing_arrived,  // negative control: it would have been answered
  };
  struct Habits {
    Milliseconds interval{6 * 3'600'000};  // between two looks, on average
    std::int64_t decides_percent = 0;      // of what is in doubt, each time
    std::int64_t retries_percent = 0;      // of what is parked
    std::int64_t withdraws_percent = 0;    // of the rest of it
    Belief belief = Belief::invoice;
  };
  struct Dependencies {
    World& world;
    Machine& machine;
    ChargeBook& book;
  };
  Operator(const Dependencies& dependencies, const Habits& habits, Draws draws)
      : deps_(dependencies), habits_(habits), draws_(draws) {}
  Operator(const Operator&) = delete;

  void begin();
  std::uint64_t resolved() const { return resolved_; }  // usages in doubt

 private:
  using Seen = std::pair<std::string, std::uint32_t>;  // a usage and its attempts
  void look(WallTime planned);
  void look_at(const journal::StoredUsage& stored, WallTime planned);
  void decide(const std::string& id, usages::Resolution::Verdict verdict);
  void withdraw(const std::string& id);

  Dependencies deps_;
  Habits habits_;
  Draws draws_;
  std::map<Seen, WallTime> first_seen_;
  std::uint64_t resolved_ = 0;
};

}  // namespace meterd::sim
