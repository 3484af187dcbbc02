// The least that counting over HTTP can cost, with the promise kept: one thread that speaks HTTP/1.1 with
// epoll and another that commits, one LMDB transaction for all that gathered while the last one ran; answers
// leave after it.
//
//   bare_http --unix PATH --directory DIR
//
// A commit writes the total of each key that was touched, and 16 bytes for each event's id, so that an id
// counts once. Bodies are searched for their members, not parsed. SIGUSR1: prints the totals as a JSON line;
// SIGTERM: and ends.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "tests/bench/store.hpp"
#include "tests/bench/support.hpp"

namespace meterd::bench {
namespace {

volatile std::sig_atomic_t report_wanted = 0;
volatile std::sig_atomic_t stop_wanted = 0;

// What one commit carries.
struct Gathered {
  struct Event {
    std::array<char, 16> id;
    std::size_t key;
  };
  std::vector<Event> events;
  std::vector<int> answer_to;  // connections
  std::uint64_t duplicates = 0;
};

// Owns the store and its thread: takes what is gathered, commits it, and says so through an eventfd.
class Committer {
 public:
  Committer(const std::string& directory, bool ids_known)
      : store_(directory),
        ids_known_(ids_known),
        done_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        thread_([this] { commit_until_stopped(); }) {}
  ~Committer() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  int done_fd() const { return done_fd_; }
  bool busy() const { return busy_; }
  // While not busy. `keys`: the names of the keys that the events' numbers mean, as long as it is busy.
  void submit(Gathered gathered, const std::vector<std::string>* keys) {
    busy_ = true;
    {
      const std::lock_guard lock(mutex_);
      work_ = std::move(gathered);
      keys_ = keys;
      has_work_ = true;
    }
    wake_.notify_one();
  }
  // After done_fd() became readable.
  Gathered take_done() {
    std::uint64_t ignored = 0;
    if (read(done_fd_, &ignored, sizeof ignored) < 0) fail("eventfd");
    busy_ = false;
    const std::lock_guard lock(mutex_);
    return std::move(work_);
  }

 private:
  void commit_until_stopped() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return has_work_ || stopping_; });
      if (stopping_) return;
      has_work_ = false;
      commit();
      const std::uint64_t one = 1;
      if (write(done_fd_, &one, sizeof one) < 0) fail("eventfd");
    }
  }
  void commit() {
    std::map<std::size_t, std::uint64_t> added;
    store_.begin();
    if (!ids_known_) log_ids();
    // In the tree's order: neighbours share its pages.
    if (ids_known_)
      std::sort(work_.events.begin(), work_.events.end(),
                [](const auto& a, const auto& b) { return a.id < b.id; });
    for (const auto& event : work_.events) {
      if (!ids_known_ || store_.put_new({event.id.data(), event.id.size()}, {}))
        ++added[event.key];
      else
        ++work_.duplicates;
    }
    for (const auto& [key, quantity] : added) {
      const auto& name = (*keys_)[key];
      std::uint64_t total = quantity;
      if (const auto old = store_.get(name); old.size() == sizeof total) {
        std::uint64_t before = 0;
        std::memcpy(&before, old.data(), sizeof before);
        total += before;
      }
      store_.put(name, {reinterpret_cast<const char*>(&total), sizeof total});
    }
    store_.commit();
  }

  void log_ids() {
    log_.clear();
    for (const auto& event : work_.events) log_.append(event.id.data(), event.id.size());
    char key[24];
    const int size = std::snprintf(key, sizeof key, "~%016llx", static_cast<unsigned long long>(logged_++));
    store_.put({key, static_cast<std::size_t>(size)}, log_);
  }

  Store store_;
  bool ids_known_;
  std::string log_;
  std::uint64_t logged_ = 0;
  int done_fd_;
  std::mutex mutex_;
  std::condition_variable wake_;
  Gathered work_;
  const std::vector<std::string>* keys_ = nullptr;
  bool has_work_ = false, stopping_ = false, busy_ = false;
  std::thread thread_;
};

