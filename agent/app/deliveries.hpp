// One flusher for each upstream, and their exchange when a reload changes where an upstream is. Loop thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>
#include <vector>

#include "agent/app/config.hpp"
#include "agent/app/surroundings.hpp"
#include "agent/flush/flusher.hpp"
#include "agent/flush/sealer.hpp"
#include "agent/journal/committer.hpp"
#include "agent/journal/journal.hpp"
#include "platform/task_group.hpp"

namespace meterd::app {

class Deliveries {
 public:
  Deliveries(const Surroundings& surroundings, journal::Journal& journal, journal::Committer& committer)
      : around_(surroundings),
        journal_(journal),
        committer_(committer),
        replaced_(surroundings.clock.make_alarm()) {}

  // Each upstream must be among the context's targets.
  void start(const std::vector<UpstreamConfig>& upstreams,
             const std::shared_ptr<const flush::SealContext>& context);
  // Those that stay where they are go on; the others are given a moment to end and are then cut, and never
  // two of one name are at work. What an exchange that was cut came to is asked again, by key and id. Returns
  // the names of those that were started; none once stop() was called.
  boost::asio::awaitable<std::vector<UpstreamName>> replace(
      const std::vector<UpstreamConfig>& upstreams, const std::shared_ptr<const flush::SealContext>& context);
  void wake();

  void stop();
  boost::asio::awaitable<bool> join(Milliseconds at_most);  // of all together; true when all have ended
  void abandon();

  bool is_sending(std::uint64_t sequence) const;        // at an upstream that can be asked only once
  std::vector<const flush::Flusher*> flushers() const;  // those that are about to end included

 private:
  struct Delivery {
    UpstreamConfig config;
    std::unique_ptr<flush::Flusher> flusher;
    std::unique_ptr<platform::TaskGroup> task;  // the flusher's only coroutine
  };
  void add(const UpstreamConfig& upstream, const std::shared_ptr<const flush::SealContext>& context,
           const flush::FlushStats& so_far);

  std::vector<std::shared_ptr<Delivery>> all() const;

  const Surroundings& around_;
  journal::Journal& journal_;
  journal::Committer& committer_;
  std::vector<std::shared_ptr<Delivery>> deliveries_;
  std::vector<std::shared_ptr<Delivery>> ending_;  // taken out by a replace() that is under way
  std::unique_ptr<platform::Alarm> replaced_;      // it has come to its end
  bool stopping_ = false;
};

}  // namespace meterd::app
