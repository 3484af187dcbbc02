#include "platform/fake/clock.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

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
    entry_ = clock_.waiting_.emplace(at, this);
    waiting_ = true;
    awaited_ = true;
    (void)co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    forget();
    awaited_ = false;
    notified_ = false;
  }
  void notify() override {
    notified_ = true;
    if (awaited_) timer_.cancel();
  }
  void go_off() {  // its entry has been taken away
    waiting_ = false;
    timer_.cancel();
  }
  void stands_at(std::multimap<BootTime, FakeAlarm*>::iterator entry) { entry_ = entry; }

 private:
  void forget() {
    if (waiting_) clock_.waiting_.erase(entry_);
    waiting_ = false;
  }
  FakeClock& clock_;
  asio::steady_timer timer_;
  std::multimap<BootTime, FakeAlarm*>::iterator entry_;
  bool waiting_ = false;  // stands among the clock's
  bool awaited_ = false;
  bool notified_ = false;
};

std::unique_ptr<Alarm> FakeClock::make_alarm() { return std::make_unique<FakeAlarm>(*this); }

void FakeClock::settle() {
  loop_.restart();
  while (loop_.poll() > 0) loop_.restart();
}

std::optional<BootTime> FakeClock::next_alarm() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.begin()->first;
}

void FakeClock::pass(Milliseconds by) {
  boot_ = boot_ + by;
  wall_ = wall_ + by;
}

bool FakeClock::fire_next() {
  if (waiting_.empty() || waiting_.begin()->first > boot_) return false;
  // Its time is over: it takes itself away when it goes on, and must not go off twice until then.
  FakeAlarm* alarm = waiting_.begin()->second;
  waiting_.erase(waiting_.begin());
  alarm->go_off();
  return true;
}

void FakeClock::suspend(Milliseconds by) {
  pass(by);
  std::multimap<BootTime, FakeAlarm*> later;
  for (const auto& [at, alarm] : std::exchange(waiting_, {})) alarm->stands_at(later.emplace(at + by, alarm));
  waiting_ = std::move(later);
}

void FakeClock::advance(Milliseconds by) {
  const BootTime end = boot_ + by;
  settle();
  for (auto next = next_alarm(); next && *next <= end; next = next_alarm()) {
    pass(std::max(*next - boot_, Milliseconds(0)));
    fire_next();
    settle();
  }
  pass(end - boot_);
}

}  // namespace meterd::platform