// 128 bits of an id: two multiplicative hashes, each mixed at its end. Enough for a floor; nobody attacks it.
std::array<char, 16> hash_of(std::string_view id) {
  std::uint64_t a = 0xCBF29CE484222325U, b = 0x9E3779B97F4A7C15U;
  for (const char c : id) {
    a = (a ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
    b = (b + static_cast<unsigned char>(c)) * 0xFF51AFD7ED558CCDU;
  }
  a = (a ^ (a >> 32U)) * 0xC4CEB9FE1A85EC53U;
  b = (b ^ (b >> 29U)) * 0xBF58476D1CE4E5B9U;
  std::array<char, 16> out{};
  std::memcpy(out.data(), &a, sizeof a);
  std::memcpy(out.data() + sizeof a, &b, sizeof b);
  return out;
}

// The value of a JSON string member, by search; moves `at` behind it. Escapes are not looked for.
std::string_view member(std::string_view body, std::string_view quoted_name, std::size_t& at) {
  const auto found = body.find(quoted_name, at);
  if (found == std::string_view::npos) return {};
  const auto begin = found + quoted_name.size();
  at = body.find('"', begin);
  if (at == std::string_view::npos) return {};
  return body.substr(begin, at - begin);
}

class Server {
 public:
  Server(const std::string& path, const std::string& directory, bool ids_known)
      : committer_(directory, ids_known),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        listener_(listen_unix(path, SOCK_STREAM)) {
    watch(listener_);
    watch(committer_.done_fd());
  }

  void serve_until_stopped() {
    std::array<epoll_event, 64> events{};
    while (stop_wanted == 0) {
      // A signal that comes just before the wait is seen after 50 ms.
      const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 50);
      if (ready < 0 && errno != EINTR) fail("epoll_wait");
      for (int i = 0; i < ready; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd == listener_)
          watch(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
        else if (fd == committer_.done_fd())
          answer(committer_.take_done());
        else
          receive(fd);
      }
      if (!committer_.busy() && !gathered_.answer_to.empty())
        committer_.submit(std::exchange(gathered_, {}), &keys_);
      if (report_wanted != 0) {
        report_wanted = 0;
        print();
      }
    }
    print();
  }

 private:
  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (fd < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
  }

  void print() const { JsonLine().add("events", events_).add("keys", keys_.size()).print(); }

  void receive(int fd) {
    const auto got = recv(fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got <= 0) {
      inputs_.erase(fd);
      close(fd);
      return;
    }
    auto& input = inputs_[fd];
    input.append(buffer_.data(), static_cast<std::size_t>(got));
    const std::string_view text = input;
    const auto head = text.find("\r\n\r\n");
    if (head == std::string_view::npos) return;
    constexpr std::string_view kLength = "\r\nContent-Length: ";
    const auto length = text.substr(0, head).find(kLength);
    if (length == std::string_view::npos) fail("a request has no Content-Length");
    const auto body_bytes = std::strtoul(text.data() + length + kLength.size(), nullptr, 10);
    if (text.size() < head + 4 + body_bytes) return;
    gather(text.substr(head + 4, body_bytes));
    gathered_.answer_to.push_back(fd);
    input.clear();  // a client sends its next request after this one's answer
  }

  void gather(std::string_view body) {
    for (std::size_t at = 0;;) {
      const auto id = member(body, "\"id\":\"", at);
      const auto type = member(body, "\"type\":\"", at);
      const auto subscription = member(body, "\"subscription\":\"", at);
      if (id.empty() || type.empty() || subscription.empty()) return;
      key_.assign(type).append(1, '\0').append(subscription);
      auto found = numbers_.find(key_);
      if (found == numbers_.end()) {
        if (keys_.size() == keys_.capacity()) fail("more keys than this program was made for");
        found = numbers_.emplace(key_, keys_.size()).first;
        keys_.push_back(key_);
      }
      gathered_.events.push_back({hash_of(id), found->second});
    }
  }

  void answer(const Gathered& done) {
    constexpr std::string_view kAnswer =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}";
    events_ += done.events.size() - done.duplicates;
    for (const int fd : done.answer_to) send_all(fd, kAnswer);
  }

  Committer committer_;
  int epoll_, listener_;
  std::vector<char> buffer_ = std::vector<char>(64 * 1024);
  std::unordered_map<int, std::string> inputs_;
  std::unordered_map<std::string, std::size_t, TextHash, std::equal_to<>> numbers_;
  std::vector<std::string> keys_ = [] {
    std::vector<std::string> keys;
    keys.reserve(100'000);  // the committer reads them meanwhile: they must not move
    return keys;
  }();
  std::string key_;
  Gathered gathered_;
  std::uint64_t events_ = 0;
};

void on_signal(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigaction(signal, &action, nullptr);
}

int run(int argc, char** argv) {
  const Options options(argc, argv, {"unix", "directory", "ids"});
  on_signal(SIGUSR1, [](int) { report_wanted = 1; });
  on_signal(SIGTERM, [](int) { stop_wanted = 1; });
  Server server(options.text("unix"), options.text("directory"), options.text("ids", "known") == "known");
  JsonLine().add("ready", std::uint64_t{1}).print();
  server.serve_until_stopped();
  return 0;
}

}  // namespace
}  // namespace meterd::bench

int main(int argc, char** argv) { return meterd::bench::run(argc, argv); }
