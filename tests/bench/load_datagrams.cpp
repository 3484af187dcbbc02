// Sends statsd lines over datagrams, each key once a turn, in an order that looks random.
//
//   load_datagrams --unix PATH | --udp PORT  [--keys 10000] [--lines-per-datagram 1]
//                  [--lines N] [--seconds S] [--rate LINES_PER_SECOND]
//
// It ends after N lines or S seconds, whichever is first. Without a rate it sends as fast as the receiver
// lets it; with one, in bursts of a millisecond. Prints {"lines", "datagrams", "seconds"}.
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "tests/bench/support.hpp"

namespace meterd::bench {
namespace {

constexpr std::size_t kDatagramsPerCall = 64;
constexpr std::size_t kBytesPerCut = 60'000;  // one send is below 64 KiB
constexpr std::int64_t kBurstNs = 1'000'000;
// A sender that was off the processor makes up for at most so many bursts: more at once would test the
// receive buffer, not the receiver.
constexpr std::int64_t kBurstsAtOnce = 5;

// The datagrams of one turn through all keys, again and again. All have the same length.
class Ring {
 public:
  Ring(std::size_t keys, std::size_t lines_each) {
    const auto order = shuffled(keys);
    for (std::size_t i = 0; i < order.size() / lines_each * lines_each; ++i) {
      if (i % lines_each != 0) bytes_ += '\n';
      bytes_ += "sms.sent:1|c|#subscription:" + subscription_name(order[i]);
      if (i + 1 == lines_each) size_ = bytes_.size();
    }
    if (size_ == 0) fail("more lines in a datagram than keys");
    for (std::size_t at = 0; at < bytes_.size(); at += size_) parts_.push_back({&bytes_[at], size_});
    messages_.resize(parts_.size());
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      messages_[i].msg_hdr.msg_iov = &parts_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
  }

  // For a UDP socket, if the kernel can.
  void let_kernel_cut(int fd) {
    const int size = static_cast<int>(size_);
    cut_ = setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof size) == 0;
  }

  // Sends up to `most` datagrams, as many as stand in a row; returns how many were sent.
  std::size_t send(int fd, std::size_t most) {
    const auto count = std::min({most, kDatagramsPerCall, messages_.size() - at_});
    const auto sent = cut_ ? send_cut(fd, std::min(count, kBytesPerCut / size_))
                           : sendmmsg(fd, &messages_[at_], static_cast<unsigned>(count), 0);
    if (sent < 0) {
      if (errno == EINTR || errno == ENOBUFS) return 0;
      fail("send");
    }
    at_ = (at_ + static_cast<std::size_t>(sent)) % messages_.size();
    return static_cast<std::size_t>(sent);
  }

 private:
  ssize_t send_cut(int fd, std::size_t count) {
    const auto sent = ::send(fd, parts_[at_].iov_base, count * size_, 0);
    return sent < 0 ? sent : sent / static_cast<ssize_t>(size_);
  }

  std::string bytes_;
  std::size_t size_ = 0;
  std::vector<iovec> parts_;
  std::vector<mmsghdr> messages_;
  std::size_t at_ = 0;
  bool cut_ = false;
};

struct Plan {
  std::int64_t datagrams;
  std::int64_t ends_ns;
  std::int64_t datagrams_per_second;  // 0: as fast as it goes
};

std::int64_t send_flat_out(Ring& ring, int fd, const Plan& plan) {
  std::int64_t sent = 0;
  while (sent < plan.datagrams && now_ns() < plan.ends_ns)
    sent += static_cast<std::int64_t>(ring.send(fd, static_cast<std::size_t>(plan.datagrams - sent)));
  return sent;
}

std::int64_t send_paced(Ring& ring, int fd, const Plan& plan) {
  const double per_ns = static_cast<double>(plan.datagrams_per_second) / 1e9;
  const auto most_ns = kBurstNs * kBurstsAtOnce;
  auto credited_ns = now_ns();
  double credit = 0;
  std::int64_t sent = 0;
  for (auto next_ns = credited_ns; sent < plan.datagrams; next_ns = std::max(next_ns + kBurstNs, now_ns())) {
    wait_until_ns(next_ns);
    const auto now = now_ns();
    if (now >= plan.ends_ns) break;
    credit += static_cast<double>(std::min(now - credited_ns, most_ns)) * per_ns;
    credited_ns = now;
    for (auto burst = std::min(static_cast<std::int64_t>(credit), plan.datagrams - sent); burst > 0;) {
      const auto gone = static_cast<std::int64_t>(ring.send(fd, static_cast<std::size_t>(burst)));
      burst -= gone;
      sent += gone;
      credit -= static_cast<double>(gone);
    }
  }
  return sent;
}

int run(int argc, char** argv) {
  const Options options(argc, argv,
                        {"unix", "udp", "keys", "lines-per-datagram", "lines", "seconds", "rate"});
  const auto lines_each = options.number("lines-per-datagram", 1);
  const auto path = options.text("unix");
  const int fd = path.empty() ? connect_udp(static_cast<std::uint16_t>(options.number("udp", 0)))
                              : connect_unix(path, SOCK_DGRAM);
  Ring ring(static_cast<std::size_t>(options.number("keys", 10'000)), static_cast<std::size_t>(lines_each));
  if (path.empty()) ring.let_kernel_cut(fd);
  prctl(PR_SET_TIMERSLACK, 1UL);
  const auto began = now_ns();
  const Plan plan{options.number("lines", INT64_MAX) / lines_each,
                  began + options.number("seconds", 600) * 1'000'000'000,
                  options.number("rate", 0) / lines_each};
  const auto sent =
      plan.datagrams_per_second > 0 ? send_paced(ring, fd, plan) : send_flat_out(ring, fd, plan);
  JsonLine()
      .add("lines", static_cast<std::uint64_t>(sent * lines_each))
      .add("datagrams", static_cast<std::uint64_t>(sent))
      .add("seconds", static_cast<double>(now_ns() - began) / 1e9)
      .print();
  return 0;
}

}  // namespace
}  // namespace meterd::bench

int main(int argc, char** argv) { return meterd::bench::run(argc, argv); }
