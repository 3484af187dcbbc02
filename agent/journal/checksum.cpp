// What stands around a record: its checksum and its payload.
#include <array>

#include "agent/journal/schema.hpp"

namespace meterd::journal {
namespace {

// CRC-32C (polynomial 0x1EDC6F41, bits reversed), eight bytes at a time: the start reads the whole journal.
// kTables[i][b] is what byte b gives when i more bytes follow it.
constexpr std::size_t kSlices = 8;
using CrcTables = std::array<std::array<std::uint32_t, 256>, kSlices>;

constexpr CrcTables make_tables() {
  constexpr std::uint32_t kReversedPolynomial = 0x82F63B78;
  CrcTables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? kReversedPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t slice = 1; slice < kSlices; ++slice)
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[slice - 1][byte];
      tables[slice][byte] = (before >> 8U) ^ tables[0][before & 255U];
    }
  return tables;
}
constexpr CrcTables kTables = make_tables();

std::uint32_t extend_crc(std::uint32_t crc, std::string_view bytes) {
  const auto byte = [&](std::size_t at) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at]));
  };
  for (; bytes.size() >= kSlices; bytes.remove_prefix(kSlices)) {
    crc ^= byte(0) | byte(1) << 8U | byte(2) << 16U | byte(3) << 24U;
    crc = kTables[7][crc & 255U] ^ kTables[6][crc >> 8U & 255U] ^ kTables[5][crc >> 16U & 255U] ^
          kTables[4][crc >> 24U] ^ kTables[3][byte(4)] ^ kTables[2][byte(5)] ^ kTables[1][byte(6)] ^
          kTables[0][byte(7)];
  }
  for (; !bytes.empty(); bytes.remove_prefix(1)) crc = (crc >> 8U) ^ kTables[0][(crc ^ byte(0)) & 255U];
  return crc;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t before) { return ~extend_crc(~before, bytes); }

std::string wrap(std::string_view key, std::string_view payload) {
  const std::uint32_t crc = crc32c(payload, crc32c(key));
  std::string out;
  out.reserve(payload.size() + 4);
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>((crc >> static_cast<unsigned>(shift)) & 255U));
  return out.append(payload);
}

Result<std::string_view> unwrap(std::string_view key, std::string_view value) {
  if (value.size() < 4) return Error{Code::corrupt, "a journal record is shorter than its checksum"};
  std::uint32_t stored = 0;
  for (const char c : value.substr(0, 4)) stored = (stored << 8U) | static_cast<unsigned char>(c);
  const auto payload = value.substr(4);
  if (crc32c(payload, crc32c(key)) != stored)
    return Error{Code::corrupt, "a journal record fails its checksum"};
  return payload;
}

}  // namespace meterd::journal
