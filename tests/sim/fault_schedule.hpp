// What goes wrong with the device and around it, as actions on the world's agenda. Each kind strikes at its
// own mean interval, and undoes itself; none begins once the world is quiet.
#pragma once

#include <functional>
#include <string>

#include "tests/sim/simulation.hpp"

namespace meterd::sim {

class FaultSchedule {
 public:
  explicit FaultSchedule(Simulation& simulation)
      : sim_(simulation), draws_(simulation.draws_.fork("strikes")) {}
  void begin();

  // After a boot: the wall clock it has, and when a time server makes it right.
  void boot_device();
  // Ends every fault that lasts.
  void end_all();

 private:
  void every(Milliseconds mean, const std::string& name, std::function<void(Draws&)> strike);
  void lose_power(Draws& draws);
  void step_clock(Draws& draws);
  void wait_for_time_server(std::uint32_t boot, Milliseconds wait);
  void end_network_fault();
  void fill_disk(Draws& draws, bool cramped);

  Simulation& sim_;
  Draws draws_;
};

}  // namespace meterd::sim
