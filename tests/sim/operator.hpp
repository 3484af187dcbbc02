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
    Belief belief = Belief::invoice;
  };
  struct Dependencies {
    World& world;
    Machine& machine;
    const ChargeBook& book;
  };
  Operator(const Dependencies& dependencies, const Habits& habits, Draws draws)
      : deps_(dependencies), habits_(habits), draws_(draws) {}
  Operator(const Operator&) = delete;

  void begin();
  std::uint64_t delivered() const { return delivered_; }  // usages resolved so
  std::uint64_t not_delivered() const { return not_delivered_; }
  std::uint64_t retried() const { return retried_; }

 private:
  using Seen = std::pair<std::string, std::uint32_t>;  // a usage and its attempts
  void look();
  void look_at(const journal::StoredUsage& stored);
  void decide(const journal::StoredUsage& stored, usages::Resolution::Verdict verdict);

  Dependencies deps_;
  Habits habits_;
  Draws draws_;
  std::map<Seen, WallTime> first_seen_;
  std::uint64_t delivered_ = 0, not_delivered_ = 0, retried_ = 0;
};

}  // namespace meterd::sim
