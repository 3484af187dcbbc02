#include "agent/app/access_log_sockets.hpp"

#include <utility>

namespace meterd::app {

std::optional<AccessLogSockets::Refused> AccessLogSockets::bind(const Config& config, int receive_bytes) {
  for (const auto& source : config.sources) {
    const auto* rule = std::get_if<source::AccessLogRule>(&source);
    if (rule == nullptr) continue;
    // To anybody: the kernel says who sends, and giving a socket to another group takes more rights than
    // meterd has.
    auto socket = rule->groups.empty()
                      ? binder_.bind_unix_datagram(rule->socket, receive_bytes)
                      : binder_.bind_unix_datagram(rule->socket, receive_bytes, {rule->groups, true});
    if (!socket) return Refused{"unix:" + rule->socket, socket.error()};
    auto& one = by_path_[rule->socket];
    one.socket = std::move(*socket);
    if (rule->groups.empty()) continue;
    one.access.emplace(ingest::AccessRules{rule->groups, {}});
    one.closed = !platform::lets_in(rule->socket, {rule->groups});
  }
  return std::nullopt;
}

std::vector<std::string> AccessLogSockets::addresses() const {
  std::vector<std::string> out;
  for (const auto& [path, one] : by_path_) out.push_back("unix:" + path);
  return out;
}

source::DatagramSocket AccessLogSockets::take(const std::string& path) {
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return {};
  auto& one = found->second;
  return {std::exchange(one.socket, {}), {one.access ? &*one.access : &common_, true, {}}, one.closed};
}

}  // namespace meterd::app
