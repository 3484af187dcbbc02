// Frames: whole or not at all, wherever the stream is cut.
#include "agent/ingest/frame.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/base/limits.hpp"

namespace meterd::ingest {
namespace {

using ::testing::HasSubstr;

std::string header(std::uint32_t length) {
  std::string out = frame("").substr(0, 4);
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>((length >> shift) & 255U));
  return out;
}

TEST(Frame, IsMagicVersionLengthAndPayload) {
  EXPECT_EQ(frame("abc"), std::string("mtr\x01\0\0\0\x03"
                                      "abc",
                                      11));
}

TEST(Frame, NeedsMoreAtEveryCutAndIsWholeAtItsLastByte) {
  std::string payload = "payload with \0 and \xff";
  payload.push_back('\0');
  const auto bytes = frame(payload);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    const auto part = next_frame(std::string_view(bytes).substr(0, cut));
    ASSERT_TRUE(part.ok()) << cut;
    EXPECT_FALSE(part->has_value()) << cut;
  }
  const auto whole = next_frame(bytes);
  ASSERT_TRUE(whole.ok());
  ASSERT_TRUE(whole->has_value());
  EXPECT_EQ((*whole)->payload, payload);
  EXPECT_EQ((*whole)->consumed, bytes.size());
}

TEST(Frame, OfZeroLengthIsAFrame) {
  const auto part = next_frame(frame(""));
  ASSERT_TRUE(part.ok());
  ASSERT_TRUE(part->has_value());
  EXPECT_EQ((*part)->payload, "");
  EXPECT_EQ((*part)->consumed, kFrameHeaderBytes);
}

TEST(Frame, FollowsAnotherInOneBuffer) {
  std::string stream = frame("one") + frame("") + frame("three");
  std::vector<std::string> seen;
  for (;;) {
    const auto part = next_frame(stream);
    ASSERT_TRUE(part.ok());
    if (!part->has_value()) break;
    seen.emplace_back((*part)->payload);
    stream.erase(0, (*part)->consumed);
  }
  EXPECT_THAT(seen, ::testing::ElementsAre("one", "", "three"));
  EXPECT_EQ(stream, "");
}

TEST(Frame, WithAnotherMagicIsAnErrorAtItsFirstWrongByte) {
  for (const char* bytes : {"x", "mx", "mtx", "GET /status HTTP/1.1", "MTR\x01"}) {
    const auto part = next_frame(bytes);
    ASSERT_FALSE(part.ok()) << bytes;
    EXPECT_EQ(part.error().code, Code::invalid);
    EXPECT_THAT(part.error().message, HasSubstr("not a meterd frame"));
  }
}

TEST(Frame, OfAnotherVersionIsAnErrorThatNamesIt) {
  const auto part = next_frame("mtr\x02");
  ASSERT_FALSE(part.ok());
  EXPECT_THAT(part.error().message, HasSubstr("version 2"));
  EXPECT_THAT(next_frame("mtr\xff").error().message, HasSubstr("version 255"));
}

TEST(Frame, AboveTheLimitIsRefusedFromItsHeaderAlone) {
  const auto limit = static_cast<std::uint32_t>(limits::kFrameBytesMax);
  const auto at_limit = next_frame(header(limit));
  ASSERT_TRUE(at_limit.ok());
  EXPECT_FALSE(at_limit->has_value());
  for (const std::uint32_t length : {limit + 1, 0x7fffffffU, 0xffffffffU}) {
    const auto part = next_frame(header(length));
    ASSERT_FALSE(part.ok()) << length;
    EXPECT_THAT(part.error().message, HasSubstr(std::to_string(length)));
    EXPECT_EQ(part.error().code, Code::full) << "a limit, not a wrong stream";
  }
}

TEST(Frame, AtTheLimitIsWhole) {
  const auto bytes = frame(std::string(limits::kFrameBytesMax, 'x'));
  const auto part = next_frame(bytes);
  ASSERT_TRUE(part.ok());
  ASSERT_TRUE(part->has_value());
  EXPECT_EQ((*part)->payload.size(), limits::kFrameBytesMax);
}

}  // namespace
}  // namespace meterd::ingest
