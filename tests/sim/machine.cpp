#include "tests/sim/machine.hpp"

namespace meterd::sim {

namespace asio = boost::asio;

Machine::Machine(Dependencies dependencies)
    : deps_(std::move(dependencies)), log_(deps_.world), random_(deps_.seed) {}

Machine::~Machine() { process_ = nullptr; }

Machine::Process::~Process() {
  core.reset();  // its alarms stand on the loop
  journal.reset();
  loop.reset();  // and with it every coroutine
}

void Machine::NotedLog::write(Level level, const std::string& line) {
  if (level == Level::error || level == Level::warning) world_.note("meterd: " + line);
}

void Machine::power_on(WallTime wall, bool disciplined) {
  check(!powered_, "a device is switched on once");
  powered_ = true;
  ++boots_;
  boot_id_ = "boot-" + std::to_string(boots_);
  boot_ = BootTime{Milliseconds(5'000)};
  wall_ = disciplined ? deps_.world.now() + lie_ : wall;
  disciplined_ = disciplined;
  trusted_ = false;
  deps_.world.note("power on, " + boot_id_ + ", wall clock " + rfc3339(wall_) +
                   (disciplined ? ", right" : ""));
}

void Machine::power_off() {
  kill();
  powered_ = false;
  trusted_ = false;
  links.links.clear();
  deps_.world.note("power off");
}

Status Machine::start() {
  check(powered_ && process_ == nullptr, "a process starts once, on a device that has power");
  auto process = std::make_unique<Process>();
  process->loop = std::make_unique<asio::io_context>(1);
  process->clock = std::make_unique<platform::FakeClock>(*process->loop);
  journal::JournalOptions options{deps_.config.journal_directory, deps_.config.journal_size_max,
                                  deps_.config.journal_reserve, boot_id_, wall_};
  // A child for each of so many starts would be a tenth of the whole run.
  options.file_check = journal::FileCheck::here;
  auto opened = journal::Journal::open(options, disk_, random_);
  if (!opened) return opened.error();
  process->journal = std::move(*opened);
  latch_.emplace(process->journal->trusted_offset_at_open());
  not_before_ = process->journal->last_trusted_at_open();
  process_ = std::move(process);
  process_->clock->set_boot_id(boot_id_);
  judge_trust();
  process_->clock->set_boot(boot_);
  process_->clock->set_wall(wall_);
  app::Surroundings surroundings{process_->loop->get_executor(),
                                 process_->loop->get_executor(),
                                 process_->loop->get_executor(),
                                 *process_->clock,
                                 random_,
                                 links,
                                 log_,
                                 [this](const app::UpstreamConfig&) { return deps_.make_client(*this); },
                                 [this](const Error& error) { fatal_ = error; }};
  deps_.furnish(surroundings);
  auto made = app::Core::make(deps_.config, *process_->journal, surroundings);
  if (!made) {
    process_ = nullptr;
    return made.error();
  }
  process_->core = std::move(*made);
  fatal_.reset();
  ++starts_;
  process_->core->start();
  on_start();
  return {};
}

void Machine::kill() {
  if (!running()) return;
  on_end();
  process_ = nullptr;
  fatal_.reset();
  trusted_ = false;
}

bool Machine::run_handler() {
  auto& loop = *process_->loop;
  if (loop.stopped()) loop.restart();
  return loop.poll_one() > 0;
}

Milliseconds Machine::device_time(Milliseconds true_time) {
  if (disciplined_) return true_time;
  drift_rest_ += true_time.count() * deps_.drift_ppm;
  const auto drifted = drift_rest_ / 1'000'000;
  drift_rest_ -= drifted * 1'000'000;
  return std::max(Milliseconds(0), true_time + Milliseconds(drifted));
}

void Machine::pass(Milliseconds true_time) {
  if (!powered_) return;
  const auto by = device_time(true_time);
  boot_ = boot_ + by;
  wall_ = wall_ + by;
  if (running()) process_->clock->pass(by);
}

void Machine::sleep(Milliseconds true_time) {
  if (!powered_) return;
  boot_ = boot_ + true_time;
  wall_ = wall_ + true_time;
  if (running()) process_->clock->suspend(true_time);
}

std::optional<Milliseconds> Machine::until_alarm() const {
  if (!running()) return std::nullopt;
  const auto next = process_->clock->next_alarm();
  if (!next) return std::nullopt;
  return std::max(Milliseconds(0), *next - boot_);
}

bool Machine::fire_alarm() { return running() && process_->clock->fire_next(); }

// As platform/linux/clock.cpp does it at each reading; here whenever something of it changes.
void Machine::judge_trust() {
  if (!running()) return;
  trusted_ = latch_->trusts(disciplined_ && wall_ >= not_before_, wall_, boot_);
  process_->clock->set_trusted(trusted_);
  process_->clock->set_wall(wall_);
}

void Machine::step_wall(Milliseconds by) {
  wall_ = wall_ + by;
  disciplined_ = false;
  judge_trust();
}

void Machine::discipline() {
  wall_ = deps_.world.now() + lie_;
  disciplined_ = true;
  judge_trust();
}

void Machine::lose_discipline() {
  judge_trust();
  disciplined_ = false;
  judge_trust();
}

}  // namespace meterd::sim
