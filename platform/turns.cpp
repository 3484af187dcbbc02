// Not in the header: as in task_group.cpp.
#include "platform/turns.hpp"

namespace meterd::platform {

boost::asio::awaitable<std::shared_ptr<void>> Turns::take(Milliseconds at_most) {
  if (line_->free > 0) {
    --line_->free;
    co_return token();
  }
  const auto waiter = std::make_shared<Waiter>(Waiter{clock_.make_alarm()});
  line_->waiting.push_back(waiter);
  const auto until = clock_.boot() + at_most;
  while (!waiter->has_turn && clock_.boot() < until) co_await waiter->alarm->wait_for(until - clock_.boot());
  if (waiter->has_turn) co_return token();
  std::erase(line_->waiting, waiter);
  co_return nullptr;
}

}  // namespace meterd::platform
