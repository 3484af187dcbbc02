// The framed protobuf socket's frames as pure functions: "mtr" 0x01, four bytes of length, the message.
// See proto/meterd/v1/ingest.proto.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/result.hpp"

namespace meterd::ingest {

inline constexpr std::size_t kFrameHeaderBytes = 8;

// The first frame in `bytes`: its payload (a view), or nullopt if more bytes are needed. An error ends the
// stream: Code::full for a frame above the limit, Code::invalid for what is no frame of this version.
struct FramePart {
  std::string_view payload;
  std::size_t consumed = 0;
};
Result<std::optional<FramePart>> next_frame(std::string_view bytes);

std::string frame(std::string_view payload);

}  // namespace meterd::ingest
