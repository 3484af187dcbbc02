#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <ctime>
#include <fstream>

#include "platform/linux/linux.hpp"
#include "platform/linux/timedated.hpp"
#include "platform/trust.hpp"

namespace meterd::platform {
namespace {

namespace asio = boost::asio;

Microseconds read_fine(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return Seconds(now.tv_sec) + Microseconds(now.tv_nsec / 1'000);
}
Milliseconds read(clockid_t id) { return std::chrono::floor<Milliseconds>(read_fine(id)); }

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

constexpr Milliseconds kAskTimedatedAgain{5'000};

class TimerAlarm final : public Alarm {
 public:
  explicit TimerAlarm(const asio::any_io_executor& loop) : timer_(loop) {}

  asio::awaitable<void> wait_for(Milliseconds at_most) override {
    if (notified_) {
      notified_ = false;
      co_return;
    }
    timer_.expires_after(at_most);
    waiting_ = true;
    // operation_aborted is notify(); nothing else can go wrong with a timer.
    (void)co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    waiting_ = false;
    notified_ = false;
  }
  void notify() override {
    notified_ = true;
    if (waiting_) timer_.cancel();
  }

 private:
  asio::steady_timer timer_;
  bool waiting_ = false;
  bool notified_ = false;
};

class LinuxClock final : public DeviceClock {
 public:
  LinuxClock(asio::any_io_executor loop, const ClockRule& rule)
      : loop_(std::move(loop)),
        rule_(rule),
        boot_id_(read_boot_id()),
        started_from_rtc_(access("/sys/class/rtc/rtc0/hctosys", F_OK) == 0 &&
                          first_line("/sys/class/rtc/rtc0/hctosys") == "1"),
        latch_(rule.trusted_offset),
        timedated_(loop_, *this),
        ask_again_(make_alarm()) {}

  WallReading wall() const override {
    const WallTime now = read_wall();
    if (rule_.always_trusted) return {now, true};
    const BootTime since = boot();
    const bool vouched = now >= rule_.not_before && (started_from_rtc_ || synchronised(now, since));
    return {now, latch_.trusts(vouched, now, since)};
  }
  BootTime boot() const override { return read_boot(); }
  Microseconds ticks() const override { return read_fine(CLOCK_MONOTONIC); }  // without suspend: work only
  std::string boot_id() const override { return boot_id_; }
  std::unique_ptr<Alarm> make_alarm() override { return std::make_unique<TimerAlarm>(loop_); }
  asio::awaitable<void> watch(Log& log) override;
  void stop() override {
    stopping_ = true;
    timedated_.stop();
    ask_again_->notify();
  }

 private:
  // Of the kernel; nothing where it may not be asked. adjtimex(2)
  static std::optional<bool> ask_kernel() {
    timex state{};
    const int said = adjtimex(&state);
    if (said < 0) return {};
    return said != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
  }

  // A system call, and every datagram's time is read: asked once a second, and at once after a step.
  bool synchronised(WallTime now, BootTime since) const {
    const std::int64_t offset = (now.since_epoch - since.since_boot).count();
    const std::int64_t age = since.since_boot.count() - asked_at_ms_;
    const std::int64_t step = offset - asked_offset_ms_;
    if (age < 0 || age > kAskAgainMs || step > kAskAgainMs || step < -kAskAgainMs) {
      synchronised_ = ask_kernel().value_or(false);
      asked_at_ms_ = since.since_boot.count();
      asked_offset_ms_ = offset;
    }
    return synchronised_;
  }

  asio::any_io_executor loop_;
  ClockRule rule_;
  std::string boot_id_;
  bool started_from_rtc_;
  mutable TrustLatch latch_;
  static constexpr std::int64_t kAskAgainMs = 1'000;
  mutable std::atomic<bool> synchronised_{false};
  mutable std::atomic<std::int64_t> asked_at_ms_{-kAskAgainMs - 1};
  mutable std::atomic<std::int64_t> asked_offset_ms_{0};
  Timedated timedated_;
  std::unique_ptr<Alarm> ask_again_;
  bool stopping_ = false;
};

asio::awaitable<void> LinuxClock::watch(Log& log) {
  if (rule_.always_trusted || started_from_rtc_ || ask_kernel()) co_return;
  while (!stopping_) {
    // The word is of the time before it was asked for: a clock that is stepped meanwhile is not meant.
    const WallTime now = read_wall();
    const BootTime since = boot();
    if (!wall().trusted) {
      const auto synchronised = co_await timedated_.ask();
      if (!synchronised && !stopping_)
        log.warning(
            "clock_not_told",
            {{"error", synchronised.error().message},
             {"do", "let systemd-timedated be asked (package dbus), or allow adjtimex: man meterd, Clock"}});
      else if (synchronised && *synchronised && now >= rule_.not_before)
        (void)latch_.trusts(true, now, since);
    }
    co_await ask_again_->wait_for(kAskTimedatedAgain);
  }
}

}  // namespace

std::unique_ptr<DeviceClock> make_clock(asio::any_io_executor loop, const ClockRule& rule) {
  return std::make_unique<LinuxClock>(std::move(loop), rule);
}

std::string read_boot_id() { return first_line("/proc/sys/kernel/random/boot_id"); }
BootTime read_boot() { return {read(CLOCK_BOOTTIME)}; }
WallTime read_wall() { return {read(CLOCK_REALTIME)}; }
std::string read_machine_id() { return first_line("/etc/machine-id"); }

std::string read_lasting_machine_id() {
  struct statfs info {};
  if (statfs("/etc/machine-id", &info) != 0) return {};
  // An overlay's upper layer may be in memory: who can tell from here.
  constexpr std::uint32_t kInMemory[] = {TMPFS_MAGIC, RAMFS_MAGIC, OVERLAYFS_SUPER_MAGIC};
  for (const auto magic : kInMemory)
    if (static_cast<std::uint32_t>(info.f_type) == magic) return {};
  return read_machine_id();
}

WallTime build_date() {
  // __DATE__ would make builds irreproducible; the release date is part of the version.
  constexpr std::int64_t kReleasedAt = 1'795'305'600;  // 2026-11-22
  return WallTime::from_seconds(kReleasedAt);
}

}  // namespace meterd::platform
