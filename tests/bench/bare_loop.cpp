// The least that a statsd counter can cost: receive, parse, add to a hash table. No clock, no days, no
// journal.
//
//   bare_loop --unix PATH | --udp PORT
//
// SIGUSR1: prints what it counted so far, as a JSON line. SIGTERM: that, and the end.
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <unordered_map>

#include "tests/bench/support.hpp"

namespace meterd::bench {
namespace {

constexpr std::size_t kDatagramsPerCall = 64;
// A cache line more than the longest datagram: at a power of two the first lines of all 64 buffers would
// share one set of the processor's first cache.
constexpr std::size_t kBufferBytes = 8 * 1024 + 64;
constexpr int kReceiveBufferBytes = 4 << 20;

volatile std::sig_atomic_t report_wanted = 0;
volatile std::sig_atomic_t stop_wanted = 0;

class Totals {
 public:
  void take_datagram(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto end = bytes.find('\n');
      take_line(bytes.substr(0, end));
      if (end == std::string_view::npos) break;
      bytes.remove_prefix(end + 1);
    }
  }

  void print() const {
    std::uint64_t events = 0;
    for (const auto& [key, total] : totals_) events += total;
    JsonLine().add("events", events).add("keys", totals_.size()).add("refused", refused_).print();
  }

 private:
  // name ":" digits "|c" "|#subscription:" subscription
  void take_line(std::string_view line) {
    constexpr std::string_view kType = "|c|#subscription:";
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return refuse();
    std::uint64_t quantity = 0;
    const auto* end = line.data() + line.size();
    const auto [after, error] = std::from_chars(line.data() + colon + 1, end, quantity);
    const std::string_view rest(after, static_cast<std::size_t>(end - after));
    if (error != std::errc() || !rest.starts_with(kType)) return refuse();
    const auto subscription = rest.substr(kType.size());
    if (colon + 1 + subscription.size() > key_.size()) return refuse();
    std::memcpy(key_.data(), line.data(), colon);
    key_[colon] = '\0';
    std::memcpy(key_.data() + colon + 1, subscription.data(), subscription.size());
    const std::string_view key(key_.data(), colon + 1 + subscription.size());
    const auto found = totals_.find(key);
    if (found != totals_.end())
      found->second += quantity;
    else
      totals_.emplace(key, quantity);
  }
  void refuse() { ++refused_; }

  std::unordered_map<std::string, std::uint64_t, TextHash, std::equal_to<>> totals_;
  std::array<char, 256> key_{};
  std::uint64_t refused_ = 0;
};

void receive_until_stopped(int fd) {
  std::vector<char> buffer(kDatagramsPerCall * kBufferBytes);
  std::array<iovec, kDatagramsPerCall> parts{};
  std::array<mmsghdr, kDatagramsPerCall> messages{};
  for (std::size_t i = 0; i < kDatagramsPerCall; ++i) {
    parts[i] = {buffer.data() + i * kBufferBytes, kBufferBytes};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  Totals totals;
  while (stop_wanted == 0) {
    const int got = recvmmsg(fd, messages.data(), kDatagramsPerCall, MSG_WAITFORONE, nullptr);
    if (got < 0 && errno != EINTR && errno != EAGAIN) fail("recvmmsg");
    for (std::size_t i = 0; got > 0 && i < static_cast<std::size_t>(got); ++i)
      totals.take_datagram({buffer.data() + i * kBufferBytes, messages[i].msg_len});
    if (report_wanted != 0) {
      report_wanted = 0;
      totals.print();
    }
  }
  totals.print();
}

void on_signal(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigaction(signal, &action, nullptr);
}

int run(int argc, char** argv) {
  const Options options(argc, argv, {"unix", "udp"});
  on_signal(SIGUSR1, [](int) { report_wanted = 1; });
  on_signal(SIGTERM, [](int) { stop_wanted = 1; });
  const auto path = options.text("unix");
  const int fd = path.empty() ? bind_udp(static_cast<std::uint16_t>(options.number("udp", 0)))
                              : listen_unix(path, SOCK_DGRAM);
  set_receive_buffer(fd, kReceiveBufferBytes);
  // A signal that comes just before the wait is seen after this long; nothing else ends a wait early.
  const timeval look_around{0, 50'000};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &look_around, sizeof look_around) != 0) fail("SO_RCVTIMEO");
  JsonLine().add("ready", std::uint64_t{1}).print();
  receive_until_stopped(fd);
  return 0;
}

}  // namespace
}  // namespace meterd::bench

int main(int argc, char** argv) { return meterd::bench::run(argc, argv); }
