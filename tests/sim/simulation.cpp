#include "tests/sim/simulation.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>

#include "agent/journal/read.hpp"
#include "tests/sim/disk_faults.hpp"
#include "tests/sim/fault_schedule.hpp"

namespace meterd::sim {

namespace asio = boost::asio;

namespace {
constexpr Milliseconds kSecond{1'000};
constexpr Milliseconds kCheckInterval{12 * 3'600'000};
constexpr std::int64_t kDriftSlackMs = 30'000;
constexpr Milliseconds kSlice{60'000};
constexpr Milliseconds kStartAgain{60'000};  // a start that was refused

app::Config config_in(app::Config config, const std::string& directory) {
  config.journal_directory = directory;
  return config;
}

std::unique_ptr<UpstreamModel> model_of(const Plan& plan, Draws draws) {
  if (plan.vendor == Vendor::chargebee) return std::make_unique<ChargebeeModel>(plan.upstream, draws);
  return std::make_unique<TwilioModel>(plan.twilio, draws);
}
}  // namespace

Simulation::Simulation(const Plan& plan, const std::string& directory)
    : plan_(plan),
      world_(plan.begin),
      draws_(Draws(plan.seed).fork("run")),
      upstream_(model_of(plan, draws_.fork("upstream"))),
      twilio_(dynamic_cast<const TwilioModel*>(upstream_.get())),
      network_(world_, *upstream_, plan.weather, draws_.fork("network")),
      machine_({world_, config_in(plan.config, directory), plan.seed, plan.drift_ppm,
                [this](Machine& machine) { return network_.client(machine); },
                [this](app::Surroundings& surroundings) {
                  for (auto& one : counted_) one->furnish(surroundings);
                }}),
      oracle_(plan.series),
      faults_(std::make_unique<FaultSchedule>(*this)),
      checked_at_(plan.begin) {
  DiskFaults::of_process() = {};
  make_counted();
  for (const auto& habits : plan.reporters) {
    Reporter::Dependencies dependencies{
        world_, machine_, oracle_, plan.kinds, [this] { return here(); }, [this] { crash_soon(); }};
    reporters_.push_back(
        std::make_unique<Reporter>(std::move(dependencies), habits, draws_.fork("reporter " + habits.name)));
  }
  for (const auto& habits : plan.callers) {
    Caller::Dependencies dependencies{world_, machine_, book_, [this] { crash_soon(); }};
    callers_.push_back(std::make_unique<Caller>(std::move(dependencies), habits, draws_.fork(habits.name)));
  }
  network_.on_exchange = [this](std::uint64_t number, const upstream::HttpRequest& request) {
    if (charges_) charges_->sent(number, request, machine_);
    crash_soon();
  };
  network_.on_known_end = [this](std::uint64_t number) {
    if (charges_) charges_->known(number);
  };
  if (twilio_ != nullptr) begin_charges();
  machine_.on_start = [this] {
    for (auto& reporter : reporters_) reporter->connect();
    for (auto& caller : callers_) caller->connect();
  };
  machine_.on_end = [this] {
    outcome_.commits += machine_.core().committer().stats().commits;
    for (auto& reporter : reporters_) reporter->disconnect();
    for (auto& caller : callers_) caller->disconnect();
  };
  machine_.lie_by(plan.time_server_error);
}

Simulation::~Simulation() { DiskFaults::of_process() = {}; }

Outcome Simulation::run() {
  faults_->boot_device();
  for (auto& reporter : reporters_) reporter->begin();
  for (auto& caller : callers_) caller->begin();
  for (auto& caller : charge_callers_) caller->begin();
  if (operator_) operator_->begin();
  for (auto& one : counted_) one->begin();
  faults_->begin();
  run_until(plan_.begin + plan_.length);
  world_.quieten();
  world_.note("the faults end");
  faults_->end_all();
  for (auto& reporter : reporters_) reporter->stop_making();
  for (auto& caller : callers_) caller->stop_making();
  for (auto& caller : charge_callers_) caller->stop_making();
  for (auto& one : counted_) one->stop_making();
  drain();
  read_end();
  outcome_.simulated = world_.now() - plan_.begin;
  outcome_.faults = world_.faults();
  outcome_.starts = machine_.starts();
  outcome_.exchanges = network_.exchanges();
  outcome_.vendor = plan_.vendor;
  outcome_.last_notes.assign(world_.notes().begin(), world_.notes().end());
  outcome_.log_hash = world_.notes_hash();
  return std::move(outcome_);
}

// Until `end`, or `enough` says so, or a promise is broken.
void Simulation::run_until(WallTime end, const std::function<bool()>& enough) {
  settle();
  while (world_.now() < end && outcome_.violations.empty() && !(enough && enough())) {
    WallTime next = end;
    if (const auto action = world_.next()) next = std::min(next, *action);
    if (const auto alarm = machine_.until_alarm(); alarm && !asleep_until_)
      next = std::min(next, world_.now() + *alarm);
    step_to(next);
    if (asleep_until_) continue;
    while (machine_.fire_alarm()) settle();
    note_health();
  }
}

void Simulation::step_to(WallTime next) {
  if (asleep_until_) {  // nothing of the device runs, and nobody on it
    const auto awake = *asleep_until_;
    asleep_until_.reset();
    machine_.sleep(awake - world_.now());
    oracle_.note_sleep(awake - world_.now());
    world_.pass(awake - world_.now());
    healthy_since_.reset();
    working_since_.reset();
  } else {
    machine_.pass(next - world_.now());
    world_.pass(next - world_.now());
  }
  while (!asleep_until_ && world_.run_next()) settle();
}

void Simulation::settle() {
  // Also when the clock is stepped again within the same instant: whoever ran between has dated by it.
  if (machine_.running() && machine_.wall().trusted) oracle_.note_trusted(machine_.boots(), world_.now());
  while (machine_.running() && machine_.run_handler()) {
    ++outcome_.handlers;
    after_handler();
  }
}

void Simulation::after_handler() {
  const auto& stats = machine_.core().committer().stats();
  if (stats.conservation_errors > 0) violate("conservation broken");
  if (machine_.fatal()) {
    world_.count("EIO, process ended");
    return end_process("EIO: " + machine_.fatal()->message);
  }
  if (crash_after_ && --*crash_after_ <= 0) {
    world_.count("crash");
    end_process("SIGKILL");
  }
}

void Simulation::end_process(const std::string& why) {
  crash_after_.reset();
  if (!machine_.running()) return;
  world_.note("the process ends: " + why);
  const auto window = plan_.config.commit_interval + machine_.core().batcher().stuck_for() + kSecond;
  oracle_.note_end_of_process(machine_.boot(), window);
  healthy_since_.reset();
  working_since_.reset();
  machine_.kill();
  start_again_in(draws_.any_span(Milliseconds(100), 20 * kSecond));
}

// SIGTERM: loses nothing, unless the disk refuses.
void Simulation::stop_politely() {
  if (!machine_.running() || stopping_) return;
  stopping_ = true;
  world_.count("polite restart");
  world_.note("SIGTERM");
  const auto number = machine_.starts();
  asio::co_spawn(machine_.loop(), machine_.core().stop(5 * kSecond),
                 [this, number](const std::exception_ptr&, bool) {
                   // Not from inside of its own handler.
                   world_.in(Milliseconds(0), [this, number] {
                     stopping_ = false;
                     if (!machine_.running() || machine_.starts() != number) return;
                     const bool all = !machine_.core().batcher().holds_uncommitted();
                     world_.note(all ? "stopped" : "stopped with uncommitted events");
                     if (all) oracle_.note_end_of_process(machine_.boot(), Milliseconds(-1));
                     end_process("stopped");
                   });
                 });
}

void Simulation::start_again_in(Milliseconds wait) {
  if (std::exchange(start_planned_, true)) return;
  world_.in(wait, [this] {
    start_planned_ = false;
    start_process();
  });
}

void Simulation::start_process() {
  if (!machine_.powered() || machine_.running()) return;
  stopping_ = false;
  const auto& disk = DiskFaults::of_process();
  const auto faults_before = disk.broken + disk.refused;
  const bool cramped = disk.room != DiskFaults::Room::enough;
  const Status started = machine_.start();
  if (started) {
    world_.note("started");
    return;
  }
  ++outcome_.starts_refused;
  world_.note("start refused: " + started.error().message);
  if (!cramped && disk.broken + disk.refused == faults_before)
    violate("does not start: " + started.error().message);
  start_again_in(kStartAgain);
}

// Something is under way: die within the next few handlers, now and then.
void Simulation::crash_soon() {
  if (world_.quiet() || crash_after_ || !draws_.percent(plan_.faults.crash_at_work_percent)) return;
  crash_after_ = draws_.between(1, 30);
}

Place Simulation::here() const {
  const auto now = world_.now();
  const auto wall = machine_.wall();
  Place place{now, now, now, !wall.trusted, machine_.boots()};
  if (!wall.trusted) {
    place.first = now - kSlice - Milliseconds(kDriftSlackMs);
    place.last = now + Milliseconds(kDriftSlackMs);
  } else if (const auto off = (wall.time - now).count(); off > -kDriftSlackMs && off < kDriftSlackMs) {
    place.first = std::min(now, wall.time);
    place.last = std::max(now, wall.time);
  }
  return place;
}

// Since when the device could commit and date what it counts, without anything in the way.
void Simulation::note_health() {
  const auto enough = plan_.config.commit_interval + 10 * kSecond;
  const bool works = machine_.running() && DiskFaults::of_process().room == DiskFaults::Room::enough &&
                     machine_.core().batcher().stuck_for() == Milliseconds(0);
  if (!works) working_since_.reset();
  if (works && !working_since_) working_since_ = world_.now();
  const bool dates = works && machine_.wall().trusted;
  if (!dates) healthy_since_.reset();
  if (dates && !healthy_since_) healthy_since_ = world_.now();
  if (dates && world_.now() - *healthy_since_ > enough) oracle_.note_settled(machine_.boots(), world_.now());
  for (auto& one : counted_) one->look(works ? world_.now() - *working_since_ : Milliseconds(0));
  if (charges_)
    for (const auto& problem : charges_->look()) violate(problem);
  if (works && world_.now() - checked_at_ > kCheckInterval) check_journal("while running");
}

void Simulation::check_journal(const std::string& when) {
  checked_at_ = world_.now();
  auto report = journal::check_journal(machine_.journal());
  if (!report) return violate("the journal cannot be checked: " + report.error().message);
  for (const auto& problem : report->problems) violate("verify, " + when + ": " + problem);
  if (charges_) compare_charges(when);
}

void Simulation::violate(const std::string& what) {
  if (outcome_.violations.size() < 20) outcome_.violations.push_back(what);
  world_.note("VIOLATION: " + what);
}

}  // namespace meterd::sim
