// One trial: a device from its first start through some hundred commits, and at each system call that changes
// the disk the images that a power cut could leave, each opened by the real start and judged. Beside the
// journal runs its double, on a disk that never fails: it is always one commit ahead and says what the
// journal must hold, byte for byte, before and after the commit that is in flight.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "agent/base/log.hpp"
#include "agent/journal/committer.hpp"
#include "agent/journal/journal.hpp"
#include "tests/power/disk.hpp"
#include "tests/power/state.hpp"
#include "tests/power/workload.hpp"

namespace meterd::power {

enum class Verdict {
  fine,
  refused,  // it did not start
  lost,     // something acknowledged is not there
  doubled,  // something is there twice, or a usage under another id, date, quantity or request
  torn,     // a commit is there in part, or the journal does not go on
};
inline constexpr int kVerdicts = 5;
const char* name_of(Verdict verdict);

struct Counts {
  std::uint64_t trials = 0, commits = 0, points = 0, images = 0, migrations = 0;
  std::uint64_t by_verdict[kVerdicts] = {};
  std::uint64_t failures() const { return images - by_verdict[0]; }
  Counts& operator+=(const Counts& other);
};

struct TrialOptions {
  std::string directory;  // for this trial alone; in memory
  std::uint64_t seed = 1;
  int commits = 150;
  unsigned environment_flags = 0;           // a negative control
  bool in_child = false;                    // each image: a torn one may end the process
  std::optional<std::uint64_t> only_point;  // to replay: elsewhere nothing is judged
};

class Trial {
 public:
  // `counts` is written while the trial runs, so that who looks on knows where it is.
  Trial(TrialOptions options, Counts& counts, std::vector<std::string>& findings);
  ~Trial();
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;
  void run();

 private:
  struct Commit {
    std::vector<Act> acts;
    std::size_t answered = 0;
    State after;
  };
  struct Judgement {
    Verdict verdict = Verdict::fine;
    std::string why;
  };

  void first_start();
  void commit_some();
  void submit(const Act& act);
  void restart(bool new_boot);
  void set_format_back();
  void compare_with_double();
  void plan(std::vector<Act> acts);
  void answered();

  void on_call(const char* call);
  void judge_image(const char* call, Cut cut, Generator& random);
  Judgement judge(const Image& image, Generator& random);
  Judgement judge_in_child(const Image& image, Generator& random);
  Judgement judge_state(const journal::Journal& journal, bool new_boot) const;
  Judgement classify(const journal::Journal& journal, const State& found) const;
  Judgement go_on(std::unique_ptr<journal::Journal> journal, const journal::JournalOptions& options);
  Judgement do_again(journal::Journal& journal) const;
  journal::JournalOptions options_for(const std::string& directory) const;

  TrialOptions options_;
  Counts& counts_;
  std::vector<std::string>& findings_;
  Generator random_;
  Workload workload_;
  boost::asio::io_context loop_;
  NullLog log_;
  int boots_ = 1;
  std::uint64_t point_ = 0;
  Disk disk_;
  std::unique_ptr<journal::Journal> double_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<journal::Committer> committer_;
  std::optional<State> acknowledged_;  // nullopt: the first start has not ended
  std::deque<Commit> in_flight_;       // the first one may be on the disk, the others cannot
  std::pair<std::uint64_t, std::uint64_t> judged_surely_;
  std::unordered_set<std::size_t> history_;  // of acknowledged states, hashed
};

}  // namespace meterd::power
