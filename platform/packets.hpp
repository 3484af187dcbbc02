// Packets of one size on a Unix socket (SOCK_SEQPACKET), with a descriptor beside them. Never waits: who
// waits for a socket puts it under Asio.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "agent/base/result.hpp"
#include "platform/shared_memory.hpp"
#include "platform/sockets.hpp"

namespace meterd::platform {

// The next connection. Code::retry: none waits.
Result<Socket> accept_packets(int listening);

struct Packet {
  std::size_t size = 0;  // 0: the other side is gone
  bool truncated = false;
  MemoryFile passed;  // the descriptor that came with it, if one did
};
// Code::retry: none waits.
Result<Packet> receive_packet(int fd, std::span<char> into);
// Code::retry: the other side does not read what it is sent.
Status send_packet(int fd, std::span<const char> bytes, const MemoryFile* passed);

}  // namespace meterd::platform
