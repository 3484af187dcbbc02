#include "agent/journal/committer.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>

namespace meterd::journal {

namespace asio = boost::asio;

Committer::Committer(Journal& journal, Executors executors, Log& log,
                     std::function<void(const Error&)> on_fatal, const platform::Clock* clock)
    : journal_(journal),
      executors_(std::move(executors)),
      log_(log),
      on_fatal_(std::move(on_fatal)),
      clock_(clock) {}

void Committer::submit(Operation operation, std::function<void(Status)> done) {
  queue_.push_back({std::move(operation), std::move(done), {}, ticks()});
  if (!running_) start();
}

void Committer::submit(std::vector<Submitted> together) {
  const auto now = ticks();
  for (auto& [operation, done] : together) queue_.push_back({std::move(operation), std::move(done), {}, now});
  if (!running_ && !queue_.empty()) start();
}

asio::awaitable<Status> Committer::submit(Operation operation) {
  auto initiate = [this](auto handler, Operation op) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    submit(std::move(op), [shared](Status status) { std::move (*shared)(std::move(status)); });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Status)>(
      initiate, asio::use_awaitable, std::move(operation));
}

void Committer::start() {
  running_ = true;
  auto group = std::make_shared<Group>(std::move(queue_));
  queue_.clear();
  asio::post(executors_.journal, [this, group] {
    const Outcome outcome = commit_group(*group);
    asio::post(executors_.loop, [this, group, outcome] { finish(std::move(*group), outcome); });
  });
}

// All in one transaction; if one operation spoils it, each gets a transaction of its own, so that one bad
// record or a window that does not fit cannot keep a receipt out.
Committer::Outcome Committer::commit_group(Group& group) {
  Outcome outcome = commit_range(group, 0, group.size());
  if (outcome.committed || outcome.fatal || group.size() == 1) return outcome;
  Outcome sum;
  for (std::size_t i = 0; i < group.size() && !sum.fatal; ++i) {
    const Outcome one = commit_range(group, i, i + 1);
    sum.committed |= one.committed;
    sum.changes.seals |= one.changes.seals;
    sum.changes.outbox |= one.changes.outbox;
    sum.conservation_errors += one.conservation_errors;
    sum.bytes += one.bytes;
    sum.commit += one.commit;
    sum.fatal = one.fatal;
  }
  return sum;
}

Committer::Outcome Committer::commit_range(Group& group, std::size_t first, std::size_t last) {
  const auto fail_all = [&](const Error& error) {
    for (std::size_t i = first; i < last; ++i) group[i].result = error;
    Outcome outcome;
    if (error.code == Code::io) outcome.fatal = error;
    return outcome;
  };
  auto txn = journal_.begin_write();
  if (!txn) return fail_all(txn.error());
  WriteTransaction write(std::move(*txn), &journal_.remembered_ids(), journal_.lineage());
  for (std::size_t i = first; i < last; ++i) {
    group[i].result = group[i].operation(write);
    if (!group[i].result) return fail_all(Error(group[i].result.error()));
  }
  Outcome outcome;
  outcome.conservation_errors = write.conservation_errors();
  outcome.changes = {write.changed(Kind::seal_due),
                     write.changed(Kind::outbox) || write.changed(Kind::upstream)};
  outcome.bytes = write.bytes_put();
  const auto began = ticks();
  if (auto committed = write.commit(); !committed) return fail_all(committed.error());
  if (clock_ != nullptr) outcome.commit.observe(ticks() - began);
  outcome.committed = true;
  return outcome;
}

void Committer::finish(Group group, const Outcome& outcome) {
  running_ = false;
  stats_.commits += outcome.committed ? 1 : 0;
  stats_.conservation_errors += outcome.conservation_errors;
  stats_.bytes += outcome.bytes;
  stats_.commit += outcome.commit;
  const auto durable_at = ticks();
  for (const auto& pending : group) {
    if (!pending.result) ++stats_.failed_operations;
    if (pending.result && clock_ != nullptr) stats_.durable.observe(durable_at - pending.submitted);
  }
  if (outcome.conservation_errors > 0)
    log_.error("conservation_broken",
               {{"errors", outcome.conservation_errors}, {"do", "run meterctl verify"}});
  if (!outcome.committed) ++stats_.failed_commits;
  if (outcome.fatal) {
    log_.error("journal_io_error",
               {{"error", outcome.fatal->message}, {"do", "check the disk; the daemon restarts"}});
    on_fatal_(*outcome.fatal);
  }
  if (outcome.committed)  // first: whoever goes on in its `done` must know what has changed
    for (const auto& observer : observers_) observer(outcome.changes);
  for (auto& pending : group) pending.done(std::move(pending.result));
  if (!queue_.empty() && !running_) start();
}

}  // namespace meterd::journal
