// API calls: a web server's worker that sends a numbered message for each, on a socket that outlives the
// agent's process. Nobody answers, so no call is certain; but what was counted and what is shown as lost are
// together what was sent.
#pragma once

#include <deque>
#include <string>

#include "tests/sim/counted.hpp"

namespace meterd::sim {

class CountedCalls final : public Counted {
 public:
  CountedCalls(Dependencies dependencies, Draws draws, std::string name);
  ~CountedCalls() override;
  std::string name() const override { return name_; }
  void furnish(app::Surroundings& surroundings) override;
  void lose_power() override;
  void stop_making() override;
  std::string judge(const journal::SourceGaps& shown, std::int64_t billed) const override;

 private:
  struct Sent {
    Oracle::Id claim = 0;
    std::uint64_t start = 0;  // the process it went to; 0: it went nowhere
  };
  void pass(Draws& draws) override;
  bool is_certain_once_settled() const override { return false; }
  void settled(Oracle::Id claim) override;
  void send(bool on_the_way_lost);

  std::string name_;
  ingest::Access access_{ingest::AccessRules{}};
  platform::Socket servers_, ours_;  // a pair
  std::uint64_t worker_ = 1, number_ = 0;
  std::int64_t sent_ = 0;
  std::int64_t unseen_ = 0;  // a worker's last ones, after which no other came
  std::deque<Sent> last_;    // of the present worker, since one that was surely committed
};

}  // namespace meterd::sim
