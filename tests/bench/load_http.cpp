// Posts CloudEvents over keep-alive connections, one request under way on each.
//
//   load_http --socket PATH [--connections 64] [--batch 0] [--keys 30] [--seconds S] [--requests N] [--turn
//   T]
//
// --batch 0: one event a request; N: an array of N. Every event has an id of its own; T must differ between
// runs against one journal. It ends after S seconds or N requests in all, whichever is first. Prints
// {"requests", "events", "ok", "unsupported", "refused", "seconds", "p50_us", ...}: answers 200, 415 and any
// other; the times are the answers'.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "tests/bench/support.hpp"

namespace meterd::bench {
namespace {

constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kRequestsEncoded = 16;
constexpr std::string_view kIdPlace = "xxxxxxxxxxxxxxxx";

struct Plan {
  std::size_t events_each, keys;
  bool batched;
  std::int64_t left, ends_ns;
  std::uint64_t next_id;
};

struct Tally {
  std::uint64_t ok = 0, unsupported = 0, refused = 0;
  std::vector<std::int64_t> waited_ns;
};

std::string event_text(const std::string& subscription) {
  return R"({"specversion":"1.0","id":")" + std::string(kIdPlace) +
         R"(","source":"bench","type":"api.call","subscription":")" + subscription +
         R"(","data":{"quantity":"1"}})";
}

// A request that is ready to be sent but for its ids.
class Encoded {
 public:
  Encoded(const Plan& plan, const std::vector<std::size_t>& order, std::size_t first) {
    std::string body = plan.batched ? "[" : "";
    for (std::size_t i = 0; i < plan.events_each; ++i) {
      if (i > 0) body += ',';
      body += event_text(subscription_name(order[(first + i) % order.size()]));
    }
    if (plan.batched) body += "]";
    text_ =
        "POST /events?ack=committed HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cloudevents" +
        std::string(plan.batched ? "-batch" : "") +
        "+json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    for (auto at = text_.find(kIdPlace); at != std::string::npos; at = text_.find(kIdPlace, at + kIdBytes))
      places_.push_back(at);
  }
  std::string_view with_ids(std::uint64_t& next) {
    for (const auto at : places_) {
      auto value = next++;
      for (std::size_t i = kIdBytes; i > 0; --i, value >>= 4U)
        text_[at + i - 1] = "0123456789abcdef"[value & 15U];
    }
    return text_;
  }

 private:
  std::string text_;
  std::vector<std::size_t> places_;
};

class Connection {
 public:
  explicit Connection(const std::string& path) : fd_(connect_unix(path, SOCK_STREAM)) {}
  int fd() const { return fd_; }

  void ask(std::string_view request) {
    sent_ns_ = now_ns();
    send_all(fd_, request);
  }

  // True once the answer is there whole.
  bool receive(Tally& tally) {
    std::array<char, 16 * 1024> buffer;
    const auto got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got <= 0) fail("the connection was closed");
    in_.append(buffer.data(), static_cast<std::size_t>(got));
    const auto head = in_.find("\r\n\r\n");
    if (head == std::string::npos || in_.size() < head + 4 + body_bytes(head)) return false;
    const auto status = in_.substr(in_.find(' ') + 1, 3);
    ++(status == "200" ? tally.ok : status == "415" ? tally.unsupported : tally.refused);
    tally.waited_ns.push_back(now_ns() - sent_ns_);
    in_.clear();
    return true;
  }

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
  std::string in_;
};

void drive(std::vector<Connection>& connections, Plan& plan, Tally& tally) {
  std::vector<Encoded> requests;
  const auto order = shuffled(plan.keys);
  for (std::size_t i = 0; i < kRequestsEncoded; ++i) requests.emplace_back(plan, order, i * plan.events_each);
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  std::size_t turn = 0, waiting = 0;
  const auto ask = [&](Connection& connection) {
    if (plan.left <= 0) return;
    --plan.left;
    ++waiting;
    connection.ask(requests[turn++ % requests.size()].with_ids(plan.next_id));
  };
  for (std::size_t i = 0; i < connections.size(); ++i) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    if (epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].fd(), &event) != 0) fail("epoll_ctl");
    ask(connections[i]);
  }
  std::array<epoll_event, 64> events{};
  while (waiting > 0) {
    const int ready = epoll_wait(poll, events.data(), static_cast<int>(events.size()), 30'000);
    if (ready <= 0) fail("no answer within 30 s");
    if (now_ns() >= plan.ends_ns) plan.left = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(ready); ++i) {
      auto& connection = connections[events[i].data.u64];
      if (!connection.receive(tally)) continue;
      --waiting;
      ask(connection);
    }
  }
}

int run(int argc, char** argv) {
  const Options options(argc, argv,
                        {"socket", "connections", "batch", "keys", "seconds", "requests", "turn"});
  const auto batch = static_cast<std::size_t>(options.number("batch", 0));
  const auto began = now_ns();
  Plan plan{batch == 0 ? 1 : batch,
            static_cast<std::size_t>(options.number("keys", 30)),
            batch > 0,
            options.number("requests", INT64_MAX),
            began + options.number("seconds", 600) * 1'000'000'000,
            static_cast<std::uint64_t>(options.number("turn", 0)) << 40U};
  std::vector<Connection> connections;
  for (std::int64_t i = 0; i < options.number("connections", 64); ++i)
    connections.emplace_back(options.text("socket"));
  Tally tally;
  drive(connections, plan, tally);
  JsonLine()
      .add("requests", tally.ok + tally.unsupported + tally.refused)
      .add("events", tally.ok * plan.events_each)
      .add("ok", tally.ok)
      .add("unsupported", tally.unsupported)
      .add("refused", tally.refused)
      .add("seconds", static_cast<double>(now_ns() - began) / 1e9)
      .add(spread_of(tally.waited_ns))
      .print();
  return 0;
}

}  // namespace
}  // namespace meterd::bench

int main(int argc, char** argv) { return meterd::bench::run(argc, argv); }
