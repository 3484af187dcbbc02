// The core: journal, committer, batcher, sealer and one flusher per upstream, wired. No sockets and no system
// calls: everything from outside comes through Surroundings, so that a test or the simulator runs the whole
// of it on one thread under a virtual clock.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/api/routes.hpp"
#include "agent/api/status.hpp"
#include "agent/app/config.hpp"
#include "agent/app/deliveries.hpp"
#include "agent/app/inquiries.hpp"
#include "agent/app/sources.hpp"
#include "agent/app/surroundings.hpp"
#include "agent/app/wiring.hpp"
#include "agent/flush/sealer.hpp"
#include "agent/ingest/batcher.hpp"
#include "agent/journal/committer.hpp"
#include "agent/journal/journal.hpp"
#include "agent/usages/collection.hpp"
#include "platform/task_group.hpp"

namespace meterd::app {

class Core {
 public:
  // `journal` is open and belongs to the caller for longer than the core.
  static Result<std::unique_ptr<Core>> make(const Config& config, journal::Journal& journal,
                                            const Surroundings& surroundings);
  void start();

  // Puts another configuration in force, as a whole or not at all: what was counted before is placed by the
  // old one, what comes after by the new one. Code::rejected for what cannot change while running
  // (config_reload.hpp). One at a time.
  boost::asio::awaitable<Status> reload(Config next);

  // Polite: commits what is counted, lets the exchange in flight end, commits its outcome. True if all of it
  // ended within `at_most`. Only a commit that hangs in the disk is waited for, however long.
  boost::asio::awaitable<bool> stop(Milliseconds at_most);

  // `flush` of the contract: returns once the journal has committed it.
  boost::asio::awaitable<Result<api::Routes::Dependencies::Flushed>> flush(bool seal_now);

  // What operators have upstreams asked.
  Inquiries& inquiries() { return inquiries_; }

  // The core's part of the status: everything but the sockets.
  boost::asio::awaitable<Result<api::Status>> status();

  // What the device's own Usages API serves.
  usages::Collection& collection() { return *collection_; }

  bool refuses_new() const { return refusing_new_; }  // new keys: the journal runs short of room
  ingest::Batcher& batcher() { return *batcher_; }
  journal::Committer& committer() { return committer_; }

 private:
  Core(const Config& config, journal::Journal& journal, const Surroundings& surroundings);
  Status wire();
  boost::asio::awaitable<Status> swap(Config next, Wiring wiring, journal::KeptOfSources kept);
  boost::asio::awaitable<void> warn_of_gone(std::vector<UpstreamConfig> before);
  // Keeps the reserve on the disk and ingest below the watermark.
  boost::asio::awaitable<void> watch_space();
  boost::asio::awaitable<void> look_at_space();
  void limit_places(std::uint64_t committed);
  bool take_room();  // for one usage of a caller
  std::map<UpstreamName, std::size_t> count_sending() const;
  void remember_listed();
  boost::asio::awaitable<Status> clear_backoff(UpstreamName name);
  boost::asio::awaitable<Status> seal_counted(flush::Sealer::Wanted wanted);
  void release_local();

  Config config_;
  journal::Journal& journal_;
  Surroundings around_;
  journal::Committer committer_;
  std::shared_ptr<const flush::SealContext> context_;
  std::unique_ptr<ingest::Batcher> batcher_;
  std::unique_ptr<Sources> sources_;
  std::unique_ptr<flush::Sealer> sealer_;
  std::unique_ptr<usages::Collection> collection_;
  Deliveries deliveries_;
  Inquiries inquiries_;
  std::unique_ptr<platform::Alarm> space_alarm_;
  platform::TaskGroup tasks_;
  BootTime started_;
  std::uint64_t written_before_ = 0;  // by this process, when it began to count
  journal::Space space_;
  std::uint64_t look_again_at_ = 0;          // places opened by then have used half of the room
  std::uint64_t room_of_callers_ = 0;        // usages that they may bring until the space is looked at again
  std::uint64_t look_again_of_callers_ = 0;  // with so many of them left
  std::uint64_t reserved_beyond_ = 0;  // the file's length when the reserve was last asked for; 0: not yet
  bool reserve_kept_ = true;
  bool space_is_quiet_ = false;  // nothing was committed since it was read
  bool refusing_new_ = false;    // new keys: above the watermark, or without a reserve
  bool stopping_ = false;
};

}  // namespace meterd::app
