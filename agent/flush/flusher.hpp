// The flusher: one coroutine per upstream. It holds no state: attempts, next times and pauses live in the
// journal. A round: commit the intents of what is due, send, commit what the answers mean. A crash anywhere
// repeats at most a request that the upstream recognises by key and id.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "agent/base/histogram.hpp"
#include "agent/base/limits.hpp"
#include "agent/base/log.hpp"
#include "agent/flush/policy.hpp"
#include "agent/flush/sealer.hpp"
#include "platform/random.hpp"

namespace meterd::flush {

struct FlushStats {  // since the process started; loop thread
  std::uint64_t attempts = 0;
  std::uint64_t delivered = 0;
  std::uint64_t read_backs = 0;
  std::uint64_t superseded = 0;
  std::uint64_t parked = 0;
  std::uint64_t held = 0;     // in doubt
  std::uint64_t retries = 0;  // usages put back to be sent, or looked for, again
  Histogram exchange;         // from a request's start to its answer or failure, read-backs included
};

class Flusher {
 public:
  struct Dependencies {
    std::shared_ptr<const SealContext> context;
    Target target;
    std::unique_ptr<upstream::HttpClient> client;
    const journal::Journal& journal;
    journal::Committer& committer;
    boost::asio::any_io_executor reader;
    platform::Clock& clock;
    platform::Random& random;
    Log& log;
  };
  // `so_far`: what a flusher of this upstream did before.
  explicit Flusher(Dependencies dependencies, const FlushStats& so_far = {});

  boost::asio::awaitable<void> run();  // until stop(); ends after the exchange in flight and its commit
  void stop();
  void wake() { alarm_->notify(); }
  void abandon() { deps_.client->close(); }  // cuts the exchange in flight: it ends as a transport error

  const FlushStats& stats() const { return stats_; }
  const UpstreamName& name() const { return deps_.target.name; }
  // In doubt in the journal, and in truth on their way: the usages of the request that is not answered yet,
  // at an upstream that can be asked only once.
  const std::set<std::uint64_t>& sending() const { return sending_; }

 private:
  static constexpr Milliseconds kJournalRetry{1'000};
  // What one usage's exchange came to, ready to be committed.
  // What a declared policy decided in one transaction, for the audit.
  struct Decided {
    std::size_t usages = 0;
    std::string which;  // the first of them
  };
  struct Settled {
    std::uint64_t sequence = 0;
    journal::UsageRecord record;
    bool sent = false;
    bool repaired = false;  // its records were unreadable once
    Decision decision;
    std::string detail;        // last_error, or the receipt
    std::string_view outcome;  // for the log: a detail may quote the vendor
  };
  boost::asio::awaitable<Milliseconds> round();
  boost::asio::awaitable<upstream::Exchange> exchange(const upstream::HttpRequest& request, bool idempotent);
  boost::asio::awaitable<std::vector<Settled>> attempt(std::span<const journal::StoredUsage> group,
                                                       std::uint32_t failures);
  boost::asio::awaitable<void> look_up(Settled& one, const meter::Usage& usage,
                                       const upstream::Verdict& refusal, const PolicyInput& input);
  boost::asio::awaitable<void> decide_leftovers();
  Status hold(journal::WriteTransaction& txn, std::uint64_t sequence, const journal::UsageRecord& record,
              const std::string& seen, const journal::Due& again, const journal::Moment& now,
              Decided& decided) const;
  Status note_decisions(journal::WriteTransaction& txn, const Decided& decided,
                        const journal::Moment& now) const;
  std::vector<Settled> park_foreign(std::span<const journal::StoredUsage> group,
                                    const std::vector<upstream::HttpRequest>& requests) const;
  std::size_t usages_a_round() const;
  PolicyInput input_for(const journal::UsageRecord& record, std::uint32_t failures, std::size_t batch);
  boost::asio::awaitable<Result<std::vector<journal::StoredUsage>>> begin(std::uint32_t failures);
  boost::asio::awaitable<void> commit_all(std::vector<Settled> settled);
  boost::asio::awaitable<void> repair(Settled& one);
  boost::asio::awaitable<Status> commit(std::vector<Settled> settled);
  Settled judge_deletion(const journal::StoredUsage& stored, const upstream::Exchange& answer,
                         const PolicyInput& input) const;
  Status settle(journal::WriteTransaction& txn, const Settled& one, const journal::Moment& now,
                Decided& decided) const;
  Status supersede(journal::WriteTransaction& txn, const Settled& one, const journal::Moment& now) const;
  Status note_upstream(journal::WriteTransaction& txn, const std::vector<Settled>& settled,
                       const journal::Moment& now) const;
  journal::Moment now() const;
  void report(const std::vector<Settled>& settled);

  Dependencies deps_;
  std::unique_ptr<platform::Alarm> alarm_;
  std::unique_ptr<platform::Alarm> journal_alarm_;  // nobody notifies it: the journal is given time
  std::size_t round_usages_ = SIZE_MAX;             // fewer on a full map
  bool stopping_ = false;
  bool troubled_ = false;  // the last round failed; logged once
  std::set<std::uint64_t> sending_;
  FlushStats stats_;
};

}  // namespace meterd::flush
