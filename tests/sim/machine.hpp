// The device: its clocks, its power, and the agent's process on it. The process is the whole core on one
// thread with a real journal; it runs handler by handler, and can be dropped between any two of them.
//
// Clocks: the boot clock drifts against true time unless a time server disciplines it; the wall clock goes
// with it from wherever the boot (or a technician) set it. Whether it is trusted is decided as platform/linux
// does it: by the kernel's word, never before the last trusted time, and remembered until it is stepped
// (platform/trust.hpp).
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/app/core.hpp"
#include "agent/ingest/batch.hpp"
#include "platform/fake/clock.hpp"
#include "platform/trust.hpp"
#include "tests/sim/draws.hpp"
#include "tests/sim/world.hpp"
#include "tests/support/surroundings.hpp"

namespace meterd::sim {

// Numbers that follow from a seed; bytes that never come twice, as ids are made of them.
class SeededRandom final : public platform::Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : numbers_(seed) {}
  std::uint64_t next() override { return numbers_.next(); }
  std::string bytes(std::size_t count) override {
    Draws draws(numbers_.next());
    std::string out;
    while (out.size() < count) out.push_back(static_cast<char>(draws.next() & 0xFFU));
    return out;
  }

 private:
  testing::QuietRandom numbers_;
};

class Machine {
 public:
  struct Dependencies {
    World& world;
    app::Config config;
    std::uint64_t seed = 0;
    std::int64_t drift_ppm = 0;
    std::function<std::unique_ptr<upstream::HttpClient>(Machine&)> make_client;
    std::function<void(app::Surroundings&)> furnish;  // with what sources are read from
  };
  explicit Machine(Dependencies dependencies);
  ~Machine();

  // --- power
  bool powered() const { return powered_; }
  // A boot: another boot id, the boot clock from nothing, no link's counters. `disciplined`: the kernel calls
  // the wall clock right from the start (a battery-backed one was read).
  void power_on(WallTime wall, bool disciplined);
  void power_off();
  std::uint32_t boots() const { return boots_; }

  // --- the process
  bool running() const { return process_ != nullptr; }
  Status start();      // an error: refused to start, with the reason that an operator would read
  void kill();         // what it had in memory is gone
  bool run_handler();  // the next handler that is ready; false: none is
  // Why the process must end (EIO); it is then to be killed.
  const std::optional<Error>& fatal() const { return fatal_; }
  app::Core& core() { return *process_->core; }
  const journal::Journal& journal() const { return *process_->journal; }
  boost::asio::io_context& loop() { return *process_->loop; }
  ingest::ProducerTable& producers() { return process_->producers; }
  platform::Clock& clock() { return *process_->clock; }
  std::uint64_t starts() const { return starts_; }  // a number of the present process, too
  // Called after each start and before each end of a process.
  std::function<void()> on_start = [] {};
  std::function<void()> on_end = [] {};

  // --- time
  void pass(Milliseconds true_time);
  void sleep(Milliseconds true_time);  // suspended meanwhile: alarms are late by that
  std::optional<Milliseconds> until_alarm() const;
  bool fire_alarm();
  platform::WallReading wall() const { return {wall_, trusted_}; }
  BootTime boot() const { return boot_; }
  void step_wall(Milliseconds by);  // by hand: the kernel then no longer calls it right
  void discipline();                // a time server's word: the wall clock is true from now on
  void lose_discipline();           // the kernel heard nothing for hours
  void lie_by(Milliseconds error) { lie_ = error; }  // negative control: a time server that is wrong
  bool disciplined() const { return disciplined_; }

  testing::FakeLinks links;

 private:
  struct Process {
    std::unique_ptr<boost::asio::io_context> loop;
    std::unique_ptr<platform::FakeClock> clock;
    std::unique_ptr<journal::Journal> journal;
    std::unique_ptr<app::Core> core;
    ingest::ProducerTable producers;
    ~Process();
  };
  class NotedLog final : public Log {
   public:
    explicit NotedLog(World& world) : world_(world) {}

   private:
    void write(Level level, const std::string& line) override;
    World& world_;
  };
  void judge_trust();
  Milliseconds device_time(Milliseconds true_time);

  Dependencies deps_;
  NotedLog log_;
  testing::AnyDisk disk_;
  SeededRandom random_;
  WallTime wall_;
  BootTime boot_;
  std::int64_t drift_rest_ = 0;  // millionths of a millisecond
  Milliseconds lie_{};
  bool powered_ = false, disciplined_ = false, trusted_ = false;
  std::string boot_id_;
  std::uint32_t boots_ = 0;
  std::uint64_t starts_ = 0;
  std::optional<platform::TrustLatch> latch_;  // the process's
  WallTime not_before_;
  std::optional<Error> fatal_;
  std::unique_ptr<Process> process_;
};

}  // namespace meterd::sim
