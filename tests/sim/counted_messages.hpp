// Short messages: a modem and its manager, which the agent hears. Messages are sent, stay for a while in the
// modem or only in the manager's memory, and are deleted; the manager is started again now and then, numbers
// its objects anew, and shows once more what the modem has stored. The same text goes to the same number
// again, but not where an earlier one may have been deleted while no agent looked: that is in doubt, and
// shown. So there is one message that always stays.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/sim/counted.hpp"

namespace meterd::sim {

class CountedMessages final : public Counted {
 public:
  CountedMessages(Dependencies dependencies, Draws draws, std::string name)
      : Counted(std::move(dependencies), draws), name_(std::move(name)) {}
  std::string name() const override { return name_; }
  void furnish(app::Surroundings& surroundings) override;
  void lose_power() override;
  // A message that was deleted before anybody could have read it leaves nothing that could show it.
  std::string judge(const journal::SourceGaps&, std::int64_t) const override { return {}; }

 private:
  class Connection;
  struct Message {
    platform::ModemMessage shown;
    std::int64_t segments = 0;
    std::optional<Oracle::Id> claim;  // it was sent
    std::uint64_t run = 0;            // in that one of the manager
  };
  void pass(Draws& draws) override;
  void begin_message(Draws& draws);
  void end_message(std::uint64_t number);  // it is sent now
  void erase(std::uint64_t number);
  void restart_manager();
  void show(const Message& message);
  void show_all();

  std::string name_;
  Connection* connection_ = nullptr;  // the process's
  std::uint64_t run_ = 1, next_path_ = 0, next_number_ = 0;
  std::map<std::uint64_t, Message> messages_;
  std::uint64_t texts_made_ = 0;
  std::vector<std::string> texts_;
};

}  // namespace meterd::sim
