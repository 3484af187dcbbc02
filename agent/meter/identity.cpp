#include "agent/meter/identity.hpp"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <span>

#include "agent/base/result.hpp"

namespace meterd::meter {
namespace {

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

Digest sha256(const std::string& bytes) {
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  return digest;
}

std::string base32(std::span<const unsigned char> bytes) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
  std::string out;
  std::uint32_t pending = 0;
  unsigned bits = 0;
  for (const unsigned char byte : bytes) {
    pending = (pending << 8U) | byte;
    for (bits += 8; bits >= 5; bits -= 5) out.push_back(kAlphabet[(pending >> (bits - 5)) & 31U]);
    pending &= (1U << bits) - 1U;
  }
  if (bits > 0) out.push_back(kAlphabet[(pending << (5 - bits)) & 31U]);
  return out;
}

void append_field(std::string& out, std::string_view field) {
  const auto size = static_cast<std::uint32_t>(field.size());
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>((size >> unsigned(shift)) & 255U));
  out.append(field);
}

}  // namespace

std::string device_prefix(const DeviceId& device) { return base32(sha256(device.value())).substr(0, 8); }

UsageId usage_id(const UsageIdentity& identity) {
  const auto& series = identity.bucket.series;
  std::string fields;
  append_field(fields, identity.device.value());
  append_field(fields, identity.epoch);
  append_field(fields, series.upstream.value());
  append_field(fields, series.subscription.value());
  append_field(fields, series.item_price.value());
  append_field(fields, identity.bucket.day.compact());
  append_field(fields, std::to_string(identity.revision));
  return UsageId(device_prefix(identity.device) + "-" + base32(sha256(fields)).substr(0, 26));
}

UsageId random_id(const DeviceId& device, const std::string& random) {
  return UsageId(device_prefix(device) + "-" + base32(sha256(random)).substr(0, 26));
}

void EventHasher::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

EventHasher::EventHasher() : context_(EVP_MD_CTX_new()) {
  check(context_ && EVP_DigestInit_ex2(context_.get(), EVP_sha256(), nullptr) == 1, "OpenSSL has SHA-256");
}

EventHash EventHasher::operator()(std::string_view producer, std::string_view event_id) {
  fields_.clear();
  append_field(fields_, producer);
  append_field(fields_, event_id);
  Digest digest{};
  // Without a type: the same digest again.
  const bool hashed = EVP_DigestInit_ex2(context_.get(), nullptr, nullptr) == 1 &&
                      EVP_DigestUpdate(context_.get(), fields_.data(), fields_.size()) == 1 &&
                      EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1;
  check(hashed, "a digest of bytes in memory cannot fail");
  EventHash hash{};
  std::copy_n(digest.begin(), hash.size(), hash.begin());
  return hash;
}

std::uint64_t device_hash(const DeviceId& device, const std::string& purpose) {
  std::string fields = device.value();
  if (!purpose.empty()) {
    fields.clear();
    append_field(fields, device.value());
    append_field(fields, purpose);
  }
  const auto digest = sha256(fields);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = (value << 8U) | digest[i];
  return value;
}

}  // namespace meterd::meter
