#include "platform/fake/clock.hpp"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>
#include <utility>

namespace meterd::platform {

namespace asio = boost::asio;

namespace {

// The coroutines that wait for an alarm. They are the loop's and not the alarm's, which may go first; so
// Asio's own timers keep them. No timer of the system is behind it: a simulated day has twenty thousand
// alarms.
class Sleepers final : public asio::execution_context::service {
 public:
  using key_type = Sleepers;
  static asio::execution_context::id id;

  struct Sleeper {
    virtual ~Sleeper() = default;
    virtual void wake() = 0;
  };
  using Place = std::list<std::unique_ptr<Sleeper>>::iterator;

  explicit Sleepers(asio::execution_context& loop) : service(loop) {}

  template <class Handler>
  Place add(Handler handler) {
    struct Waiting final : Sleeper {
      explicit Waiting(Handler h) : handler(std::move(h)) {}
      void wake() override { asio::post(std::move(handler)); }
      Handler handler;
    };
    return sleepers_.insert(sleepers_.end(), std::make_unique<Waiting>(std::move(handler)));
  }
  void wake(Place place) {
    const auto sleeper = std::move(*place);
    sleepers_.erase(place);
    sleeper->wake();
  }

 private:
  void shutdown() override { sleepers_.clear(); }
  std::list<std::unique_ptr<Sleeper>> sleepers_;
};

asio::execution_context::id Sleepers::id;

}  // namespace

class FakeClock::FakeAlarm final : public Alarm {
 public:
  explicit FakeAlarm(FakeClock& clock) : clock_(clock), sleepers_(asio::use_service<Sleepers>(clock.loop_)) {}
  ~FakeAlarm() override { forget(); }

  asio::awaitable<void> wait_for(Milliseconds at_most) override {
    if (notified_) {
      notified_ = false;
      co_return;
    }
    entry_ = clock_.waiting_.emplace(clock_.boot_ + std::max(at_most, Milliseconds(0)), this);
    waiting_ = true;
    auto initiate = [this](auto handler) { sleeper_ = sleepers_.add(std::move(handler)); };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(initiate, asio::use_awaitable);
    notified_ = false;
  }
  void notify() override {
    notified_ = true;
    wake();
  }
  void go_off() {  // its entry has been taken away
    waiting_ = false;
    wake();
  }
  void stands_at(std::multimap<BootTime, FakeAlarm*>::iterator entry) { entry_ = entry; }

 private:
  void wake() {
    forget();
    if (sleeper_) sleepers_.wake(*std::exchange(sleeper_, std::nullopt));
  }
  void forget() {
    if (waiting_) clock_.waiting_.erase(entry_);
    waiting_ = false;
  }
  FakeClock& clock_;
  Sleepers& sleepers_;
  std::multimap<BootTime, FakeAlarm*>::iterator entry_;
  std::optional<Sleepers::Place> sleeper_;
  bool waiting_ = false;  // stands among the clock's
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
