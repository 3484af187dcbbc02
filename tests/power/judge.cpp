// The judgement of one image (trial.hpp): it must start, hold what was acknowledged and at most the commit in
// flight, and go on from there.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "tests/journal/fakes.hpp"
#include "tests/power/trial.hpp"

namespace meterd::power {

using journal::Journal;

namespace {

// A start on the image must not take the journal's own random bytes for its epoch by chance.
constexpr std::uint64_t kOtherRandom = 7;

template <class T>
std::string message_of(const Result<T>& result) {
  return result.ok() ? std::string() : result.error().message;
}

}  // namespace

const char* name_of(Verdict verdict) {
  constexpr const char* kNames[kVerdicts] = {"fine", "refused", "lost", "doubled", "torn"};
  return kNames[static_cast<int>(verdict)];
}

void Trial::on_call(const char* call) {
  ++point_;
  ++counts_.points;
  if (options_.only_point && *options_.only_point != point_) return;
  Generator random(options_.seed * 1'000'003 + point_);
  // What is surely there stays the same until the next sync: it is judged once for each state to compare
  // with.
  const std::pair<std::uint64_t, std::uint64_t> surely{disk_.sync_epoch(),
                                                       counts_.commits + in_flight_.size()};
  const int first = std::exchange(judged_surely_, surely) == surely && !options_.only_point ? 1 : 0;
  for (int cut = first; cut < kCuts; ++cut) judge_image(call, static_cast<Cut>(cut), random);
  judge_image(call, Cut::subset, random);
}

void Trial::judge_image(const char* call, Cut cut, Generator& random) {
  const Image image = disk_.image(cut, random);
  const auto judged = options_.in_child ? judge_in_child(image, random) : judge(image, random);
  ++counts_.images;
  ++counts_.by_verdict[static_cast<int>(judged.verdict)];
  if (judged.verdict == Verdict::fine) return;
  findings_.push_back(std::string(name_of(judged.verdict)) + " at " + call + ", image " + name_of(cut) +
                      ": " + judged.why + "; replay: --seed " + std::to_string(options_.seed) + " --point " +
                      std::to_string(point_));
}

// The child tells by its exit code; if it cannot even end, it read what nobody wrote.
Trial::Judgement Trial::judge_in_child(const Image& image, Generator& random) {
  const pid_t child = fork();
  if (child == 0) {
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);  // what LMDB says as it falls
    if (nowhere >= 0) ::dup2(nowhere, STDERR_FILENO);
    _exit(static_cast<int>(judge(image, random).verdict));
  }
  int ended = 0;
  if (child < 0 || waitpid(child, &ended, 0) != child) return {Verdict::torn, "no child process"};
  if (WIFEXITED(ended) && WEXITSTATUS(ended) < kVerdicts)
    return {static_cast<Verdict>(WEXITSTATUS(ended)), "judged in a child"};
  return {Verdict::torn, "the start crashed"};
}

Trial::Judgement Trial::judge(const Image& image, Generator& random) {
  const auto directory = options_.directory + "/image";
  put_on_disk(image, directory);
  auto options = options_for(directory);
  const bool new_boot = below(random, 3) == 0;
  if (new_boot) options.boot_id = "after the cut";
  journal::FakeDisk suits;
  journal::FakeRandom other;
  other.asked = kOtherRandom;
  auto journal = Journal::open(options, suits, other);
  if (!journal) return {Verdict::refused, journal.error().message};
  if (auto judged = judge_state(**journal, new_boot); judged.verdict != Verdict::fine) return judged;
  return go_on(std::move(*journal), options);
}

Trial::Judgement Trial::judge_state(const Journal& journal, bool new_boot) const {
  auto report = journal::check_journal(journal);
  if (!report) return {Verdict::torn, report.error().message};
  if (!report->problems.empty()) return {Verdict::torn, report->problems.front()};
  if (!acknowledged_) {
    auto fresh = is_fresh(journal);
    return fresh.ok() && *fresh ? Judgement{}
                                : Judgement{Verdict::torn, "a first start left more than a stamp"};
  }
  auto again = asked_again(journal);
  if (!again) return {Verdict::torn, again.error().message};
  if (!again->empty()) return {Verdict::doubled, "what may be billed already would be sent again: " + *again};
  auto found = read_state(journal);
  if (!found) return {Verdict::torn, found.error().message};
  const auto same = [&](const State& wanted) {
    return new_boot ? found->lasting == wanted.lasting : found->records == wanted.records;
  };
  if (same(*acknowledged_) || (!in_flight_.empty() && same(in_flight_.front().after))) return {};
  // A new boot that was cut off while it opened: the same boot then writes its number once more.
  if (!in_flight_.empty() && in_flight_.front().acts.empty() && found->lasting == acknowledged_->lasting)
    return {};
  return classify(journal, *found);
}

