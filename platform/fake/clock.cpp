#include "platform/fake/clock.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace meterd::platform {

namespace asio = boost::asio;

// The real timer never fires by itself: only advance() or notify() cancels it.
class FakeClock::FakeAlarm final : public Alarm {
 public:
  explicit FakeAlarm(FakeClock& clock) : clock_(clock), timer_(clock.loop_) {}
  ~FakeAlarm() override { forget(); }

  asio::awaitable<void> wait_for(Milliseconds at_most) override {
    if (notified_) {
      notified_ = false;
      co_return;
    }
    timer_.expires_at(asio::steady_timer::time_point::max());
    const auto at = clock_.boot_ + std::max(at_most, Milliseconds(0));
    entry_ = clock_.waiting_.emplace(at, [this] { timer_.cancel(); });
    waiting_ = true;
    (void)co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    forget();
    notified_ = false;
  }
  void notify() override {
    notified_ = true;
    if (waiting_) timer_.cancel();
  }

 private:
  void forget() {
    if (waiting_) clock_.waiting_.erase(entry_);
    waiting_ = false;
  }
  FakeClock& clock_;
  asio::steady_timer timer_;
  std::multimap<BootTime, std::function<void()>>::iterator entry_;
  bool waiting_ = false;
  bool notified_ = false;
};

std::unique_ptr<Alarm> FakeClock::make_alarm() { return std::make_unique<FakeAlarm>(*this); }

void FakeClock::settle() {
  loop_.restart();
  while (loop_.poll() > 0) loop_.restart();
}

void FakeClock::advance(Milliseconds by) {
  const BootTime end = boot_ + by;
  settle();
  while (!waiting_.empty() && waiting_.begin()->first <= end) {
    const auto step = std::max(waiting_.begin()->first - boot_, Milliseconds(0));
    boot_ = boot_ + step;
    wall_ = wall_ + step;
    // Copied: the alarm takes its entry away when it resumes.
    const auto fire = waiting_.begin()->second;
    fire();
    settle();
  }
  wall_ = wall_ + (end - boot_);
  boot_ = end;
}

}  // namespace meterd::platform
