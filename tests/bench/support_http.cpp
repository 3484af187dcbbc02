#include "tests/bench/support_http.hpp"

#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>

#include "tests/bench/support.hpp"

namespace meterd::bench {
namespace {

constexpr int kAnswerMilliseconds = 30'000;

class Connection {
 public:
  explicit Connection(const std::string& path) : fd_(connect_unix(path, SOCK_STREAM)) {}
  int fd() const { return fd_; }
  std::int64_t sent_ns() const { return sent_ns_; }

  void ask(std::string_view request) {
    in_.clear();
    sent_ns_ = now_ns();
    send_all(fd_, request);
  }

  // True once the answer is there whole.
  bool receive() {
    std::array<char, 16 * 1024> buffer;
    const auto got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got <= 0) fail("the connection was closed");
    in_.append(buffer.data(), static_cast<std::size_t>(got));
    const auto head = in_.find("\r\n\r\n");
    if (head == std::string::npos || in_.size() < head + 4 + body_bytes(head)) return false;
    body_at_ = head + 4;
    return true;
  }
  std::string_view status() const { return std::string_view(in_).substr(in_.find(' ') + 1, 3); }
  std::string_view body() const { return std::string_view(in_).substr(body_at_); }

 private:
  std::size_t body_bytes(std::size_t head) const {
    constexpr std::string_view kField = "content-length: ";
    for (std::size_t at = 0; at < head; at = in_.find("\r\n", at) + 2)
      if (strncasecmp(in_.data() + at, kField.data(), kField.size()) == 0)
        return std::strtoul(in_.c_str() + at + kField.size(), nullptr, 10);
    fail("an answer has no length");
  }

  int fd_;
  std::int64_t sent_ns_ = 0;
  std::size_t body_at_ = 0;
  std::string in_;
};

}  // namespace

std::vector<std::int64_t> ask_all(const std::string& path, std::size_t connections, Asker& asker) {
  std::vector<std::int64_t> waited_ns;
  std::vector<Connection> open;
  for (std::size_t i = 0; i < connections; ++i) open.emplace_back(path);
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  std::size_t waiting = 0;
  const auto ask = [&](std::size_t i) {
    const auto request = asker.next(i);
    if (request.empty()) return;
    ++waiting;
    open[i].ask(request);
  };
  for (std::size_t i = 0; i < connections; ++i) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    if (epoll_ctl(poll, EPOLL_CTL_ADD, open[i].fd(), &event) != 0) fail("epoll_ctl");
    ask(i);
  }
  std::array<epoll_event, 64> events{};
  while (waiting > 0) {
    const int ready = epoll_wait(poll, events.data(), static_cast<int>(events.size()), kAnswerMilliseconds);
    if (ready <= 0) fail("no answer within 30 s");
    for (std::size_t at = 0; at < static_cast<std::size_t>(ready); ++at) {
      const auto i = static_cast<std::size_t>(events[at].data.u64);
      if (!open[i].receive()) continue;
      waited_ns.push_back(now_ns() - open[i].sent_ns());
      --waiting;
      asker.take(i, open[i].status(), open[i].body());
      ask(i);
    }
  }
  return waited_ns;
}

}  // namespace meterd::bench
