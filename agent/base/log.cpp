#include "agent/base/log.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

namespace meterd {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

void append_value(std::string& out, std::string_view value) {
  const bool plain = !value.empty() && std::none_of(value.begin(), value.end(), [](char c) {
    return is_control(c) || c == ' ' || c == '"' || c == '=' || c == '\\';
  });
  if (plain) {
    out.append(value);
    return;
  }
  out.push_back('"');
  for (const char c : value) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(is_control(c) ? ' ' : c);
  }
  out.push_back('"');
}

}  // namespace

std::string Log::line(std::string_view event, Fields fields) {
  std::string out = "event=";
  out.append(event);
  for (const auto& field : fields) {
    out.append(1, ' ').append(field.key).append(1, '=');
    append_value(out, field.value);
  }
  return out;
}

void StderrLog::write(Level level, const std::string& line) {
  const std::lock_guard lock(mutex_);
  const std::string end = (dropped_ > 0 ? " dropped=" + std::to_string(dropped_) : "") + "\n";
  std::string out = "<" + std::to_string(static_cast<int>(level)) + ">" + line;
  out.resize(std::min<std::size_t>(out.size(), PIPE_BUF - end.size()));
  out += end;
  // Asked for room instead of made non-blocking: the open file may be shared with other processes. A pipe
  // that has room has it for PIPE_BUF bytes.
  pollfd room{fd_, POLLOUT, 0};
  const bool written = poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0 &&
                       ::write(fd_, out.data(), out.size()) == static_cast<ssize_t>(out.size());
  dropped_ = written ? 0 : dropped_ + 1;
}

}  // namespace meterd
