#include "tests/power/campaign.hpp"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <iomanip>
#include <map>
#include <new>
#include <ostream>
#include <stdexcept>

#include "tests/journal/fakes.hpp"

namespace meterd::power {
namespace {

constexpr std::size_t kFindingsMax = 20;
constexpr std::size_t kTextMax = 16'384;

// What the processes share.
struct Job {
  Counts counts;
  std::uint64_t seed = 0;  // of the trial that runs
  std::size_t text_size = 0;
  char text[kTextMax] = {};  // findings and the error, a line each
};
struct Board {
  std::atomic<std::uint64_t> next_seed{0};
  std::atomic<std::uint64_t> points{0};
  Job jobs[64];
};

class SharedBoard {
 public:
  SharedBoard() {
    void* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no shared memory");
    board_ = new (memory) Board;
  }
  ~SharedBoard() { munmap(board_, sizeof(Board)); }
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;
  Board* operator->() const { return board_; }

 private:
  Board* board_ = nullptr;
};

void note(Job& job, const std::string& line) {
  const auto room = kTextMax - job.text_size;
  if (line.size() + 1 > room) return;
  std::memcpy(job.text + job.text_size, line.data(), line.size());
  job.text[job.text_size + line.size()] = '\n';
  job.text_size += line.size() + 1;
}

TrialOptions trial_options(const CampaignOptions& options, const std::string& directory, std::uint64_t seed) {
  TrialOptions out;
  out.directory = directory;
  out.seed = seed;
  out.commits = options.commits;
  out.environment_flags = options.environment_flags;
  out.in_child = options.in_child;
  return out;
}

// LMDB asks for two megabytes of zeros at each start: cheaper as fresh pages than cleared anew.
constexpr int kMapAbove = 256 << 10;

void work(const CampaignOptions& options, SharedBoard& board, Job& job) {
  mallopt(M_MMAP_THRESHOLD, kMapAbove);
  const journal::TempDirectory directory;
  while (board->points < options.points) {
    job.seed = board->next_seed++;
    std::vector<std::string> findings;
    const auto before = job.counts.points;
    try {
      Trial(trial_options(options, directory / "trial", job.seed), job.counts, findings).run();
    } catch (const std::exception& failed) {
      note(job, "error: seed " + std::to_string(job.seed) + ": " + failed.what());
      return;
    }
    board->points += job.counts.points - before;
    for (const auto& finding : findings) note(job, finding);
  }
}

pid_t start(const CampaignOptions& options, SharedBoard& board, Job& job) {
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child != 0) return child;
  work(options, board, job);
  _exit(0);
}

void read_text(const Job& job, Outcome& outcome) {
  std::string_view text(job.text, job.text_size);
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string line(text.substr(0, end));
    if (line.starts_with("error: "))
      outcome.error = line.substr(7);
    else if (outcome.findings.size() < kFindingsMax)
      outcome.findings.push_back(line);
    text.remove_prefix(end + 1);
  }
}

}  // namespace

Outcome run_campaign(const CampaignOptions& options) {
  SharedBoard board;
  board->next_seed = options.seed;
  std::map<pid_t, Job*> running;
  const auto jobs = std::clamp(options.jobs, 1U, 64U);
  for (unsigned i = 0; i < jobs; ++i) running[start(options, board, board->jobs[i])] = &board->jobs[i];
  while (!running.empty()) {
    int ended = 0;
    const pid_t child = waitpid(running.begin()->first, &ended, 0);
    Job* job = running.begin()->second;
    running.erase(running.begin());
    if (child < 0 || (WIFEXITED(ended) && WEXITSTATUS(ended) == 0)) continue;
    ++job->counts.images;
    ++job->counts.by_verdict[static_cast<int>(Verdict::torn)];
    note(*job, "torn: the start crashed; replay: --seed " + std::to_string(job->seed));
    running[start(options, board, *job)] = job;
  }
  Outcome outcome;
  for (unsigned i = 0; i < jobs; ++i) {
    outcome.counts += board->jobs[i].counts;
    read_text(board->jobs[i], outcome);
  }
  return outcome;
}

Outcome replay(const CampaignOptions& options, std::uint64_t point) {
  const journal::TempDirectory directory;
  Outcome outcome;
  auto trial = trial_options(options, directory / "trial", options.seed);
  trial.only_point = point;
  try {
    Trial(trial, outcome.counts, outcome.findings).run();
  } catch (const std::exception& failed) {
    outcome.error = failed.what();
  }
  return outcome;
}

void print(std::ostream& out, const Outcome& outcome, std::int64_t milliseconds) {
  const auto& c = outcome.counts;
  const auto row = [&](const char* name, std::uint64_t value) {
    out << std::left << std::setw(24) << name << std::right << std::setw(12) << value << "\n";
  };
  row("trials", c.trials);
  row("commits acknowledged", c.commits);
  row("cut points", c.points);
  row("images opened", c.images);
  row("formats migrated", c.migrations);
  row("starts refused", c.by_verdict[static_cast<int>(Verdict::refused)]);
  row("lost", c.by_verdict[static_cast<int>(Verdict::lost)]);
  row("doubled", c.by_verdict[static_cast<int>(Verdict::doubled)]);
  row("torn", c.by_verdict[static_cast<int>(Verdict::torn)]);
  row("seconds", static_cast<std::uint64_t>(milliseconds) / 1'000);
  row("cut points a second",
      c.points * 1'000 / std::max<std::uint64_t>(1, static_cast<std::uint64_t>(milliseconds)));
  for (const auto& finding : outcome.findings) out << finding << "\n";
  if (!outcome.error.empty()) out << "the tool failed: " << outcome.error << "\n";
}

}  // namespace meterd::power
