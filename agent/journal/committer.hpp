// Group commit: operations from the loop thread, applied in order in one LMDB transaction on the journal
// thread, answered on the loop thread after the commit. What is submitted while a commit runs goes into the
// next one.
//
// An operation is a function on the WriteTransaction that may run more than once (when another operation of
// its group spoilt the transaction) and must then give the same result: it assigns its outputs, it does not
// add to them. If it returns an error, nothing of it is kept and only its own submitter is told.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <vector>

#include "agent/base/histogram.hpp"
#include "agent/base/log.hpp"
#include "agent/journal/journal.hpp"
#include "agent/journal/write_transaction.hpp"
#include "platform/clock.hpp"

namespace meterd::journal {

using Operation = std::function<Status(WriteTransaction&)>;

struct CommitterStats {  // since the process started; loop thread
  std::uint64_t commits = 0;
  std::uint64_t failed_commits = 0;     // of which nothing was kept
  std::uint64_t failed_operations = 0;  // whose submitter was told an error
  std::uint64_t conservation_errors = 0;
  std::uint64_t bytes = 0;  // keys and values put by transactions that were committed
  Histogram durable;        // from submit to durable, of each operation that was kept
  Histogram commit;         // LMDB's part alone, of each transaction
};

class Committer {
 public:
  struct Executors {
    boost::asio::any_io_executor loop;
    boost::asio::any_io_executor journal;  // one thread; the simulator passes the loop's own
  };
  // `on_fatal`: the disk refused a write (EIO): the process must end and be restarted. Called on the loop
  // thread. `clock`: for the histograms; without one they stay empty.
  Committer(Journal& journal, Executors executors, Log& log, std::function<void(const Error&)> on_fatal,
            const platform::Clock* clock = nullptr);

  // Loop thread. `done` is called on the loop thread, after the commit.
  void submit(Operation operation, std::function<void(Status)> done);
  boost::asio::awaitable<Status> submit(Operation operation);
  // Operations that shall share a commit: with the first alone, the rest would wait for the next one.
  using Submitted = std::pair<Operation, std::function<void(Status)>>;
  void submit(std::vector<Submitted> together);

  // What a commit changed that somebody may wait for.
  struct Changes {
    bool seals = false;   // which buckets are to be sealed, and when
    bool outbox = false;  // what waits to be sent, or what is known of its upstream
  };
  // Called on the loop thread after every successful commit.
  using Observer = std::function<void(const Changes&)>;
  void observe(Observer observer) { observers_.push_back(std::move(observer)); }

  bool idle() const { return !running_ && queue_.empty(); }
  const CommitterStats& stats() const { return stats_; }

 private:
  struct Pending {
    Operation operation;
    std::function<void(Status)> done;
    Status result;
    Microseconds submitted{};
  };
  using Group = std::vector<Pending>;
  struct Outcome {
    bool committed = false;
    Changes changes;
    std::uint64_t conservation_errors = 0;
    std::uint64_t bytes = 0;
    Histogram commit;
    std::optional<Error> fatal;
  };

  void start();
  Outcome commit_group(Group& group);
  Outcome commit_range(Group& group, std::size_t first, std::size_t last);
  void finish(Group group, const Outcome& outcome);
  Microseconds ticks() const { return clock_ != nullptr ? clock_->ticks() : Microseconds(0); }

  Journal& journal_;
  Executors executors_;
  Log& log_;
  std::function<void(const Error&)> on_fatal_;
  const platform::Clock* clock_;
  std::vector<Observer> observers_;
  Group queue_;
  bool running_ = false;
  CommitterStats stats_;
};

}  // namespace meterd::journal
