// Ids and phases that follow from the device's id alone: the same after a restart or a year offline.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agent/base/ids.hpp"
#include "agent/meter/bucket.hpp"

struct evp_md_ctx_st;

namespace meterd::meter {

struct UsageIdentity {
  const DeviceId& device;
  const std::string& epoch;  // the journal's random number, 16 bytes
  const BucketKey& bucket;
  std::uint32_t revision = 0;
};

// 35 characters: base32(SHA-256(device id))[0..7] "-" base32(SHA-256(device id, epoch, upstream,
// subscription, item price, YYYYMMDD, r))[0..25], bounds included. Each field is preceded by its length as
// four bytes, big endian; r is decimal text; base32 is RFC 4648's alphabet in lower case.
UsageId usage_id(const UsageIdentity& identity);

// For a usage whose caller gave none: the device's prefix and what is random, 16 bytes. 35 characters.
UsageId random_id(const DeviceId& device, const std::string& random);

// The first eight characters of every usage id of this device: one upstream query finds them all.
std::string device_prefix(const DeviceId& device);

// H(device id): the device's stable offset, uniform over 64 bits. `purpose` separates independent uses.
std::uint64_t device_hash(const DeviceId& device, const std::string& purpose);

// What stands for (producer, event id) among the remembered ids: the first 16 bytes of SHA-256 over both,
// each preceded by its length as four bytes, big endian.
using EventHash = std::array<unsigned char, 16>;

// Keeps what each hash needs: half the cost of asking OpenSSL anew. One thread.
class EventHasher {
 public:
  EventHasher();
  EventHash operator()(std::string_view producer, std::string_view event_id);

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
  std::string fields_;
};

}  // namespace meterd::meter
