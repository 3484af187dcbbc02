// One run: a device, those who report to it and its upstream, for some days, with everything that goes wrong;
// then all faults end, the clock is right, everything is sealed and delivered, and the oracle compares the
// bill with what was acknowledged. The same plan gives the same run, handler by handler.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/charge_book.hpp"
#include "tests/sim/counted.hpp"
#include "tests/sim/machine.hpp"
#include "tests/sim/operator.hpp"
#include "tests/sim/oracle.hpp"
#include "tests/sim/plan.hpp"
#include "tests/sim/usage_book.hpp"
#include "tests/sim/world.hpp"

namespace meterd::sim {

struct Outcome {
  Oracle::Verdict verdict;
  std::vector<std::string> violations;  // broken promises; empty: all were kept
  std::vector<std::string> last_notes;  // of the log
  std::uint64_t log_hash = 0;
  std::map<std::string, std::uint64_t> faults;
  std::uint64_t handlers = 0, starts = 0, starts_refused = 0, exchanges = 0, commits = 0, usages = 0,
                parked = 0;
  std::uint64_t created_by_callers = 0, deleted_by_callers = 0, refused_deletions = 0, requests_repeated = 0;
  Milliseconds simulated{};
  Vendor vendor = Vendor::chargebee;
  ChargeBook::Sums charges;                         // of Twilio's
  std::map<std::string, std::uint64_t> of_sources;  // units billed, by kind
  std::uint64_t gaps_shown = 0;
  std::uint64_t items_left_out = 0, resolved = 0, charged_by_callers = 0;
};

class FaultSchedule;

class Simulation {
 public:
  // `directory`: for the journal; empty and the caller's.
  Simulation(const Plan& plan, const std::string& directory);
  ~Simulation();
  void keep_whole_log() { world_.keep_all_notes(); }
  Outcome run();

 private:
  friend class FaultSchedule;
  void run_until(WallTime end, const std::function<bool()>& enough = {});
  void settle();
  void after_handler();
  void step_to(WallTime next);
  void note_health();
  void start_process();
  void start_again_in(Milliseconds wait);
  void end_process(const std::string& why);
  void stop_politely();
  void crash_soon();
  Place here() const;
  void drain();
  bool all_answered() const;
  void read_end();
  void read_undated(Oracle::Seen& seen);
  void read_outbox(Oracle::Seen& seen);
  void make_counted();
  void judge_counted(const Oracle::Seen& seen);
  bool is_crowded_out(const journal::UsageRecord& record) const;
  void judge_callers(Oracle::Seen& seen);
  void begin_charges();
  void read_charges(Oracle::Seen& seen);
  void compare_charges(const std::string& when);
  std::int64_t thousandths_of(const Quantity& quantity);
  void check_journal(const std::string& when);
  bool is_delivered();
  void seal_all();
  void violate(const std::string& what);

  Plan plan_;
  World world_;
  Draws draws_;
  std::unique_ptr<UpstreamModel> upstream_;
  const TwilioModel* twilio_ = nullptr;  // the upstream, if it is one
  Network network_;
  std::vector<std::unique_ptr<Counted>> counted_;  // outlive the process that counts them
  Machine machine_;
  Oracle oracle_;
  UsageBook book_;
  std::vector<std::unique_ptr<Reporter>> reporters_;
  std::vector<std::unique_ptr<Caller>> callers_;
  std::unique_ptr<ChargeBook> charges_;  // Twilio's only, as the next two
  std::unique_ptr<Operator> operator_;
  std::vector<std::unique_ptr<ChargeCaller>> charge_callers_;
  std::set<std::string> kept_;               // ids whose deletion the upstream refused for good
  std::set<std::string> crowded_out_;        // ids that ran out of dates, as others took them all
  std::optional<std::int64_t> crash_after_;  // handlers
  std::optional<WallTime> healthy_since_;    // at work, with a clock that dates
  std::optional<WallTime> working_since_;
  bool start_planned_ = false;
  bool stopping_ = false;
  std::unique_ptr<FaultSchedule> faults_;
  std::optional<WallTime> asleep_until_;  // suspended from now on
  WallTime checked_at_;
  Outcome outcome_;
};

}  // namespace meterd::sim
