#include "tests/ctl/fake_daemon.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "agent/base/text.hpp"

namespace meterd::test {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) std::abort();
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// The header's end and the body's length are there.
bool is_whole(const std::string& request) {
  constexpr std::string_view kLength = "content-length: ";
  const auto end = request.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  std::string head = request.substr(0, end);
  for (auto& c : head) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto at = head.find(kLength);
  if (at == std::string::npos) return true;
  const auto from = at + kLength.size();
  const auto length = parse_unsigned(head.substr(from, head.find('\r', from) - from));
  return length && request.size() >= end + 4 + *length;
}

}  // namespace

std::filesystem::path make_socket_directory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "meterctl-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) std::abort();
  return pattern;
}

int listen_on(const std::string& path, int backlog) {
  const auto address = address_of(path);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) std::abort();
  if (::listen(fd, backlog) != 0) std::abort();
  return fd;
}

int connect_now(const std::string& path) {
  const auto address = address_of(path);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

FakeDaemon::Reply FakeDaemon::json(std::string_view body, unsigned status) {
  return bytes("HTTP/1.1 " + std::to_string(status) +
               " Some reason\r\nContent-Type: application/json\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + std::string(body));
}

FakeDaemon::FakeDaemon(std::deque<Reply> script, Door door)
    : directory_(make_socket_directory()), script_(std::move(script)) {
  listener_ = listen_on(socket(), door.backlog);
  if (::pipe(wake_) != 0) std::abort();
  thread_ = std::thread([this, door] { serve(door.opens_after); });
}

FakeDaemon::~FakeDaemon() {
  ::close(wake_[1]);
  thread_.join();
  for (const int fd : silent_) ::close(fd);
  ::close(wake_[0]);
  ::close(listener_);
  std::filesystem::remove_all(directory_);
}

std::vector<std::string> FakeDaemon::requests() const {
  const std::scoped_lock lock(mutex_);
  return requests_;
}

void FakeDaemon::serve(std::chrono::milliseconds opens_after) {
  pollfd stop{wake_[0], POLLIN, 0};
  if (::poll(&stop, 1, static_cast<int>(opens_after.count())) > 0) return;
  for (;;) {
    pollfd ready[2] = {{listener_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
    ::poll(ready, 2, -1);
    if (ready[1].revents != 0) return;
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) serve_one(fd);
  }
}

void FakeDaemon::serve_one(int fd) {
  std::string request;
  char piece[4096];
  while (!is_whole(request)) {
    const auto length = ::read(fd, piece, sizeof piece);
    if (length <= 0) {
      ::close(fd);
      return;
    }
    request.append(piece, static_cast<std::size_t>(length));
  }
  {
    const std::scoped_lock lock(mutex_);
    requests_.push_back(std::move(request));
  }
  const Reply reply = script_.empty() ? hang_up() : script_.front();
  if (!script_.empty()) script_.pop_front();
  if (reply.kind == Reply::Kind::silence) {
    silent_.push_back(fd);
    return;
  }
  if (reply.first) reply.first();
  std::string_view left = reply.bytes;
  while (!left.empty()) {
    const auto sent = ::send(fd, left.data(), left.size(), MSG_NOSIGNAL);
    if (sent <= 0) break;
    left.remove_prefix(static_cast<std::size_t>(sent));
  }
  ::close(fd);
}

}  // namespace meterd::test
