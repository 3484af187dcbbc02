#include "tests/power/trial.hpp"

#include <filesystem>
#include <stdexcept>

#include "agent/journal/records.hpp"
#include "tests/journal/fakes.hpp"

namespace meterd::power {

using journal::Journal;

namespace {

constexpr std::uint64_t kMapBytes = 4 << 20;
constexpr std::uint64_t kReserveBytes = 64 << 10;

template <class T>
T must(Result<T> result, const char* doing) {
  if (!result) throw std::runtime_error(std::string(doing) + ": " + result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

Status run_all(const Journal& journal, journal::WriteTransaction& write, const std::vector<Act>& acts) {
  for (const auto& act : acts)
    if (auto s = act.run(journal, write); !s) return s;
  return {};
}

}  // namespace

Counts& Counts::operator+=(const Counts& other) {
  trials += other.trials;
  commits += other.commits;
  points += other.points;
  images += other.images;
  migrations += other.migrations;
  for (int i = 0; i < kVerdicts; ++i) by_verdict[i] += other.by_verdict[i];
  return *this;
}

Trial::Trial(TrialOptions options, Counts& counts, std::vector<std::string>& findings)
    : options_(std::move(options)),
      counts_(counts),
      findings_(findings),
      random_(options_.seed),
      workload_(options_.seed, options_.seed % 2 == 0 ? Marketplace::asked_once : Marketplace::idempotent),
      disk_(options_.directory + "/journal", [this](const char* call) { on_call(call); }) {}

Trial::~Trial() {
  observe(nullptr);
  committer_.reset();
  journal_.reset();
  double_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(options_.directory, ignored);
}

journal::JournalOptions Trial::options_for(const std::string& directory) const {
  return {directory, kMapBytes, kReserveBytes, "boot-" + std::to_string(boots_),
          WallTime::from_seconds(1'795'305'600)};
}

void Trial::run() {
  ++counts_.trials;
  first_start();
  for (int i = 0; i < options_.commits; ++i) {
    commit_some();
    const auto chance = below(random_, 40);
    if (chance < 3) restart(chance == 0);
    if (chance == 3) must(journal_->keep_reserve(), "reserve");
  }
  const Unobserved own;
  if (must(counted(*double_), "count") != workload_.given())
    throw std::runtime_error("the double did not count what was given");
}

void Trial::first_start() {
  journal::FakeDisk suits;
  journal::FakeRandom of_double;
  double_ = must(Journal::open(options_for(options_.directory + "/double"), suits, of_double), "double");
  std::filesystem::create_directories(options_.directory);
  observe(&disk_, options_.environment_flags);
  journal::FakeRandom random;
  journal_ = must(Journal::open(options_for(options_.directory + "/journal"), suits, random), "journal");
  const Unobserved own;
  acknowledged_ = must(read_state(*double_), "read");
  compare_with_double();
  committer_ = std::make_unique<journal::Committer>(
      *journal_, journal::Committer::Executors{loop_.get_executor(), loop_.get_executor()}, log_,
      [](const Error& error) { throw std::runtime_error(error.message); });
}

// As many acts as are submitted while a commit runs share the next one: the first has its own.
void Trial::commit_some() {
  std::vector<Act> acts = workload_.next(*double_);
  plan({acts.front()});
  if (acts.size() > 1) plan({acts.begin() + 1, acts.end()});
  for (const auto& act : acts) submit(act);
  loop_.restart();
  loop_.run();
  compare_with_double();
}

void Trial::submit(const Act& act) {
  committer_->submit([this, act](journal::WriteTransaction& write) { return act.run(*journal_, write); },
                     [this](const Status& status) {
                       must(status, "commit");
                       answered();
                     });
}

void Trial::plan(std::vector<Act> acts) {
  const Unobserved own;
  Commit commit;
  {
    journal::WriteTransaction write(must(double_->begin_write(), "begin"), &double_->remembered_ids());
    must(run_all(*double_, write, acts), "act");
    must(write.commit(), "commit");
  }
  commit.acts = std::move(acts);
  commit.after = must(read_state(*double_), "read");
  in_flight_.push_back(std::move(commit));
}

void Trial::answered() {
  auto& commit = in_flight_.front();
  if (++commit.answered < commit.acts.size()) return;
  ++counts_.commits;
  history_.insert(std::hash<std::string>{}(acknowledged_->lasting));
  acknowledged_ = std::move(commit.after);
  in_flight_.pop_front();
}

// As a meterd of an earlier format would have left it: whoever opens it from here on migrates it, and finds
// what it held.
void Trial::set_format_back() {
  auto txn = must(journal_->begin_write(), "begin");
  auto stamp = must(journal::load<journal::v0::Stamp>(txn, journal::stamp_key()), "stamp").value();
  stamp.set_format(0);
  stamp.clear_needs();
  must(journal::store(txn, journal::stamp_key(), stamp), "stamp");
  must(txn.commit(), "commit");
}

void Trial::restart(bool new_boot) {
  if (new_boot) {
    ++boots_;
    workload_.next_boot();
  }
  journal::FakeDisk suits;
  journal::FakeRandom random;
  {
    const Unobserved own;
    double_.reset();
    double_ = must(Journal::open(options_for(options_.directory + "/double"), suits, random), "double");
    in_flight_.push_back({{}, 0, must(read_state(*double_), "read")});
  }
  committer_.reset();
  if (below(random_, 2) == 0) set_format_back();
  journal_.reset();
  journal_ = must(Journal::open(options_for(options_.directory + "/journal"), suits, random), "journal");
  counts_.migrations += journal_->migrated_from() ? 1 : 0;
  acknowledged_ = std::move(in_flight_.front().after);
  in_flight_.pop_front();
  committer_ = std::make_unique<journal::Committer>(
      *journal_, journal::Committer::Executors{loop_.get_executor(), loop_.get_executor()}, log_,
      [](const Error& error) { throw std::runtime_error(error.message); });
  compare_with_double();
}

void Trial::compare_with_double() {
  const Unobserved own;
  if (!in_flight_.empty()) throw std::runtime_error("not every commit was answered");
  if (must(read_state(*journal_), "read") != *acknowledged_)
    throw std::runtime_error("the journal and its double differ without any power cut");
}

}  // namespace meterd::power
