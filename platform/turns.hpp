// Turns at something that only so many may do at once: the others wait in line, for a while. One thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <deque>
#include <memory>

#include "platform/clock.hpp"

namespace meterd::platform {

class Turns {
 public:
  Turns(Clock& clock, std::size_t at_once)
      : clock_(clock), line_(std::make_shared<Line>(Line{at_once, {}})) {}

  // The turn lasts as long as what this returns, which may outlive the line. nullptr: none came within
  // `at_most`.
  boost::asio::awaitable<std::shared_ptr<void>> take(Milliseconds at_most);

 private:
  struct Waiter {
    std::unique_ptr<Alarm> alarm;
    bool has_turn = false;
  };
  struct Line {
    std::size_t free = 0;
    std::deque<std::shared_ptr<Waiter>> waiting;
    void pass_on() {
      if (waiting.empty()) {
        ++free;
        return;
      }
      waiting.front()->has_turn = true;
      waiting.front()->alarm->notify();
      waiting.pop_front();
    }
  };
  std::shared_ptr<void> token() {
    return {line_.get(), [line = line_](void*) { line->pass_on(); }};
  }

  Clock& clock_;
  std::shared_ptr<Line> line_;
};

}  // namespace meterd::platform
