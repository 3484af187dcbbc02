#include "tests/sim/fault_schedule.hpp"

#include "tests/sim/disk_faults.hpp"

namespace meterd::sim {

namespace {
constexpr Milliseconds kSecond{1'000};
constexpr Milliseconds kMinute{60'000};
constexpr Milliseconds kHour{3'600'000};
constexpr Milliseconds kKernelPatience{9 * 3'600'000};  // platform/trust.hpp
constexpr std::int64_t kTenYearsSeconds = 10LL * 365 * 86'400;
}  // namespace

void FaultSchedule::every(Milliseconds mean, const std::string& name, std::function<void(Draws&)> strike) {
  if (mean == Milliseconds(0)) return;
  auto draws = std::make_shared<Draws>(draws_.fork(name));
  auto again = std::make_shared<std::function<void()>>();
  *again = [this, mean, name, draws, strike = std::move(strike), weak = std::weak_ptr(again)] {
    if (sim_.world_.quiet()) return;
    strike(*draws);
    sim_.world_.in(draws->span(mean / 10, 2 * mean), [self = weak.lock()] { (*self)(); });
  };
  sim_.world_.in(draws->span(mean / 10, 2 * mean), [again] { (*again)(); });
}

void FaultSchedule::begin() {
  const auto& rates = sim_.plan_.faults;
  auto& world = sim_.world_;
  every(rates.crash, "crash", [this](Draws& draws) {
    if (sim_.machine_.running()) sim_.crash_after_ = draws.between(1, 2'000);
  });
  every(rates.polite_restart, "polite restart", [this](Draws&) { sim_.stop_politely(); });
  every(rates.power_loss, "power loss", [this](Draws& draws) { lose_power(draws); });
  every(rates.clock_step, "clock step", [this](Draws& draws) { step_clock(draws); });
  every(rates.outage, "outage", [this, &world](Draws& draws) {
    sim_.network_.set_up(false);
    world.count("network outage");
    world.in(draws.any_span(kMinute, sim_.plan_.faults.longest_outage),
             [this] { sim_.network_.set_up(true); });
    world.in(kKernelPatience, [this] {
      if (!sim_.network_.up() && sim_.machine_.powered() && sim_.machine_.disciplined()) {
        sim_.machine_.lose_discipline();
        wait_for_time_server(sim_.machine_.boots(), kMinute);
      }
    });
  });
  every(rates.storm, "storm", [this, &world](Draws& draws) {
    sim_.upstream_->set_storm(true, draws.percent(50));
    world.count("429 storm");
    world.in(draws.any_span(kMinute, 3 * kHour), [this] { sim_.upstream_->set_storm(false, false); });
  });
  every(rates.credentials, "credentials", [this, &world](Draws& draws) {
    sim_.upstream_->set_credentials_valid(false);
    world.count("credentials expired");
    world.in(draws.any_span(kMinute, 12 * kHour), [this] { sim_.upstream_->set_credentials_valid(true); });
  });
  every(rates.suspend, "suspend", [this, &world](Draws& draws) {
    if (!sim_.machine_.powered()) return;
    const auto length = draws.any_span(kSecond, 8 * kHour);
    world.count("suspend");
    world.note("asleep for " + std::to_string(length.count() / 1'000) + " s");
    sim_.asleep_until_ = world.now() + length;
  });
  every(rates.disk_full, "disk full", [this](Draws& draws) { fill_disk(draws, false); });
  every(rates.disk_cramped, "disk cramped", [this](Draws& draws) { fill_disk(draws, true); });
  every(rates.disk_broken, "disk broken", [&world](Draws& draws) {
    DiskFaults::of_process().next = draws.percent(50) ? DiskFaults::Break::write : DiskFaults::Break::sync;
    world.note("the disk's next call fails");
  });
}

void FaultSchedule::fill_disk(Draws& draws, bool cramped) {
  auto& disk = DiskFaults::of_process();
  if (disk.room != DiskFaults::Room::enough) return;
  disk.room = cramped ? DiskFaults::Room::cramped : DiskFaults::Room::full;
  disk.halve = draws.percent(30);
  sim_.world_.count(cramped ? "disk refuses all writes" : "disk full");
  sim_.world_.note(cramped ? "the disk refuses all writes" : "the disk is full");
  sim_.world_.in(draws.any_span(kSecond, 3 * kHour), [this] {
    DiskFaults::of_process().room = DiskFaults::Room::enough;
    sim_.world_.note("the disk has room");
  });
}

void FaultSchedule::lose_power(Draws& draws) {
  auto& machine = sim_.machine_;
  if (!machine.powered()) return;
  sim_.world_.count(machine.wall().trusted ? "power loss" : "power loss before any trust");
  for (auto& one : sim_.counted_) one->lose_power();
  sim_.end_process("power loss");
  machine.power_off();
  sim_.world_.in(draws.any_span(kSecond, sim_.plan_.faults.longest_off), [this] {
    if (!sim_.machine_.powered()) boot_device();
  });
}

void FaultSchedule::boot_device() {
  auto& machine = sim_.machine_;
  const auto& plan = sim_.plan_;
  if (plan.has_clock_battery) {
    machine.power_on({}, true);
  } else {
    // 1970; what was saved at some earlier time; or anything.
    WallTime wall = WallTime::from_seconds(draws_.between(0, 60));
    if (draws_.percent(40)) wall = sim_.world_.now() - draws_.any_span(kMinute, 1'000 * kHour);
    if (draws_.percent(20))
      wall = sim_.world_.now() + Seconds(draws_.between(-kTenYearsSeconds, kTenYearsSeconds));
    machine.power_on(wall, false);
    wait_for_time_server(machine.boots(), draws_.any_span(10 * kSecond, plan.faults.longest_untrusted));
  }
  sim_.start_again_in(draws_.any_span(kSecond, 60 * kSecond));
}

void FaultSchedule::wait_for_time_server(std::uint32_t boot, Milliseconds wait) {
  sim_.world_.in(wait, [this, boot] {
    auto& machine = sim_.machine_;
    if (!machine.powered() || machine.boots() != boot || machine.disciplined()) return;
    if (!sim_.network_.up()) return wait_for_time_server(boot, 10 * kMinute);
    machine.discipline();
    sim_.world_.note("a time server set the clock: " + rfc3339(machine.wall().time));
    sim_.crash_soon();
  });
}

void FaultSchedule::step_clock(Draws& draws) {
  auto& machine = sim_.machine_;
  if (!machine.powered() || sim_.plan_.has_clock_battery) return;
  auto by = draws.any_span(kSecond, Seconds(kTenYearsSeconds));
  if (draws.percent(50)) by = -by;
  sim_.world_.count(machine.wall().trusted ? "clock step" : "clock step before trust");
  machine.step_wall(by);
  sim_.world_.note("the clock was stepped to " + rfc3339(machine.wall().time));
  wait_for_time_server(machine.boots(), draws.any_span(kSecond, sim_.plan_.faults.longest_untrusted));
}

void FaultSchedule::end_all() {
  DiskFaults::of_process() = {};
  sim_.network_.set_up(true);
  sim_.upstream_->set_storm(false, false);
  sim_.upstream_->set_credentials_valid(true);
  sim_.upstream_->end_refusals();
  sim_.crash_after_.reset();
  sim_.asleep_until_.reset();
  auto& machine = sim_.machine_;
  if (!machine.powered()) boot_device();
  machine.discipline();
  if (!machine.running()) sim_.start_again_in(kSecond);
}

}  // namespace meterd::sim
