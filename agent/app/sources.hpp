// The sources at work, and their exchange at a reload. Loop thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/app/surroundings.hpp"
#include "agent/ingest/batcher.hpp"
#include "agent/journal/read.hpp"
#include "agent/source/source.hpp"
#include "platform/task_group.hpp"

namespace meterd::app {

class Sources {
 public:
  Sources(const Surroundings& surroundings, ingest::Batcher& batcher);

  // Those of `rules` from now on. One whose rule is the same stays as it is; another one of its name goes on
  // where it was, whatever it counts for from now on. Where one that is not among them was is forgotten, with
  // a gap: what passes without it is nobody's, and it begins anew once it comes back. `kept`: what the
  // journal has.
  void put(const std::vector<source::Rule>& rules, journal::KeptOfSources kept);
  void start();  // those that listen, and those that put() brings later
  void stop();
  boost::asio::awaitable<bool> join(Milliseconds at_most);
  std::vector<source::Report> reports() const;

 private:
  struct One {
    source::Rule rule;
    std::shared_ptr<source::Source> source;
  };
  source::Stored stored_of(const std::string& name, const journal::KeptOfSources& kept) const;
  void forget_others(const std::vector<source::Rule>& rules, const journal::KeptOfSources& kept);
  void forget(const std::string& name, source::Stored stored);

  Surroundings around_;
  ingest::Batcher& batcher_;
  platform::TaskGroup tasks_;
  std::vector<One> sources_;
  std::map<std::string, source::Stored> left_;  // of those that went, since the start
  bool started_ = false;
};

}  // namespace meterd::app
