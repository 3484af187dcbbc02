// Not in the header: a coroutine's frame is one type in the whole program only if one file makes it.
#include "platform/task_group.hpp"

namespace meterd::platform {

boost::asio::awaitable<bool> TaskGroup::join(Milliseconds at_most) {
  const auto end = clock_.boot() + at_most;
  while (state_->running > 0 && clock_.boot() < end) co_await state_->ended->wait_for(end - clock_.boot());
  co_return state_->running == 0;
}

}  // namespace meterd::platform
