// Reconciling: before a journal that is a copy of another one sends anything to an upstream, it asks the
// upstream what it has of what came with the copy. What is found is delivered, what is not found may be sent,
// and where that cannot be told it is in doubt. Nothing that came with the copy is billed twice: see
// judge_copies().
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/flush/sealer.hpp"

namespace meterd::flush {

// A usage that came with the copy, and what the upstream has under its id.
struct Looked {
  Quantity quantity;
  bool copied = false;  // sealed from what was open: the original would have used this id, maybe for more
  upstream::ReadBack::Found found = upstream::ReadBack::Found::absent;
  std::optional<Quantity> theirs;  // what it has there, of the same subscription and item price
};

enum class Fate : std::uint8_t {
  settle,  // it is billed, by itself or as a part of more
  wait,    // it is not billed: it is sent under its id, which the original cannot use for anything else
  park,    // something else is billed under its id
  doubt,   // it may be part of what the upstream has
};

// What becomes of a bucket's usages that came with the copy. `others`: the quantities that the upstream has
// of this bucket under later revisions that the journal does not know, so that the original made them after
// the copy. The original can have billed
//   - a usage, under its id;
//   - what was open, with or without what it counted afterwards, as the next revision: as that id, and not
//   less;
//   - a usage whose date was taken, as a later revision with exactly its quantity; then what was open went
//   under
//     a later id than the next one, too.
// Nothing is `unknown` here.
std::vector<Fate> judge_copies(const std::vector<Looked>& ours, const std::vector<Quantity>& others);

// What the upstream has under the usage's id: its quantity, or the more that it was found to be a part of.
Quantity billed_as(const journal::UsageRecord& record);

// What one run did with one upstream.
struct Reconciled {
  UpstreamName upstream;
  bool held = false;  // still
  bool more = false;  // only time is missing: go on
  std::size_t looked_up = 0;
  std::size_t delivered = 0, waiting = 0, parked = 0, in_doubt = 0;
  std::string error = {};      // why it is still held
  Milliseconds retry_after{};  // the upstream's word, with `error`
};

class Reconciler {
 public:
  struct Dependencies {
    std::shared_ptr<const SealContext> context;
    Target target;
    std::unique_ptr<upstream::HttpClient> client;
    const journal::Journal& journal;
    journal::Committer& committer;
    boost::asio::any_io_executor reader;
    platform::Clock& clock;
    Log& log;
    std::vector<UpstreamName> configured;
    std::string by = {};  // who wants it, for the audit
  };
  explicit Reconciler(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  // Begins no other bucket after `at_most`. What it did is committed: the next run goes on from there.
  boost::asio::awaitable<Result<Reconciled>> run(Milliseconds at_most);
  // From another coroutine: ends soon.
  void stop();

 private:
  struct Group {  // a bucket's usages
    std::vector<journal::StoredUsage> usages;
    std::vector<Looked> looked;
    std::vector<std::string> details;
    std::vector<Quantity> others;
  };
  bool is_of_another_device();
  boost::asio::awaitable<Status> seal_copied();
  boost::asio::awaitable<Result<std::vector<journal::StoredUsage>>> next_usages();
  boost::asio::awaitable<Result<Group>> read_group(meter::BucketKey bucket);
  boost::asio::awaitable<bool> look_up(Group& group);
  boost::asio::awaitable<bool> look_for_others(Group& group);
  boost::asio::awaitable<Result<std::optional<upstream::ReadBack>>> look_for_revision(meter::Usage usage);
  boost::asio::awaitable<upstream::ReadBack> look(meter::Usage usage);
  boost::asio::awaitable<Status> commit(Group group);
  boost::asio::awaitable<Result<bool>> release();
  void note_trouble(const upstream::Verdict& verdict);
  journal::Moment now() const;

  Dependencies deps_;
  Reconciled done_;
  std::uint64_t after_ = 0;  // usages up to this sequence were seen
  bool stopping_ = false;
};

}  // namespace meterd::flush
