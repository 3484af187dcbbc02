// The core: journal, committer, batcher, sealer and one flusher per upstream, wired. No sockets and no system
// calls: everything from outside comes through Surroundings, so that a test or the simulator runs the whole
// of it on one thread under a virtual clock.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/api/routes.hpp"
#include "agent/api/status.hpp"
#include "agent/app/config.hpp"
#include "agent/flush/flusher.hpp"
#include "agent/flush/sealer.hpp"
#include "agent/ingest/batcher.hpp"
#include "agent/journal/committer.hpp"
#include "agent/journal/journal.hpp"
#include "platform/links.hpp"
#include "platform/process.hpp"
#include "platform/task_group.hpp"

namespace meterd::app {

struct Surroundings {
  boost::asio::any_io_executor loop;
  boost::asio::any_io_executor journal;  // one thread; may be the loop's own
  boost::asio::any_io_executor reader;   // one thread; may be the loop's own
  platform::Clock& clock;
  platform::Random& random;
  platform::Links& links;
  Log& log;
  std::function<std::unique_ptr<upstream::HttpClient>(const UpstreamConfig&)> make_client;
  std::function<void(const Error&)> on_fatal;
  const platform::Process* process = nullptr;  // for the status; without one it says that it does not know
};

class Core {
 public:
  // `journal` is open and belongs to the caller for longer than the core.
  static Result<std::unique_ptr<Core>> make(const Config& config, journal::Journal& journal,
                                            const Surroundings& surroundings);
  void start();

  // Polite: commits what is counted, lets the exchange in flight end, commits its outcome. True if all of it
  // ended within `at_most`.
  boost::asio::awaitable<bool> stop(Milliseconds at_most);

  // `flush` of the contract: returns once the journal has committed it.
  boost::asio::awaitable<Result<api::Routes::Dependencies::Flushed>> flush(bool seal_now);

  // The core's part of the status: everything but the sockets.
  boost::asio::awaitable<Result<api::Status>> status();

  ingest::Batcher& batcher() { return *batcher_; }
  journal::Committer& committer() { return committer_; }
  const std::vector<std::unique_ptr<flush::Flusher>>& flushers() const { return flushers_; }

 private:
  Core(const Config& config, journal::Journal& journal, const Surroundings& surroundings);
  Status wire();
  Status add_sources();
  // Keeps the reserve on the disk and ingest below the watermark.
  boost::asio::awaitable<void> watch_space();
  boost::asio::awaitable<void> look_at_space();
  boost::asio::awaitable<Status> clear_backoff(UpstreamName name);

  Config config_;
  journal::Journal& journal_;
  Surroundings around_;
  journal::Committer committer_;
  std::shared_ptr<flush::SealContext> context_;
  std::unique_ptr<ingest::Batcher> batcher_;
  std::unique_ptr<flush::Sealer> sealer_;
  std::vector<std::unique_ptr<flush::Flusher>> flushers_;
  std::vector<std::string> source_names_;
  std::unique_ptr<platform::Alarm> space_alarm_;
  platform::TaskGroup tasks_;
  BootTime started_;
  std::uint64_t written_before_ = 0;  // by this process, when it began to count
  journal::Space space_;
  bool reserve_kept_ = true;
  bool refusing_new_ = false;  // new keys: above the watermark, or without a reserve
  bool stopping_ = false;
};

}  // namespace meterd::app
