// Owns coroutines: every one that is spawned ends before join() returns, or is counted as late. Loop thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <cstddef>
#include <exception>
#include <memory>

#include "platform/clock.hpp"

namespace meterd::platform {

class TaskGroup {
 public:
  TaskGroup(boost::asio::any_io_executor loop, Clock& clock)
      : loop_(std::move(loop)), clock_(clock), state_(std::make_shared<State>(clock.make_alarm())) {}

  // An exception out of a task is a broken promise of ours: it ends the process.
  void spawn(boost::asio::awaitable<void> task) {
    ++state_->running;
    boost::asio::co_spawn(loop_, std::move(task), [state = state_](const std::exception_ptr& thrown) {
      if (thrown) std::rethrow_exception(thrown);
      --state->running;
      state->ended->notify();
    });
  }

  // True when all tasks have ended within `at_most`.
  boost::asio::awaitable<bool> join(Milliseconds at_most);
  std::size_t running() const { return state_->running; }

 private:
  struct State {
    explicit State(std::unique_ptr<Alarm> alarm) : ended(std::move(alarm)) {}
    std::size_t running = 0;
    std::unique_ptr<Alarm> ended;
  };
  boost::asio::any_io_executor loop_;
  Clock& clock_;
  std::shared_ptr<State> state_;
};

}  // namespace meterd::platform
