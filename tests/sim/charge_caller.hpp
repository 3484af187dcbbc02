// A program that calls the device's own Twilio APIs (V1: amounts of billing sids; Preview: units of an
// installation, credits among them). They have neither ids nor keys, so it never repeats a call: one that was
// not answered may be counted or not, and the oracle allows both.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "agent/usages/collection.hpp"
#include "tests/sim/draws.hpp"
#include "tests/sim/machine.hpp"
#include "tests/sim/oracle.hpp"
#include "tests/sim/world.hpp"

namespace meterd::sim {

class ChargeCaller {
 public:
  struct Habits {
    std::string name;
    usages::ChargeOrder::Api api = usages::ChargeOrder::Api::v1;
    std::string installation;
    // What it charges, and as which series of the plan; Preview: one, without a sid.
    std::vector<std::pair<std::string, std::size_t>> items;
    Milliseconds interval{3'600'000};
    std::int64_t burst = 3;           // items of a call, at most; Preview: always one
    std::int64_t credit_percent = 0;  // of quantities are below zero
  };
  struct Dependencies {
    World& world;
    Machine& machine;
    Oracle& oracle;
    std::function<Place()> here;
    std::function<void()> on_send = [] {};
  };
  ChargeCaller(Dependencies dependencies, const Habits& habits, Draws draws)
      : deps_(std::move(dependencies)), habits_(habits), draws_(draws) {}
  ChargeCaller(const ChargeCaller&) = delete;

  void begin();
  void stop_making() { making_ = false; }
  std::uint64_t accepted() const { return accepted_; }  // items

 private:
  using Taken = Result<std::vector<bool>>;
  void call();
  void take_answer(const std::vector<Oracle::Id>& claims, const Taken& taken);

  Dependencies deps_;
  Habits habits_;
  Draws draws_;
  bool making_ = true;
  std::uint64_t accepted_ = 0;
};

}  // namespace meterd::sim
