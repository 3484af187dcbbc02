// Counters that apps keep in shared memory (agent/libmeter), as a source: the socket on which they ask for
// them, the reading at each window, and the end of what nobody writes any more. Loop thread.
//
// Exact through: the app's end, however it ends (the memory is ours, and is read to its end); ours by SIGKILL
// (the memory is kept by the service manager or in files, its cursors are in the journal); a stop that loses
// the memory, as long as the app lives (it gives it back). A power cut loses what was added since the last
// commit, as of everything that is only received.
#pragma once

#include <memory>

#include "agent/source/shared_counters/clients.hpp"
#include "agent/source/shared_counters/rule.hpp"
#include "agent/source/source.hpp"

namespace meterd::source {

class SharedCounters final : public Source {
 public:
  // `dependencies.memory` is there, for longer than this.
  SharedCounters(SharedCountersRule rule, const Dependencies& dependencies, Stored stored);
  ~SharedCounters() override;

  std::string name() const override;
  void harvest(ingest::Batcher& batcher, const platform::WallReading& now) override;
  boost::asio::awaitable<void> run() override;
  void stop() override;
  Report report() const override;
  bool is_shown() const override;
  Stored stored() const override;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace meterd::source
