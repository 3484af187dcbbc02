#include "agent/ingest/frame.hpp"

#include "agent/base/limits.hpp"

namespace meterd::ingest {
namespace {
constexpr std::string_view kMagic{"mtr", 3};
constexpr char kVersion = 1;
}  // namespace

Result<std::optional<FramePart>> next_frame(std::string_view bytes) {
  const auto start = bytes.substr(0, kMagic.size());
  if (!kMagic.starts_with(start))
    return Error{Code::invalid, "not a meterd frame: it must start with \"mtr\" and the version byte 1"};
  if (bytes.size() > kMagic.size() && bytes[kMagic.size()] != kVersion)
    return Error{Code::invalid, "unknown frame version " +
                                    std::to_string(static_cast<unsigned char>(bytes[kMagic.size()])) +
                                    ": this meterd speaks version 1"};
  if (bytes.size() < kFrameHeaderBytes) return std::optional<FramePart>{};
  std::size_t length = 0;
  for (std::size_t i = 4; i < kFrameHeaderBytes; ++i)
    length = (length << 8U) | static_cast<unsigned char>(bytes[i]);
  if (length > limits::kFrameBytesMax)
    return Error{Code::full, "frame of " + std::to_string(length) + " bytes: the limit is " +
                                 std::to_string(limits::kFrameBytesMax) + "; send smaller batches"};
  if (bytes.size() < kFrameHeaderBytes + length) return std::optional<FramePart>{};
  return std::optional<FramePart>(
      FramePart{bytes.substr(kFrameHeaderBytes, length), kFrameHeaderBytes + length});
}

std::string frame(std::string_view payload) {
  std::string out(kMagic);
  out.push_back(kVersion);
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>((payload.size() >> static_cast<unsigned>(shift)) & 255U));
  return out.append(payload);
}

}  // namespace meterd::ingest
