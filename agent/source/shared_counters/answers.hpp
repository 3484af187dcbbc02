// The packets that Clients answers with, and what its answers have in common.
#pragma once

#include <algorithm>
#include <string>

#include "agent/source/shared_counters/clients.hpp"

namespace meterd::source {

inline constexpr platform::SharedMemory::Sizes kSizes{METERD_REGION_BYTES, kNamesBytes};

inline Clients::Answer answer_of(meterd_packet_kind kind) {
  Clients::Answer out;
  out.packet.magic = METERD_PACKET_MAGIC;
  out.packet.version = METERD_PACKET_VERSION;
  out.packet.kind = kind;
  return out;
}

inline Clients::Answer refusal(int code, const std::string& text) {
  auto out = answer_of(METERD_REFUSED);
  out.packet.code = static_cast<std::uint32_t>(code);
  text.copy(out.packet.text, sizeof out.packet.text - 1);
  return out;
}

inline Clients::Answer welcome(const platform::SharedMemory::Id& id) {
  auto out = answer_of(METERD_WELCOME);
  std::copy(id.begin(), id.end(), out.packet.client);
  return out;
}

}  // namespace meterd::source