Trial::Judgement Trial::classify(const Journal& journal, const State& found) const {
  if (auto fresh = is_fresh(journal); fresh.ok() && *fresh) return {Verdict::lost, "everything is gone"};
  if (history_.contains(std::hash<std::string>{}(found.lasting)))
    return {Verdict::lost, "an acknowledged commit is not there"};
  auto sum = counted(journal);
  auto wanted = counted(*double_);
  if (sum.ok() && wanted.ok() && *wanted < *sum) return {Verdict::doubled, "more was counted than was given"};
  auto there = identities(journal);
  auto ours = identities(*double_);
  if (there.ok() && ours.ok() && *there != *ours)
    return {Verdict::doubled, "usages are not those that were sealed"};
  return {Verdict::torn, "neither before nor after the commit in flight"};
}

// Whoever was not answered reports again, the rest of the commit is done, something is counted and sealed on
// top, and the next start finds all of it.
Trial::Judgement Trial::go_on(std::unique_ptr<Journal> journal, const journal::JournalOptions& options) {
  if (auto judged = do_again(*journal); judged.verdict != Verdict::fine) return judged;
  {
    auto txn = journal->begin_write();
    if (!txn) return {Verdict::torn, txn.error().message};
    journal::WriteTransaction write(std::move(*txn), &journal->remembered_ids());
    const meter::BucketKey bucket{UsageDay(20'000),
                                  {UpstreamName("billing"), SubscriptionId("s"), ItemPriceId("i")}};
    auto added = write.add(bucket, {*Quantity::parse("1"), 1}, {WallTime::from_seconds(1), 1, "UTC"});
    if (!added) return {Verdict::torn, added.error().message};
    if (auto sealed = seal_all(*journal, write); !sealed) return {Verdict::torn, sealed.error().message};
    if (auto committed = write.commit(); !committed) return {Verdict::torn, committed.error().message};
  }
  auto before = read_state(*journal);
  journal.reset();
  journal::FakeDisk suits;
  journal::FakeRandom other;
  auto again = Journal::open(options, suits, other);
  if (!again) return {Verdict::refused, "at the start after the next: " + again.error().message};
  auto after = read_state(**again);
  if (!before || !after || *before != *after)
    return {Verdict::torn, "what was counted after the cut did not stay"};
  auto report = journal::check_journal(**again);
  if (!report || !report->problems.empty())
    return {Verdict::torn,
            "after going on: " + (report.ok() ? report->problems.front() : message_of(report))};
  return {};
}

Trial::Judgement Trial::do_again(Journal& journal) const {
  if (!acknowledged_ || in_flight_.empty() || in_flight_.front().acts.empty()) return {};
  const auto& commit = in_flight_.front();
  auto found = read_state(journal);
  if (!found) return {Verdict::torn, found.error().message};
  const bool there = found->lasting == commit.after.lasting;
  {
    auto txn = journal.begin_write();
    if (!txn) return {Verdict::torn, txn.error().message};
    journal::WriteTransaction write(std::move(*txn), &journal.remembered_ids());
    for (const auto& act : commit.acts) {
      if (there && !act.is_report) continue;
      if (auto s = act.run(journal, write); !s)
        return {Verdict::torn, "doing it again: " + s.error().message};
    }
    if (auto s = write.commit(); !s) return {Verdict::torn, "doing it again: " + s.error().message};
  }
  auto after = read_state(journal);
  if (!after) return {Verdict::torn, after.error().message};
  if (after->lasting != commit.after.lasting)
    return {Verdict::doubled, "repeating the reports in flight does not give what they give once"};
  return {};
}

}  // namespace meterd::power
