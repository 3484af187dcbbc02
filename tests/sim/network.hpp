// The way between the device and its upstream, with everything that goes wrong on it. An exchange's fate is
// drawn when it begins. What has left the device arrives by the world's time, also if the device dies
// meanwhile.
#pragma once

#include <functional>
#include <memory>

#include "agent/upstream/http.hpp"
#include "tests/sim/draws.hpp"
#include "tests/sim/machine.hpp"
#include "tests/sim/upstream_model.hpp"
#include "tests/sim/world.hpp"

namespace meterd::sim {

class Network {
 public:
  // Chances of each exchange, in percent.
  struct Weather {
    std::int64_t lost_before = 0;  // not one byte leaves
    std::int64_t lost_request = 0;
    std::int64_t lost_answer = 0;
    std::int64_t late = 0;     // arrives up to two hours after the client gave up
    std::int64_t twice = 0;    // the request arrives twice
    std::int64_t portal = 0;   // somebody else answers
    std::int64_t broken = 0;   // a 5xx, applied or not
    std::int64_t mangled = 0;  // the answer arrives cut short, or as another status or type
  };
  Network(World& world, UpstreamModel& model, const Weather& weather, Draws draws)
      : world_(world), model_(model), weather_(weather), draws_(draws) {}

  std::unique_ptr<upstream::HttpClient> client(Machine& machine);
  void set_up(bool up) { up_ = up; }
  bool up() const { return up_; }
  std::uint64_t exchanges() const { return exchanges_; }
  // One begins, of that number: nothing has left the device yet.
  std::function<void(std::uint64_t, const upstream::HttpRequest&)> on_exchange =
      [](std::uint64_t, const upstream::HttpRequest&) {};
  // It has ended, and the device has the upstream's own answer, or nothing has left it.
  std::function<void(std::uint64_t)> on_known_end = [](std::uint64_t) {};

 private:
  friend class NetworkClient;
  enum class Fate {
    fine,
    down,
    lost_before,
    lost_request,
    lost_answer,
    late,
    twice,
    portal,
    broken,
    mangled
  };
  Fate draw_fate();
  upstream::HttpResponse stranger();
  upstream::HttpResponse broken_gateway();
  upstream::Exchange mangle(upstream::HttpResponse answer);

  World& world_;
  UpstreamModel& model_;
  Weather weather_;
  Draws draws_;
  bool up_ = true;
  std::uint64_t exchanges_ = 0;
};

}  // namespace meterd::sim
