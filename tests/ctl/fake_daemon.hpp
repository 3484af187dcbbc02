// A daemon's socket without a daemon: a thread that gives each connection, in order, the next scripted reply.
#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace meterd::test {

class FakeDaemon {
 public:
  struct Reply {
    enum class Kind { bytes, hang_up, silence };
    Kind kind = Kind::bytes;
    std::string bytes;                 // sent after the request was read, then the connection is closed
    std::function<void()> first = {};  // done before that, if anything
  };
  static Reply json(std::string_view body, unsigned status = 200);
  static Reply bytes(std::string text) { return {Reply::Kind::bytes, std::move(text), {}}; }
  static Reply hang_up() { return {Reply::Kind::hang_up, {}, {}}; }  // reads the request and closes
  static Reply silence() { return {Reply::Kind::silence, {}, {}}; }  // keeps the connection until the end

  struct Door {
    int backlog = 8;                           // of the listening socket
    std::chrono::milliseconds opens_after{0};  // when it begins to accept
  };

  explicit FakeDaemon(std::deque<Reply> script) : FakeDaemon(std::move(script), Door{}) {}
  FakeDaemon(std::deque<Reply> script, Door door);
  ~FakeDaemon();
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;

  std::string socket() const { return (directory_ / "api.sock").string(); }
  // Whole requests, as received. A connection that closes without one takes no reply.
  std::vector<std::string> requests() const;

 private:
  void serve(std::chrono::milliseconds opens_after);
  void serve_one(int fd);

  std::filesystem::path directory_;
  int listener_ = -1;
  int wake_[2] = {-1, -1};
  std::deque<Reply> script_;
  std::vector<int> silent_;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

// A fresh directory for sockets, short enough for the kernel.
std::filesystem::path make_socket_directory();
// Bound and listening; never accepts. The caller closes it.
int listen_on(const std::string& path, int backlog);
// Connects without waiting; the descriptor, or -1 if it is refused.
int connect_now(const std::string& path);

}  // namespace meterd::test
